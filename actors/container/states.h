/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The states of a container: which operation each of them allows, and what leads from one to
 * another. Two tables, pure functions, any thread. docs/states.md is printed from them.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>

enum dv_operation {
    DV_OPERATION_START,
    DV_OPERATION_STOP,
    DV_OPERATION_PAUSE,
    DV_OPERATION_RESUME,
    DV_OPERATION_RENAME,
    DV_OPERATION_UPDATE,
    DV_OPERATION_REMOVE,
    DV_OPERATION_REMOVE_FORCE,
};
#define DV_OPERATION_COUNT 8

/* What changes a state; docs/states.md says when each happens. */
enum dv_edge {
    DV_EDGE_CREATED,
    DV_EDGE_STARTED,
    DV_EDGE_START_FAILED,
    DV_EDGE_PAUSED,
    DV_EDGE_RESUMED,
    DV_EDGE_EXITED,
    DV_EDGE_STOPPED,
    DV_EDGE_RESTART_CANCELED,
    DV_EDGE_REMOVING,
    DV_EDGE_REMOVE_FAILED,
    DV_EDGE_FOUND_NEW,
    DV_EDGE_FOUND_RUNNING,
    DV_EDGE_FOUND_PAUSED,
    DV_EDGE_FOUND_REMOVING,
};
#define DV_EDGE_COUNT 14

const char *dv_operation_name(enum dv_operation operation);
/* Why the operation is refused in that state; NULL: it is allowed. */
const char *dv_states_refusal(enum dv_status status, enum dv_operation operation);

/* The state that an edge leads to, and whether it may begin at `from`. */
enum dv_status dv_states_target(enum dv_edge edge);
bool dv_states_has_edge(enum dv_status from, enum dv_edge edge);
/* For people: what happens on that edge. */
const char *dv_states_cause(enum dv_edge edge);

/* 0 if allowed; else STATE with a text that names operation, container, state and remedy. A
 * container that waits for its restart can be stopped: that cancels the restart. */
int dv_states_check(enum dv_status status,
                    enum dv_operation operation,
                    bool is_restart_pending,
                    const char *name,
                    struct dv_error *err);
