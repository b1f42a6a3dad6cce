/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether and when a container that ended is started again. Pure functions, any thread. Formulas:
 * docs/supervision.md.
 */
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

/* The back-off: first wait, doubled for each consecutive restart, up to a ceiling. */
struct dv_restart_limits {
    int64_t first_ms;
    int64_t max_ms;    /* unless the policy's retry_timeout_ns says less or more */
    int64_t stable_ms; /* a run at least this long starts the back-off anew */
};

/* How the last run ended. */
struct dv_restart_end {
    int64_t exit_code;
    int64_t ran_ms;        /* monotonic length of the run; -1: unknown */
    int64_t restart_count; /* automatic restarts since the last manual start */
    int64_t previous_ms;   /* the wait before the run that ended, 0: it was a manual start */
    bool manually_stopped;
    bool is_failed_start; /* the runtime could not start it */
};

/* True if it is started again, then after *ret_wait_ms. */
bool dv_restart_decide(const struct dv_restart_policy *policy,
                       const struct dv_restart_limits *limits,
                       const struct dv_restart_end *end,
                       int64_t *ret_wait_ms);

/* Containers that ended together do not come back together: a wait up to a fifth shorter. */
int64_t dv_restart_spread(int64_t wait_ms, uint64_t random);

/* Why a container that is down, and waits for no restart, stays down; NONE: nothing keeps it. */
enum dv_rest_reason dv_restart_rest(const struct dv_container_record *record);

/* At start of the daemon: whether a container that is not running is started. `host_rebooted`
 * brings `always` back also after a manual stop. */
bool dv_restart_at_boot(const struct dv_container_record *record, bool host_rebooted);
