/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Parcels through czmq sockets. The descriptor of a socket (ZMQ_FD) only says that something may
 * have changed, so dv_socket_has_input() is asked before every poll. Each socket belongs to the
 * thread that made it. Private to the kit.
 */
#include "actors/kit/parcel.h"

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>

#define DV_ENDPOINT_MAX 64
#define DV_IDENTITY_MAX 16

/* Name of a host at the ROUTER. */
void dv_socket_identity(uint32_t host, char identity[DV_IDENTITY_MAX]);

/* A mailbox: a DEALER of that identity, connected. NULL and errno on failure. */
zsock_t *dv_socket_mailbox(const char *endpoint, uint32_t host, int receive_mark);

/* Takes the parcel. With `identity` (a ROUTER) it never waits: -DV_ERR_BUSY, or
 * -DV_ERR_UNDELIVERABLE, leaves the parcel. Without, it waits for room. */
int dv_socket_send(zsock_t *socket, const char *identity, struct dv_parcel *parcel);

enum dv_received {
    DV_RECEIVED_NOTHING,
    DV_RECEIVED_PARCEL,
    DV_RECEIVED_MALFORMED, /* wrong number of frames; dropped */
};

/* Never waits. `is_router`: a frame with the sender's identity comes first. `ret` is written for
 * DV_RECEIVED_PARCEL only. */
enum dv_received dv_socket_receive(zsock_t *socket, bool is_router, struct dv_parcel *ret);

bool dv_socket_has_input(zsock_t *socket);

/* For poll(2): milliseconds until `due_ns`, rounded up; -1 for INT64_MAX. */
int dv_socket_timeout_ms(int64_t now_ns, int64_t due_ns);
