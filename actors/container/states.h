/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which operation a container allows in which state: one table, pure functions, any thread.
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

const char *dv_operation_name(enum dv_operation operation);

/* 0 if allowed; else STATE with a text that names operation, container, state and remedy. A pending
 * restart makes an exited container stoppable. */
int dv_states_check(enum dv_status status,
                    enum dv_operation operation,
                    bool is_restart_pending,
                    const char *name,
                    struct dv_error *err);
