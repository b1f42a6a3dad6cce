/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/reply.h"
#include "tests/support/golden.h"

#include <criterion/criterion.h>
#include <string.h>

#define OUR_THING "org.example:gw1:edge:containers"

static void expect_reply(const char *file, struct dv_command_reply reply)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    struct dv_error err = DV_ERROR_INIT;
    if (!reply.feature)
        reply.feature = "Container:7b0c";
    if (!reply.operation)
        reply.operation = "start";
    cr_assert_eq(dv_ditto_write_reply(&reply, OUR_THING, "c-19", &out, &err), 0, "%s", err.text);
    cr_assert_eq(dv_buf_append_str(&out, "\n", NULL), 0);
    dv_golden_expect("ditto", file, out.data, out.len);
}

/* shows: K6, K9, D4 */
Test(ditto_reply, carries_a_value_with_200)
{
    expect_reply("reply-200.json", (struct dv_command_reply){.feature = "ContainerFactory",
                                                             .operation = "create",
                                                             .status = 200,
                                                             .value = "\"5e1f0d5c\""});
}

/* shows: D5, K9 */
Test(ditto_reply, has_a_content_type_with_204_too)
{
    expect_reply("reply-204.json", (struct dv_command_reply){.status = 204});
}

/* shows: E9, E12 */
Test(ditto_reply, repeats_the_inbox_path_when_no_feature_took_the_command)
{
    expect_reply("reply-e09-unknown-feature.json",
                 (struct dv_command_reply){.status = 400,
                                           .error_class = DV_ERR_INVALID,
                                           .error_text = "feature 'Container:7b0c' is not found",
                                           .is_before_dispatch = true});
    expect_reply("reply-e12-no-handler.json",
                 (struct dv_command_reply){.status = 404,
                                           .error_class = DV_ERR_NOT_FOUND,
                                           .error_text = "the feature takes no commands",
                                           .is_before_dispatch = true});
}

/* shows: K10, E13, E14, E16, deadlines */
Test(ditto_reply, has_the_code_of_each_class_of_failure)
{
    expect_reply("reply-e13-unknown-operation.json",
                 (struct dv_command_reply){.operation = "fly",
                                           .status = 404,
                                           .error_class = DV_ERR_NOT_FOUND,
                                           .error_text = "no operation 'fly'"});
    expect_reply("reply-e14-bad-value.json",
                 (struct dv_command_reply){.status = 400,
                                           .error_class = DV_ERR_INVALID,
                                           .error_text = "timeout must be a number"});
    expect_reply("reply-e16-failed.json",
                 (struct dv_command_reply){.status = 500,
                                           .error_class = DV_ERR_STATE,
                                           .error_text = "100%sure: <b> \"runs\" & \xc3\xa4\n"});
    expect_reply("reply-busy.json",
                 (struct dv_command_reply){.status = 503, .error_class = DV_ERR_BUSY});
    expect_reply("reply-timed-out.json",
                 (struct dv_command_reply){.status = 504, .error_class = DV_ERR_TIMED_OUT});
}

Test(ditto_reply, leaves_an_unknown_correlation_id_out)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    struct dv_command_reply reply = {.feature = "F", .operation = "o", .status = 204};
    cr_assert_eq(dv_ditto_write_reply(&reply, OUR_THING, NULL, &out, NULL), 0);
    cr_expect_null(strstr(out.data, "correlation-id"));
}

Test(ditto_reply, refuses_what_does_not_fit)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(20);
    struct dv_error err = DV_ERROR_INIT;
    struct dv_command_reply reply = {.feature = "F", .operation = "o", .status = 204};
    cr_expect_eq(dv_ditto_write_reply(&reply, OUR_THING, "c", &out, &err), -DV_ERR_LIMIT);
}
