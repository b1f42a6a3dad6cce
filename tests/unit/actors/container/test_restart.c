/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/restart.h"

#include <criterion/criterion.h>

static const struct dv_restart_limits limits = {
    .first_ms = 100, .max_ms = 60000, .stable_ms = 10000};

/* shows: K35, manual-stop */
Test(restart, the_policy_decides)
{
    static const struct {
        struct dv_restart_policy policy;
        struct dv_restart_end end;
        bool restarts;
    } table[] = {
        {{.type = DV_RESTART_NO}, {.exit_code = 1}, false},
        {{.type = DV_RESTART_ALWAYS}, {.exit_code = 0}, true},
        {{.type = DV_RESTART_ALWAYS}, {.manually_stopped = true}, false},
        {{.type = DV_RESTART_UNLESS_STOPPED}, {.exit_code = 0}, true},
        {{.type = DV_RESTART_UNLESS_STOPPED}, {.manually_stopped = true}, false},
        {{.type = DV_RESTART_ON_FAILURE}, {.exit_code = 0}, false},
        {{.type = DV_RESTART_ON_FAILURE}, {.exit_code = 3}, true},
        {{.type = DV_RESTART_ON_FAILURE}, {.is_failed_start = true}, true},
        {{.type = DV_RESTART_ON_FAILURE, .max_retry_count = 2},
         {.exit_code = 3, .restart_count = 1},
         true},
        {{.type = DV_RESTART_ON_FAILURE, .max_retry_count = 2},
         {.exit_code = 3, .restart_count = 2},
         false},
        {{.type = DV_RESTART_ON_FAILURE}, {.exit_code = 143, .manually_stopped = true}, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int64_t wait;
        cr_expect_eq(dv_restart_decide(&table[i].policy, &limits, &table[i].end, &wait),
                     table[i].restarts, "row %zu", i);
    }
}

/* shows: K36 */
Test(restart, the_wait_doubles_up_to_a_minute_and_begins_anew_after_a_stable_run)
{
    struct dv_restart_policy policy = {.type = DV_RESTART_ALWAYS};
    struct dv_restart_end end = {.ran_ms = 10};
    static const int64_t expected[] = {100,  200,   400,   800,   1600,  3200,
                                       6400, 12800, 25600, 51200, 60000, 60000};
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        int64_t wait;
        cr_assert(dv_restart_decide(&policy, &limits, &end, &wait));
        cr_assert_eq(wait, expected[i]);
        end.previous_ms = wait;
    }
    end.ran_ms = 10000;
    int64_t wait;
    cr_assert(dv_restart_decide(&policy, &limits, &end, &wait));
    cr_assert_eq(wait, 100);
}

/* shows: K36, D28 */
Test(restart, retry_timeout_caps_the_wait)
{
    struct dv_restart_policy policy = {.type = DV_RESTART_ON_FAILURE,
                                       .retry_timeout_ns = 300000000};
    struct dv_restart_end end = {.exit_code = 1, .previous_ms = 200};
    int64_t wait;
    cr_assert(dv_restart_decide(&policy, &limits, &end, &wait));
    cr_assert_eq(wait, 300);
}

/* shows: K38, manual-stop */
Test(restart, after_a_reboot_always_comes_back_and_unless_stopped_stays_stopped)
{
    struct dv_restart_policy policy = {.type = DV_RESTART_ALWAYS};
    struct dv_container_spec spec = {.restart_policy = &policy};
    struct dv_container_state state = {.exit_code = 0};
    struct dv_container_record record = {
        .spec = &spec, .state = &state, .started_before = true, .manually_stopped = true};
    cr_assert(dv_restart_at_boot(&record, true));
    cr_assert_not(dv_restart_at_boot(&record, false));
    policy.type = DV_RESTART_UNLESS_STOPPED;
    cr_assert_not(dv_restart_at_boot(&record, true));
    record.manually_stopped = false;
    cr_assert(dv_restart_at_boot(&record, true));
    record.started_before = false;
    cr_assert_not(dv_restart_at_boot(&record, true), "what never ran is not started by itself");
    record.started_before = true;
    policy.type = DV_RESTART_ON_FAILURE;
    cr_assert_not(dv_restart_at_boot(&record, true));
    state.exit_code = 255;
    cr_assert(dv_restart_at_boot(&record, true));
    /* It ran until the machine went down, which it took well. */
    state.exit_code = 0;
    state.status = DV_STATUS_STOPPED;
    cr_assert(dv_restart_at_boot(&record, true));
    record.manually_stopped = true;
    cr_assert_not(dv_restart_at_boot(&record, true));
}

Test(restart, what_stays_down_says_why)
{
    static const struct {
        struct dv_restart_policy policy;
        enum dv_status status;
        int64_t exit_code;
        int64_t restart_count;
        bool manually_stopped;
        enum dv_rest_reason rest;
    } table[] = {
        {{.type = DV_RESTART_ALWAYS}, DV_STATUS_CREATED, 0, 0, false, DV_REST_NEVER_STARTED},
        {{.type = DV_RESTART_ALWAYS}, DV_STATUS_STOPPED, 143, 0, true, DV_REST_STOPPED},
        {{.type = DV_RESTART_NO}, DV_STATUS_EXITED, 1, 0, false, DV_REST_POLICY},
        {{.type = DV_RESTART_NO}, DV_STATUS_STOPPED, 0, 0, false, DV_REST_START_FAILED},
        {{.type = DV_RESTART_ALWAYS}, DV_STATUS_STOPPED, 0, 0, false, DV_REST_START_FAILED},
        {{.type = DV_RESTART_ON_FAILURE}, DV_STATUS_EXITED, 0, 0, false, DV_REST_SUCCEEDED},
        {{.type = DV_RESTART_ON_FAILURE, .max_retry_count = 2},
         DV_STATUS_EXITED,
         1,
         2,
         false,
         DV_REST_RETRIES_USED},
        {{.type = DV_RESTART_ALWAYS}, DV_STATUS_RUNNING, 0, 0, false, DV_REST_NONE},
        /* stopped with all others */
        {{.type = DV_RESTART_ALWAYS}, DV_STATUS_STOPPED, 143, 0, false, DV_REST_NONE},
        {{.type = DV_RESTART_NO}, DV_STATUS_STOPPED, 143, 0, false, DV_REST_POLICY},
        {{.type = DV_RESTART_ON_FAILURE}, DV_STATUS_STOPPED, 0, 0, false, DV_REST_NONE},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_restart_policy policy = table[i].policy;
        struct dv_container_spec spec = {.restart_policy = &policy};
        bool is_failed_start = table[i].rest == DV_REST_START_FAILED;
        struct dv_container_state state = {.status = table[i].status,
                                           .exit_code = table[i].exit_code,
                                           .error = (char *)(is_failed_start ? "no" : NULL)};
        struct dv_container_record record = {.spec = &spec,
                                             .state = &state,
                                             .restart_count = table[i].restart_count,
                                             .manually_stopped = table[i].manually_stopped};
        cr_expect_eq(dv_restart_rest(&record), table[i].rest, "row %zu", i);
    }
}

Test(restart, a_wait_is_spread_by_at_most_a_fifth_and_never_longer)
{
    bool is_spread = false;
    for (uint64_t random = 0; random < 5000; random += 7) {
        int64_t wait = dv_restart_spread(60000, random);
        cr_assert(wait >= 48000 && wait <= 60000, "%lld", (long long)wait);
        is_spread |= wait < 50000;
    }
    cr_assert(is_spread);
    cr_assert_eq(dv_restart_spread(1, UINT64_MAX), 1);
}
