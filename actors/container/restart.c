/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/restart.h"

#define NS_PER_MS 1000000

static bool is_wanted(const struct dv_restart_policy *policy, const struct dv_restart_end *end)
{
    if (end->manually_stopped)
        return false;
    switch (policy->type) {
    case DV_RESTART_NO:
        return false;
    case DV_RESTART_ALWAYS:
    case DV_RESTART_UNLESS_STOPPED:
        return true;
    case DV_RESTART_ON_FAILURE:
        return (end->exit_code != 0 || end->is_failed_start) &&
               (policy->max_retry_count == 0 || end->restart_count < policy->max_retry_count);
    }
    return false;
}

bool dv_restart_decide(const struct dv_restart_policy *policy,
                       const struct dv_restart_limits *limits,
                       const struct dv_restart_end *end,
                       int64_t *ret_wait_ms)
{
    if (!is_wanted(policy, end))
        return false;
    int64_t ceiling = limits->max_ms;
    if (policy->retry_timeout_ns > 0)
        ceiling = policy->retry_timeout_ns / NS_PER_MS;
    int64_t wait = limits->first_ms;
    bool was_stable = end->ran_ms >= limits->stable_ms;
    if (end->previous_ms > 0 && !was_stable)
        wait = end->previous_ms > INT64_MAX / 2 ? INT64_MAX : end->previous_ms * 2;
    if (wait > ceiling)
        wait = ceiling;
    *ret_wait_ms = wait;
    return true;
}

int64_t dv_restart_spread(int64_t wait_ms, uint64_t random)
{
    return wait_ms - wait_ms / 5 * (int64_t)(random % 1024) / 1023;
}

/* Stopped with all others: a failed start leaves an error. */
static bool was_halted(const struct dv_container_record *record)
{
    const struct dv_container_state *state = record->state;
    return state->status == DV_STATUS_STOPPED && !record->manually_stopped && !state->error;
}

enum dv_rest_reason dv_restart_rest(const struct dv_container_record *record)
{
    const struct dv_restart_policy *policy = record->spec->restart_policy;
    const struct dv_container_state *state = record->state;
    bool is_failed_start =
        state->status == DV_STATUS_STOPPED && !record->manually_stopped && state->error;
    if (record->manually_stopped)
        return DV_REST_STOPPED;
    if (state->status == DV_STATUS_CREATED)
        return DV_REST_NEVER_STARTED;
    if (state->status != DV_STATUS_STOPPED && state->status != DV_STATUS_EXITED)
        return DV_REST_NONE;
    if (policy->type == DV_RESTART_NO)
        return is_failed_start ? DV_REST_START_FAILED : DV_REST_POLICY;
    if (was_halted(record))
        return DV_REST_NONE;
    if (policy->type == DV_RESTART_ON_FAILURE && policy->max_retry_count > 0 &&
        record->restart_count >= policy->max_retry_count)
        return DV_REST_RETRIES_USED;
    if (is_failed_start)
        return DV_REST_START_FAILED;
    if (policy->type == DV_RESTART_ON_FAILURE && state->exit_code == 0)
        return DV_REST_SUCCEEDED;
    return DV_REST_NONE;
}

bool dv_restart_at_boot(const struct dv_container_record *record, bool host_rebooted)
{
    if (!record->started_before)
        return false;
    const struct dv_restart_policy *policy = record->spec->restart_policy;
    switch (policy->type) {
    case DV_RESTART_NO:
        return false;
    case DV_RESTART_ALWAYS:
        return host_rebooted || !record->manually_stopped;
    case DV_RESTART_UNLESS_STOPPED:
        return !record->manually_stopped;
    case DV_RESTART_ON_FAILURE:
        /* What ended in good order because the machine went down has not ended by itself. */
        if (was_halted(record))
            return true;
        return !record->manually_stopped && record->state->exit_code != 0 &&
               (policy->max_retry_count == 0 || record->restart_count < policy->max_retry_count);
    }
    return false;
}
