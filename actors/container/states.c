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
static const char not_known[] = "davitd has not looked at it yet; try again later";
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
    [DV_STATUS_UNKNOWN]  = {not_known, not_known, not_known, not_known, not_known, not_known, not_known, not_known},
    /* clang-format on */
};

#define IN(status)      (1U << (unsigned)(status))
#define IN_REST         (IN(DV_STATUS_CREATED) | IN(DV_STATUS_STOPPED) | IN(DV_STATUS_EXITED))
#define IN_UP           (IN(DV_STATUS_RUNNING) | IN(DV_STATUS_PAUSED))
#define IN_REST_OR_DEAD (IN_REST | IN(DV_STATUS_DEAD))

static const struct {
    unsigned from; /* one bit a state */
    enum dv_status to;
    const char *cause;
} edges[DV_EDGE_COUNT] = {
    /* clang-format off */
    [DV_EDGE_CREATED]          = {IN(DV_STATUS_CREATING), DV_STATUS_CREATED, "the image is there and the record is made"},
    [DV_EDGE_STARTED]          = {IN_REST, DV_STATUS_RUNNING, "`start`, or a restart: the process runs"},
    [DV_EDGE_START_FAILED]     = {IN_REST, DV_STATUS_STOPPED, "`start`, or a restart: it failed; `error` says why"},
    [DV_EDGE_PAUSED]           = {IN(DV_STATUS_RUNNING), DV_STATUS_PAUSED, "`pause`"},
    [DV_EDGE_RESUMED]          = {IN(DV_STATUS_PAUSED), DV_STATUS_RUNNING, "`resume`, or a `stop` that failed after it had thawed the container"},
    [DV_EDGE_EXITED]           = {IN_UP, DV_STATUS_EXITED, "the process ended and no `stop` waited for it"},
    [DV_EDGE_STOPPED]          = {IN_UP, DV_STATUS_STOPPED, "`stop`: the process has ended"},
    [DV_EDGE_RESTART_CANCELED] = {IN(DV_STATUS_STOPPED) | IN(DV_STATUS_EXITED), DV_STATUS_STOPPED, "`stop` while a restart is pending"},
    [DV_EDGE_REMOVING]         = {IN_REST_OR_DEAD | IN_UP, DV_STATUS_DEAD, "`remove`; with force the process has ended before"},
    [DV_EDGE_REMOVE_FAILED]    = {IN_REST_OR_DEAD, DV_STATUS_STOPPED, "`remove` failed; `error` says why"},
    [DV_EDGE_FOUND_NEW]        = {IN(DV_STATUS_CREATING) | IN(DV_STATUS_UNKNOWN), DV_STATUS_CREATED, "davitd starts: the record of a create that was interrupted, or of Kanto"},
    [DV_EDGE_FOUND_RUNNING]    = {IN_REST | IN_UP, DV_STATUS_RUNNING, "davitd starts, or looks again after a call that came to no end: it runs"},
    [DV_EDGE_FOUND_PAUSED]     = {IN_REST | IN_UP, DV_STATUS_PAUSED, "the same: it is frozen"},
    [DV_EDGE_FOUND_REMOVING]   = {IN(DV_STATUS_DEAD), DV_STATUS_STOPPED, "davitd starts: the `remove` was interrupted and goes on"},
    /* clang-format on */
};

const char *dv_operation_name(enum dv_operation operation)
{
    return operation_names[operation];
}

const char *dv_states_refusal(enum dv_status status, enum dv_operation operation)
{
    return refusals[status][operation];
}

enum dv_status dv_states_target(enum dv_edge edge)
{
    return edges[edge].to;
}

bool dv_states_has_edge(enum dv_status from, enum dv_edge edge)
{
    return (edges[edge].from & IN(from)) != 0;
}

const char *dv_states_cause(enum dv_edge edge)
{
    return edges[edge].cause;
}

int dv_states_check(enum dv_status status,
                    enum dv_operation operation,
                    bool is_restart_pending,
                    const char *name,
                    struct dv_error *err)
{
    if (operation == DV_OPERATION_STOP && is_restart_pending &&
        dv_states_has_edge(status, DV_EDGE_RESTART_CANCELED))
        return 0;
    const char *refusal = refusals[status][operation];
    if (!refusal)
        return 0;
    return dv_error_set(err, DV_ERR_STATE, "%s '%s' in state %s: %s", operation_names[operation],
                        name, dv_enum_api(&dv_enum_status, (int64_t)status), refusal);
}
