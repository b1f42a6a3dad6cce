/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A connection to davit-monitor that has said hello. Private to monitor/. */
#include "base/error.h"
#include "messages/messages.h"

#define MON_STREAMS_VERSION 2 /* the first one with terminals and streams */

/* Blocks for one exchange with the monitor, at most some seconds. UNAVAILABLE with an errno when it
 * is not there. *ret_version is the version that is spoken. */
int mon_connect(const char *socket_path,
                enum dv_monitor_role role,
                int *ret_fd,
                int *ret_version,
                struct dv_error *err);

/* Connects and says hello without waiting for an answer: for a stream, which a stranger goes on
 * with. The descriptor is non-blocking. BUSY when the monitor does not come to accept anybody. */
int mon_connect_stream(const char *socket_path, int *ret_fd, struct dv_error *err);
