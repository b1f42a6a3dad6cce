/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/metrics.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dv_error err;
static struct dv_arena *arena;
static struct dv_metrics_request request;
static struct dv_spec_notes notes;

static void setup(void)
{
    err = DV_ERROR_INIT;
    arena = dv_arena_new(4U << 20);
    request = (struct dv_metrics_request){0};
    notes.count = 0;
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(metrics, .init = setup, .fini = teardown);

static int parse(const char *value)
{
    err = DV_ERROR_INIT;
    return dv_spec_metrics_request(dv_str_of(value), arena, &request, &notes, &err);
}

/* shows: K22 */
Test(metrics, a_frequency_is_a_duration_or_a_number_of_seconds)
{
    static const struct {
        const char *value;
        int64_t period_ms;
    } table[] = {
        {"{\"frequency\":\"5s\"}", 5000},
        {"{\"frequency\":\"1m30s\"}", 90000},
        {"{\"frequency\":\"1m1.5s\"}", 61500},
        {"{\"frequency\":\"250ms\"}", 1000},
        {"{\"frequency\":\".5s\"}", 1000},
        {"{\"frequency\":\"168h\"}", DV_METRICS_PERIOD_MAX_MS},
        {"{\"frequency\":5}", 5000},
        {"{\"frequency\":2.9}", 2000},
        {"{\"FREQUENCY\":3}", 3000},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        cr_expect_eq(parse(table[i].value), 0, "%s: %s", table[i].value, err.text);
        cr_expect_eq(request.period_ms, table[i].period_ms, "%s", table[i].value);
    }
}

/* shows: K22 */
Test(metrics, nothing_or_less_than_nothing_stops)
{
    static const char *const values[] = {
        "",
        "null",
        "{}",
        "{\"frequency\":0}",
        "{\"frequency\":-3}",
        "{\"frequency\":\"0s\"}",
        "{\"frequency\":\"0\"}",
        "{\"frequency\":\"-2s\"}",
        "{\"frequency\":0.9}",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        cr_expect_eq(parse(values[i]), 0, "%s: %s", values[i], err.text);
        cr_expect_eq(request.period_ms, 0, "%s", values[i]);
    }
}

/* shows: E14, input-limits */
Test(metrics, a_bad_request_is_refused_and_changes_nothing)
{
    static const char *const bad[] = {
        "{",
        "5",
        "[]",
        "\"5s\"",
        "{\"frequency\":null}",
        "{\"frequency\":true}",
        "{\"frequency\":[]}",
        "{\"frequency\":{}}",
        "{\"frequency\":\"\"}",
        "{\"frequency\":\"5\"}",
        "{\"frequency\":\"1 s\"}",
        "{\"frequency\":\"1S\"}",
        "{\"frequency\":\"PT1S\"}",
        "{\"frequency\":\"9999999h\"}",
        "{\"frequency\":\"168h1s\"}",
        "{\"frequency\":604801}",
        "{\"frequency\":1e300}",
        "{\"frequency\":\"5s\",\"filter\":\"cpu\"}",
        "{\"frequency\":\"5s\",\"filter\":{}}",
        "{\"frequency\":\"5s\",\"filter\":[\"cpu\"]}",
        "{\"frequency\":\"5s\",\"filter\":[null]}",
        "{\"frequency\":\"5s\",\"filter\":[{\"id\":\"cpu\"}]}",
        "{\"frequency\":\"5s\",\"filter\":[{\"id\":[5]}]}",
        "{\"frequency\":\"5s\",\"filter\":[{\"id\":[null]}]}",
        "{\"frequency\":\"5s\",\"filter\":[{\"originator\":5}]}",
        "{\"frequency\":0,\"filter\":5}",
    };
    request.period_ms = 77;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_expect_eq(parse(bad[i]), -DV_ERR_INVALID, "%s", bad[i]);
        cr_expect(err.text[0], "%s", bad[i]);
        cr_expect_eq(request.period_ms, 77, "%s", bad[i]);
    }
}

Test(metrics, more_filters_than_the_limit_are_refused)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1U << 20);
    cr_assert_eq(dv_buf_append_str(&text, "{\"frequency\":1,\"filter\":[{}", NULL), 0);
    for (int i = 0; i < DV_METRICS_FILTERS_MAX; i++)
        cr_assert_eq(dv_buf_append_str(&text, ",{}", NULL), 0);
    cr_assert_eq(dv_buf_append_str(&text, "]}", NULL), 0);
    cr_assert_eq(parse(text.data), -DV_ERR_LIMIT);
}

Test(metrics, unknown_keys_are_noted)
{
    cr_assert_eq(parse("{\"frequency\":1,\"filters\":[],\"filter\":[{\"ids\":[]}]}"), 0);
    cr_assert_eq(notes.count, 2);
    cr_assert_str_eq(notes.texts[0], "filters is not a known key, did you mean 'filter'?");
    cr_assert_str_eq(notes.texts[1], "filter.ids is not a known key, did you mean 'id'?");
}

/* -- data ----------------------------------------------------------------------------------- */

static struct dv_maybe is(int64_t value)
{
    return (struct dv_maybe){true, value};
}

static struct dv_sample full_sample(void)
{
    return (struct dv_sample){
        .memory_used = is(512),
        .memory_total = is(1024),
        .io_read = is(0),
        .io_write = is(4096),
        .net_read = is(610),
        .net_write = is(202),
        .tasks = is(14),
    };
}

/* The data of one originator under a filter (a JSON array), or "" when it wants nothing of it. */
static const char *data_of(const char *filter, const char *id, const struct dv_sample *sample)
{
    static struct dv_metrics_data data;
    bool is_full = false;
    char value[512];
    struct dv_measurements measured = {
        .id = id,
        .name = id ? "web" : NULL,
        .has_utilization = true,
        .cpu_utilization = 8.5,
        .sample = sample,
    };
    snprintf(value, sizeof(value), "{\"frequency\":1,\"filter\":%s}", filter);
    cr_assert_eq(parse(value), 0, "%s: %s", value, err.text);
    dv_metrics_data_clear(&data);
    data.max = 100000;
    cr_assert_eq(dv_metrics_data_add(&data, &request, &measured, &is_full, &err), 0);
    cr_assert_not(is_full);
    if (!data.originators)
        return "";
    cr_assert_eq(dv_metrics_data_end(&data, 1719561600123, &err), 0);
    return data.value.data;
}

/* shows: D18 */
Test(metrics, all_nine_measurements_come_in_order)
{
    struct dv_sample sample = full_sample();
    cr_assert_str_eq(data_of("[]", "1", &sample),
                     "{\"snapshot\":[{\"originator\":\"Container:1\",\"measurements\":["
                     "{\"id\":\"cpu.utilization\",\"value\":8.5},"
                     "{\"id\":\"memory.total\",\"value\":1024},"
                     "{\"id\":\"memory.used\",\"value\":512},"
                     "{\"id\":\"memory.utilization\",\"value\":50},"
                     "{\"id\":\"io.readBytes\",\"value\":0},"
                     "{\"id\":\"io.writeBytes\",\"value\":4096},"
                     "{\"id\":\"net.readBytes\",\"value\":610},"
                     "{\"id\":\"net.writeBytes\",\"value\":202},"
                     "{\"id\":\"pids\",\"value\":14}]}],\"timestamp\":1719561600123}");
}

/* shows: K22 */
Test(metrics, ids_are_beginnings)
{
    struct dv_sample sample = full_sample();
    static const struct {
        const char *ids;
        const char *first;
        bool is_only;
    } table[] = {
        {"[\"cpu.*\"]", "cpu.utilization", true},
        {"[\"cpu\"]", "cpu.utilization", true},
        {"[\"c\"]", "cpu.utilization", true},
        {"[\"*\"]", "cpu.utilization", false},
        {"[\"\"]", "cpu.utilization", false},
        {"[]", "cpu.utilization", false},
        {"null", "cpu.utilization", false},
        {"[\"*pids*\"]", "pids", true},
        {"[\"x\",\"memory.used\"]", "memory.used", true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char filter[128];
        char wanted[64];
        snprintf(filter, sizeof(filter), "[{\"id\":%s}]", table[i].ids);
        snprintf(wanted, sizeof(wanted), "[{\"id\":\"%s\"", table[i].first);
        const char *data = data_of(filter, "1", &sample);
        cr_expect_not_null(strstr(data, wanted), "%s: %s", filter, data);
        cr_expect_eq(strstr(strstr(data, wanted) + 2, "{\"id\"") == NULL, table[i].is_only, "%s",
                     filter);
    }
    cr_expect_str_empty(data_of("[{\"id\":[\"utilization\"]}]", "1", &sample));
    cr_expect_str_empty(data_of("[{\"id\":[\"c*u\"]}]", "1", &sample), "a star inside is literal");
}

/* shows: D17 */
Test(metrics, an_originator_is_a_container_by_id_or_name)
{
    struct dv_sample sample = full_sample();
    static const struct {
        const char *originator;
        bool is_wanted;
    } table[] = {
        {"", true},
        {"Container:1", true},
        {"Container:web", true},
        {"Container:*", true},
        {"Container:we*", true},
        {"*", true},
        {"Container:", false},
        {"Container:11", false},
        {"Container:we", false},
        {"container:1", false},
        {"web", false},
        {"1", false},
        {"SYSTEM", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char filter[128];
        snprintf(filter, sizeof(filter), "[{\"id\":null,\"originator\":\"%s\"}]",
                 table[i].originator);
        cr_expect_eq(data_of(filter, "1", &sample)[0] != '\0', table[i].is_wanted, "%s", filter);
    }
}

/* shows: D16 */
Test(metrics, the_machine_reports_only_when_it_is_named)
{
    struct dv_sample sample = full_sample();
    cr_assert_str_empty(data_of("[]", NULL, &sample));
    cr_assert_not(dv_metrics_wants_system(&request));
    cr_assert_str_empty(data_of("[{\"id\":[\"cpu\"]}]", NULL, &sample));
    cr_assert_not(dv_metrics_wants_system(&request));
    cr_assert_str_empty(data_of("[{\"originator\":\"Container:*\"}]", NULL, &sample));
    const char *data = data_of("[{\"id\":null,\"originator\":\"SYSTEM\"}]", NULL, &sample);
    cr_assert(dv_metrics_wants_system(&request));
    cr_assert_not_null(strstr(data, "{\"originator\":\"SYSTEM\",\"measurements\":[{\"id\":\"cpu"));
}

Test(metrics, filters_add_up)
{
    struct dv_sample sample = full_sample();
    const char *data = data_of("[{\"id\":[\"cpu\"],\"originator\":\"Container:1\"},"
                               "{\"id\":[\"pids\"]},{\"id\":[\"io\"],\"originator\":\"SYSTEM\"}]",
                               "1", &sample);
    cr_assert_not_null(strstr(data, "[{\"id\":\"cpu.utilization\",\"value\":8.5},{\"id\":\"pids\","
                                    "\"value\":14}]"));
}

Test(metrics, what_is_not_known_is_left_out)
{
    struct dv_sample sample = {.memory_used = is(5), .memory_total = is(0), .tasks = is(0)};
    const char *data = data_of("[{\"id\":[\"m\",\"io\",\"net\",\"pids\"]}]", "1", &sample);
    cr_assert_not_null(strstr(data, "[{\"id\":\"memory.total\",\"value\":0},"
                                    "{\"id\":\"memory.used\",\"value\":5}]"));
}

Test(metrics, a_share_is_never_more_than_the_whole)
{
    struct dv_sample sample = {.memory_used = is(2048), .memory_total = is(1024)};
    const char *data = data_of("[{\"id\":[\"memory.utilization\"]}]", "1", &sample);
    cr_assert_not_null(strstr(data, "{\"id\":\"memory.utilization\",\"value\":100}"));
}

Test(metrics, data_that_does_not_fit_says_so_and_goes_into_the_next_value)
{
    struct dv_sample sample = full_sample();
    struct dv_metrics_data data = {.max = 1200};
    struct dv_measurements measured = {.id = "1", .name = "web", .sample = &sample};
    bool is_full = false;
    size_t added = 0;
    while (!is_full && added < 100) {
        cr_assert_eq(dv_metrics_data_add(&data, &request, &measured, &is_full, &err), 0);
        added += !is_full;
    }
    cr_assert(is_full);
    cr_assert_eq(data.originators, added);
    cr_assert_gt(added, 1);
    cr_assert_eq(dv_metrics_data_end(&data, INT64_MAX, &err), 0);
    cr_assert_leq(data.value.len, data.max);
    dv_metrics_data_clear(&data);
    cr_assert_eq(dv_metrics_data_add(&data, &request, &measured, &is_full, &err), 0);
    cr_assert_not(is_full);
    cr_assert_eq(data.originators, 1);
    dv_buf_done(&data.value);
}
