/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/twin.h"
#include "tests/support/golden.h"

#include <criterion/criterion.h>

#define OUR_THING "org.example:gw1:edge:containers"
#define LIMIT     (2U << 20)

static void expect_bytes(const char *file, struct dv_buf *out)
{
    cr_assert_eq(dv_buf_append_str(out, "\n", NULL), 0);
    dv_golden_expect("ditto", file, out->data, out->len);
}

static void expect_twin(const char *file, const struct dv_twin_change *change)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(LIMIT);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_ditto_write_twin(change, OUR_THING, &out, &err), 0, "%s", err.text);
    expect_bytes(file, &out);
}

static void expect_outbox(const char *file, const struct dv_outbox_message *message)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(LIMIT);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_ditto_write_outbox(message, OUR_THING, &out, &err), 0, "%s", err.text);
    expect_bytes(file, &out);
}

/* shows: K13 */
Test(ditto_twin, makes_a_feature_by_modify)
{
    expect_twin("twin-feature.json",
                &(struct dv_twin_change){
                    .kind = DV_TWIN_FEATURE,
                    .feature = "ContainerFactory",
                    .definition = "com.bosch.iot.suite.edge.containers:ContainerFactory:1.3.0"});
    expect_twin("twin-feature-with-properties.json",
                &(struct dv_twin_change){.kind = DV_TWIN_FEATURE,
                                         .feature = "Container:7b0c",
                                         .definition =
                                             "com.bosch.iot.suite.edge.containers:Container:1.5.0",
                                         .value = "{\"status\":{\"name\":\"7b0c\"}}"});
    expect_twin("twin-feature-empty.json",
                &(struct dv_twin_change){.kind = DV_TWIN_FEATURE, .feature = "F"});
}

/* shows: K13 */
Test(ditto_twin, changes_a_property_by_its_path)
{
    expect_twin("twin-property.json",
                &(struct dv_twin_change){.kind = DV_TWIN_PROPERTY,
                                         .feature = "Container:7b0c",
                                         .path = "status/state",
                                         .value = "{\"status\":\"RUNNING\",\"pid\":4711}"});
}

/* shows: K24 */
Test(ditto_twin, writes_an_explicit_null_for_a_property_that_became_nothing)
{
    expect_twin("twin-property-null.json",
                &(struct dv_twin_change){.kind = DV_TWIN_PROPERTY,
                                         .feature = "SoftwareUpdatable",
                                         .path = "status/installedDependencies"});
}

/* shows: K13 */
Test(ditto_twin, deletes_without_a_value)
{
    expect_twin("twin-delete.json",
                &(struct dv_twin_change){.kind = DV_TWIN_DELETE, .feature = "Container:7b0c"});
}

/* shows: ditto-refuses */
Test(ditto_twin, never_sends_a_feature_id_that_ditto_refuses)
{
    expect_twin("twin-encoded.json", &(struct dv_twin_change){.kind = DV_TWIN_PROPERTY,
                                                              .feature = "Container:a/\xc3\xa4",
                                                              .path = "status/na\xc3\xafve",
                                                              .value = "1"});
}

Test(ditto_twin, refuses_a_property_without_a_path)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(LIMIT);
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_PROPERTY, .feature = "F", .value = "1"};
    cr_expect_eq(dv_ditto_write_twin(&change, OUR_THING, &out, &err), -DV_ERR_INVALID);
}

/* shows: K23 */
Test(ditto_twin, live_messages_name_their_content_type_when_they_have_a_value)
{
    expect_outbox("outbox-value.json", &(struct dv_outbox_message){.feature = "Metrics",
                                                                   .subject = "data",
                                                                   .value = "{\"timestamp\":1}"});
    expect_outbox("outbox-empty.json",
                  &(struct dv_outbox_message){.feature = "Metrics", .subject = "data"});
}
