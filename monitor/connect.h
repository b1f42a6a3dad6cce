/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A connection to davit-monitor that has said hello. Private to monitor/. */
#include "base/error.h"
#include "messages/messages.h"

/* Blocks for one exchange with the monitor, at most some seconds. UNAVAILABLE with an errno when it
 * is not there. */
int mon_connect(const char *socket_path,
                enum dv_monitor_role role,
                int *ret_fd,
                struct dv_error *err);
