/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/create.h"
#include "spec/operations.h"
#include "spec/signals.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

static struct dv_error err;

/* shows: signals, D13 */
Test(operations, stop_options_take_signals_by_name_and_number)
{
    static const struct {
        const char *value;
        int signal;
        int64_t timeout_s;
        bool is_force;
    } table[] = {
        {"", 0, 0, false},
        {"null", 0, 0, false},
        {"{}", 0, 0, false},
        {"{\"signal\":\"SIGINT\",\"timeout\":30,\"force\":true}", SIGINT, 30, true},
        {"{\"signal\":\"int\"}", SIGINT, 0, false},
        {"{\"signal\":\"2\"}", SIGINT, 0, false},
        {"{\"signal\":9}", SIGKILL, 0, false},
        {"{\"signal\":\"SIGRTMIN+3\"}", 37, 0, false},
        {"{\"timeout\":-9223372036854775808}", 0, 0, false},
        {"{\"signal\":\"\",\"timeout\":null}", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_stop_options options;
        err = DV_ERROR_INIT;
        cr_expect_eq(dv_spec_stop_options(dv_str_of(table[i].value), &options, &err), 0, "%s: %s",
                     table[i].value, err.text);
        cr_expect_eq(options.signal, table[i].signal, "%s", table[i].value);
        cr_expect_eq(options.timeout_s, table[i].timeout_s);
        cr_expect_eq(options.is_force, table[i].is_force);
    }
}

/* shows: signals, D13, input-limits */
Test(operations, stop_options_refuse_what_is_no_signal_or_time)
{
    static const char *const bad[] = {
        "5",
        "[]",
        "{\"signal\":\"SIGFOO\"}",
        "{\"signal\":0}",
        "{\"signal\":65}",
        "{\"signal\":true}",
        "{\"timeout\":-1}",
        "{\"timeout\":1.5}",
        "{\"timeout\":\"5\"}",
        "{\"timeout\":86401}",
        "{\"force\":1}",
        "{",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dv_stop_options options;
        err = DV_ERROR_INIT;
        cr_expect_eq(dv_spec_stop_options(dv_str_of(bad[i]), &options, &err), -DV_ERR_INVALID, "%s",
                     bad[i]);
    }
}

/* shows: json-keys */
Test(operations, unknown_stop_options_are_noted)
{
    struct dv_stop_options options;
    const char *value = "{\"Force\":true,\"timout\":5,\"x\":1}";
    cr_assert_eq(dv_spec_stop_options(dv_str_of(value), &options, &err), 0, "%s", err.text);
    cr_expect(options.is_force);
    cr_expect_str_eq(options.unknown, "timout is not a known key, did you mean 'timeout'?");
    cr_assert_eq(dv_spec_stop_options(dv_str_of("{\"SIGNAL\":9}"), &options, &err), 0);
    cr_expect_str_empty(options.unknown);
}

Test(operations, remove_takes_a_boolean_or_nothing)
{
    bool force;
    cr_assert_eq(dv_spec_remove(dv_str_of("true"), &force, &err), 0);
    cr_assert(force);
    cr_assert_eq(dv_spec_remove(dv_str_of(""), &force, &err), 0);
    cr_assert_not(force);
    cr_assert_eq(dv_spec_remove(dv_str_of("\"true\""), &force, &err), -DV_ERR_INVALID);
}

Test(operations, rename_takes_a_valid_name)
{
    char *name = NULL;
    cr_assert_eq(dv_spec_rename(dv_str_of("\"new_name\""), &name, &err), 0);
    cr_assert_str_eq(name, "new_name");
    free(name);
    cr_assert_eq(dv_spec_rename(dv_str_of("\"\""), &name, &err), 0);
    cr_assert_str_eq(name, "");
    free(name);
    cr_assert_eq(dv_spec_rename(dv_str_of("\"a/b\""), &name, &err), -DV_ERR_INVALID);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_spec_rename(dv_str_of(""), &name, &err), -DV_ERR_INVALID);
}

static struct dv_container_record *make(struct dv_arena *arena, const char *config)
{
    char value[500];
    snprintf(value, sizeof(value), "{\"imageRef\":\"r/a:1\",\"config\":%s}", config);
    struct dv_create_request request = {0};
    cr_assert_eq(dv_spec_create_with_config(dv_str_of(value), "id", arena, &request, &err), 0, "%s",
                 err.text);
    return request.record;
}

/* shows: D11, D12, policy-update */
Test(operations, update_merges_field_by_field)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record = make(
        arena,
        "{\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":3,\"retryTimeout\":7}}");
    struct dv_container_record *changed;
    bool is_changed;
    const char *value = "{\"restartPolicy\":{\"maxRetryCount\":5}}";
    cr_assert_eq(dv_spec_update(dv_str_of(value), record, arena, &changed, &is_changed, &err), 0,
                 "%s", err.text);
    cr_assert(is_changed);
    cr_assert_eq(changed->spec->restart_policy->type, DV_RESTART_ON_FAILURE);
    cr_assert_eq(changed->spec->restart_policy->max_retry_count, 5);
    cr_assert_eq(changed->spec->restart_policy->retry_timeout_ns, 7000000000LL);
    cr_assert_eq(record->spec->restart_policy->max_retry_count, 3, "the original is untouched");

    value = "{\"restartPolicy\":{\"type\":\"always\"}}";
    cr_assert_eq(dv_spec_update(dv_str_of(value), record, arena, &changed, &is_changed, &err), 0);
    cr_assert_eq(changed->spec->restart_policy->max_retry_count, 0, "a new type drops the count");
    cr_assert_eq(changed->spec->restart_policy->retry_timeout_ns, 0);

    value = "{\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":3,\"timeout\":10}}";
    cr_assert_eq(dv_spec_update(dv_str_of(value), record, arena, &changed, &is_changed, &err), 0);
    cr_assert_eq(changed->spec->restart_policy->retry_timeout_ns, 10000000000LL);
}

static struct dv_resources *
limits_after(struct dv_arena *arena, const struct dv_container_record *record, const char *value)
{
    struct dv_container_record *changed = NULL;
    bool is_changed;
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_spec_update(dv_str_of(value), record, arena, &changed, &is_changed, &err), 0,
                 "%s", err.text);
    cr_assert(is_changed);
    return changed->spec->resources;
}

/* shows: D11, D12 */
Test(operations, update_of_limits_keeps_what_is_not_given_and_takes_away_what_is_empty)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record =
        make(arena, "{\"resources\":{\"memory\":\"64M\",\"memoryReservation\":\"32M\"}}");
    cr_assert_str_eq(record->spec->resources->memory_swap, "128M");
    struct dv_resources *now = limits_after(arena, record, "{\"resources\":{\"memory\":\"96M\"}}");
    cr_expect_str_eq(now->memory, "96M");
    cr_expect_str_eq(now->memory_reservation, "32M");
    cr_expect_str_eq(now->memory_swap, "128M", "twice the memory is a default of create only");
    now = limits_after(arena, record, "{\"resources\":{\"memoryReservation\":\"\"}}");
    cr_expect_null(now->memory_reservation);
    now = limits_after(arena, record, "{\"resources\":{\"memorySwap\":\"-1\"}}");
    cr_expect_null(now->memory_swap);
    now = limits_after(
        arena, record,
        "{\"resources\":{\"memory\":\"\",\"memoryReservation\":\"\",\"memorySwap\":\"\"}}");
    cr_expect_null(now, "no limits are no resources");
    cr_expect_str_eq(record->spec->resources->memory, "64M", "the original is untouched");
}

Test(operations, update_holds_given_limits_against_those_that_stay)
{
    static const struct {
        const char *value;
        const char *says;
    } rows[] = {
        {"{\"resources\":{\"memory\":\"256M\"}}",
         "config.resources.memorySwap: '128M' is below config.resources.memory"},
        {"{\"resources\":{\"memory\":\"\"}}", "'128M' needs config.resources.memory"},
        {"{\"resources\":{\"memoryReservation\":\"65M\"}}", "is above config.resources.memory"},
        {"{\"resources\":{\"memory\":\"2M\"}}", "is below the minimum of 3M"},
        {"{\"resources\":{\"memory\":7}}", "a number is given"},
        {"{\"resources\":7}", "resources"},
    };
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record = make(arena, "{\"resources\":{\"memory\":\"64M\"}}");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_container_record *changed;
        bool is_changed;
        err = DV_ERROR_INIT;
        cr_expect_eq(
            dv_spec_update(dv_str_of(rows[i].value), record, arena, &changed, &is_changed, &err),
            -DV_ERR_INVALID, "%s", rows[i].value);
        cr_expect(strstr(err.text, rows[i].says), "%s", err.text);
    }
}

/* shows: K21 */
Test(operations, update_without_effect_is_no_change)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record = make(arena, "{}");
    struct dv_container_record *changed;
    bool is_changed;
    static const char *const same[] = {"{}", "",
                                       "{\"restartPolicy\":{\"type\":\"UNLESS_STOPPED\"}}",
                                       "{\"resources\":{\"memory\":\"\"}}"};
    for (size_t i = 0; i < sizeof(same) / sizeof(same[0]); i++) {
        cr_expect_eq(dv_spec_update(dv_str_of(same[i]), record, arena, &changed, &is_changed, &err),
                     0, "%s", err.text);
        cr_expect_not(is_changed, "%s", same[i]);
    }
}

/* shows: json-keys */
Test(operations, unknown_keys_of_an_update_are_noted_and_no_change)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record = make(arena, "{\"odd\":1}");
    struct dv_container_record *changed;
    bool is_changed;
    const char *value = "{\"resource\":{},\"restartPolicy\":{\"maxRetries\":1},\"Resources\":{"
                        "\"memori\":\"1G\"}}";
    cr_assert_eq(record->warnings.count, 1);
    cr_assert_eq(dv_spec_update(dv_str_of(value), record, arena, &changed, &is_changed, &err), 0,
                 "%s", err.text);
    cr_expect_not(is_changed);
    cr_assert_eq(changed->warnings.count, 4);
    cr_expect_str_eq(changed->warnings.items[1],
                     "resource is not a known key, did you mean 'resources'?");
    cr_expect_not_null(
        strstr(changed->warnings.items[2], "restartPolicy.maxRetries is not a known"));
    cr_expect_str_eq(changed->warnings.items[3],
                     "resources.memori is not a known key, did you mean 'memory'?");
    cr_assert_eq(dv_spec_update(dv_str_of(value), changed, arena, &changed, &is_changed, &err), 0);
    cr_expect_eq(changed->warnings.count, 4, "the same again is not told again");
}

/* shows: D10, D28 */
Test(operations, timeout_of_a_policy_has_two_names)
{
    static const char *const policies[] = {
        "{\"type\":\"always\",\"timeout\":7}",
        "{\"type\":\"always\",\"retryTimeout\":7}",
        "{\"type\":\"on-failure\",\"timeout\":7,\"retryTimeout\":7}",
        "{\"type\":\"unless-stopped\",\"Timeout\":7.9}",
    };
    for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
        struct dv_container_record *record = make(arena, "{}");
        struct dv_container_record *changed;
        bool is_changed;
        char text[200];
        snprintf(text, sizeof(text), "{\"restartPolicy\":%s}", policies[i]);
        cr_assert_eq(dv_spec_update(dv_str_of(text), record, arena, &changed, &is_changed, &err), 0,
                     "%s: %s", text, err.text);
        cr_expect_eq(changed->spec->restart_policy->retry_timeout_ns, 7000000000LL, "%s", text);
        record = make(arena, text);
        cr_expect_eq(record->spec->restart_policy->retry_timeout_ns, 7000000000LL, "%s", text);
    }
}

/* shows: D10 */
Test(operations, update_refuses_two_different_timeouts)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record = make(arena, "{}");
    struct dv_container_record *changed;
    bool is_changed;
    const char *value =
        "{\"restartPolicy\":{\"type\":\"always\",\"timeout\":1,\"retryTimeout\":2}}";
    cr_assert_eq(dv_spec_update(dv_str_of(value), record, arena, &changed, &is_changed, &err),
                 -DV_ERR_INVALID);
    cr_assert(strstr(err.text, "differ"), "%s", err.text);
}

Test(operations, signals_have_names)
{
    char text[DV_SIGNAL_TEXT_SIZE];
    cr_assert_str_eq(dv_signal_name(SIGTERM, text), "SIGTERM");
    cr_assert_str_eq(dv_signal_name(40, text), "signal 40");
}
