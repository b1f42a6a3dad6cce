/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/states.h"

static const char *const operation_names[DV_OPERATION_COUNT] = {
    [DV_OPERATION_START] = "start",   [DV_OPERATION_STOP] = "stop",
    [DV_OPERATION_PAUSE] = "pause",   [DV_OPERATION_RESUME] = "resume",
    [DV_OPERATION_RENAME] = "rename", [DV_OPERATION_UPDATE] = "update",
    [DV_OPERATION_REMOVE] = "remove", [DV_OPERATION_REMOVE_FORCE] = "remove",
};

/* NULL: allowed. */
static const char not_created[] = "it is still being created; wait until it is CREATED";
static const char is_running[] = "it is already running";
static const char is_paused[] = "it is paused; resume it first";
static const char is_dead[] = "it is being removed";
static const char not_started[] = "it was never started";
static const char is_stopped[] = "it is already stopped";
static const char is_exited[] = "it has already exited";
static const char not_running[] = "it is not running; start it first";
static const char not_paused[] = "it is not paused";
static const char already_paused[] = "it is already paused";
static const char stop_first[] = "it is running; stop it first or remove it with force";
static const char resume_first[] = "it is paused; stop it first or remove it with force";

/* start, stop, pause, resume, rename, update, remove, remove with force */
static const char *const refusals[][DV_OPERATION_COUNT] = {
    /* clang-format off */
    [DV_STATUS_CREATING] = {not_created, not_created, not_created, not_created, not_created, not_created, not_created, not_created},
    [DV_STATUS_CREATED]  = {NULL, not_started, not_running, not_paused, NULL, NULL, NULL, NULL},
    [DV_STATUS_RUNNING]  = {is_running, NULL, NULL, not_paused, NULL, NULL, stop_first, NULL},
    [DV_STATUS_STOPPED]  = {NULL, is_stopped, not_running, not_paused, NULL, NULL, NULL, NULL},
    [DV_STATUS_PAUSED]   = {is_paused, NULL, already_paused, NULL, NULL, NULL, resume_first, NULL},
    [DV_STATUS_EXITED]   = {NULL, is_exited, not_running, not_paused, NULL, NULL, NULL, NULL},
    [DV_STATUS_DEAD]     = {is_dead, is_dead, is_dead, is_dead, is_dead, is_dead, is_dead, is_dead},
    [DV_STATUS_UNKNOWN]  = {NULL, NULL, not_running, not_paused, NULL, NULL, NULL, NULL},
    /* clang-format on */
};

const char *dv_operation_name(enum dv_operation operation)
{
    return operation_names[operation];
}

int dv_states_check(enum dv_status status,
                    enum dv_operation operation,
                    bool is_restart_pending,
                    const char *name,
                    struct dv_error *err)
{
    if (operation == DV_OPERATION_STOP && status == DV_STATUS_EXITED && is_restart_pending)
        return 0;
    const char *refusal = refusals[status][operation];
    if (!refusal)
        return 0;
    return dv_error_set(err, DV_ERR_STATE, "%s '%s' in state %s: %s", operation_names[operation],
                        name, dv_enum_api(&dv_enum_status, (int64_t)status), refusal);
}
