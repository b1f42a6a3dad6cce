/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A connection to davit-monitor that has said hello. Private to monitor/. */
#include "base/error.h"
#include "messages/messages.h"

#define MON_STREAMS_VERSION 2 /* the first one with terminals and streams */

struct mon_peer {
    int version;      /* of the protocol that is spoken */
    char program[65]; /* version of davit-monitor; empty: it does not say */
};

void mon_peer_is(struct mon_peer *peer, const struct dv_monitor_welcome *welcome);

/* Blocks for one exchange with the monitor, at most some seconds. UNAVAILABLE with an errno when it
 * is not there. */
int mon_connect(const char *socket_path,
                enum dv_monitor_role role,
                int *ret_fd,
                struct mon_peer *ret_peer,
                struct dv_error *err);

/* Connects and says hello without waiting for an answer: for a stream, which a stranger goes on
 * with. The descriptor is non-blocking. BUSY when the monitor does not come to accept anybody. */
int mon_connect_stream(const char *socket_path, int *ret_fd, struct dv_error *err);
