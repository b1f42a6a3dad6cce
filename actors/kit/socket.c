/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/socket.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_MS   1000000
#define PARTS       3
#define SENDER_MARK 1

#define REACH_WAIT_MS  10
#define REACH_ATTEMPTS 100

void dv_socket_identity(uint32_t host, char identity[DV_IDENTITY_MAX])
{
    snprintf(identity, DV_IDENTITY_MAX, "h%u", host);
}

zsock_t *dv_socket_mailbox(const char *endpoint, uint32_t host, int receive_mark)
{
    char identity[DV_IDENTITY_MAX];
    dv_socket_identity(host, identity);
    zsock_t *socket = zsock_new(ZMQ_DEALER);
    if (!socket)
        return NULL;
    zsock_set_identity(socket, identity);
    zsock_set_rcvhwm(socket, receive_mark);
    zsock_set_sndhwm(socket, SENDER_MARK);
    zsock_set_linger(socket, 0);
    if (zsock_connect(socket, "%s", endpoint) != 0)
        zsock_destroy(&socket);
    return socket;
}

static int send_frame(void *handle, zmq_msg_t *frame, int flags)
{
    int r;
    do
        r = zmq_msg_send(frame, handle, flags);
    while (r < 0 && errno == EINTR);
    return r;
}

/* A mailbox that has just connected may not show yet: libzmq passes a command on only when the
 * thread that wrote the first of several has rung the bell, and that thread may wait for a
 * processor. The bell is what is waited for here. */
static void wait_for_commands(zsock_t *socket)
{
    struct pollfd bell = {.fd = (int)zsock_fd(socket), .events = POLLIN};
    (void)poll(&bell, 1, REACH_WAIT_MS);
}

static int send_identity(zsock_t *socket, const char *identity)
{
    void *handle = zsock_resolve(socket);
    for (int attempt = 0;; attempt++) {
        if (zmq_send(handle, identity, strlen(identity), ZMQ_SNDMORE | ZMQ_DONTWAIT) >= 0)
            return 0;
        if (errno == EINTR)
            continue;
        bool is_unreachable = errno == EHOSTUNREACH;
        if (attempt > 0 && !is_unreachable)
            return -DV_ERR_BUSY;
        if (attempt > REACH_ATTEMPTS)
            return -DV_ERR_UNDELIVERABLE;
        if (attempt > 0)
            wait_for_commands(socket);
        /* Room and new mailboxes show only after the socket has read its own commands, which a
         * send does not always do. */
        (void)zsock_events(socket);
    }
}

int dv_socket_send(zsock_t *socket, const char *identity, struct dv_parcel *parcel)
{
    int flags = 0;
    if (identity) {
        int r = send_identity(socket, identity);
        if (r < 0)
            return r;
        flags = ZMQ_DONTWAIT;
    }
    void *handle = zsock_resolve(socket);
    if (send_frame(handle, &parcel->to, ZMQ_SNDMORE | flags) < 0 ||
        send_frame(handle, &parcel->envelope, ZMQ_SNDMORE | flags) < 0 ||
        send_frame(handle, &parcel->body, flags) < 0) {
        int error = errno;
        dv_parcel_done(parcel);
        return error == EAGAIN ? -DV_ERR_BUSY : -DV_ERR_UNDELIVERABLE;
    }
    return 0;
}

/* Reads what is left of a message with the wrong number of frames. */
static void drain(void *handle, bool is_more)
{
    while (is_more) {
        zmq_msg_t frame;
        zmq_msg_init(&frame);
        int r = zmq_msg_recv(&frame, handle, ZMQ_DONTWAIT);
        is_more = r >= 0 && zmq_msg_more(&frame);
        zmq_msg_close(&frame);
    }
}

enum dv_received dv_socket_receive(zsock_t *socket, bool is_router, struct dv_parcel *ret)
{
    void *handle = zsock_resolve(socket);
    zmq_msg_t identity;
    zmq_msg_init(&identity);
    struct dv_parcel parcel;
    dv_parcel_init(&parcel);
    zmq_msg_t *frames[PARTS + 1] = {&identity, &parcel.to, &parcel.envelope, &parcel.body};
    bool is_more = true;
    int i = is_router ? 0 : 1;
    int first = i;
    for (; i <= PARTS && is_more; i++) {
        if (zmq_msg_recv(frames[i], handle, ZMQ_DONTWAIT) < 0)
            break;
        is_more = zmq_msg_more(frames[i]);
    }
    zmq_msg_close(&identity);
    if (i > PARTS && !is_more) {
        *ret = parcel;
        return DV_RECEIVED_PARCEL;
    }
    dv_parcel_done(&parcel);
    if (i == first)
        return DV_RECEIVED_NOTHING;
    drain(handle, is_more);
    return DV_RECEIVED_MALFORMED;
}

bool dv_socket_has_input(zsock_t *socket)
{
    return zsock_events(socket) & ZMQ_POLLIN;
}

int dv_socket_timeout_ms(int64_t now_ns, int64_t due_ns)
{
    if (due_ns == INT64_MAX)
        return -1;
    if (due_ns <= now_ns)
        return 0;
    int64_t ms = (due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS;
    return ms > INT32_MAX ? INT32_MAX : (int)ms;
}
