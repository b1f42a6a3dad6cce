/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/line_peer.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define IN_MAX     (32U << 20)
#define READ_BYTES (64U << 10)
/* Room for some hundred short lines, each of which counts for much more than its length. */
#define SEND_BYTES (1 << 20)

struct dv_line_peer {
    int fd;
    struct dv_buf in;
    bool is_over;
    bool has_passed;
    int passed;
};

struct dv_line_peer *dv_line_peer_new(const char *path)
{
    struct dv_line_peer *peer = calloc(1, sizeof(*peer));
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int room = SEND_BYTES;
    cr_assert_not_null(peer);
    peer->in = DV_BUF_INIT(IN_MAX);
    peer->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    (void)setsockopt(peer->fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    cr_assert_eq(connect(peer->fd, (const struct sockaddr *)&address, sizeof(address)), 0,
                 "connect to '%s': %s", path, strerror(errno));
    return peer;
}

void dv_line_peer_free(struct dv_line_peer *peer)
{
    if (!peer)
        return;
    dv_close(&peer->fd);
    if (peer->has_passed)
        dv_close(&peer->passed);
    dv_buf_done(&peer->in);
    free(peer);
}

int dv_line_peer_fd(const struct dv_line_peer *peer)
{
    return peer->fd;
}

size_t dv_line_peer_write(struct dv_line_peer *peer, const void *bytes, size_t len)
{
    ssize_t sent = send(peer->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    cr_assert(sent >= 0 || errno == EAGAIN || errno == EPIPE || errno == ECONNRESET, "send: %s",
              strerror(errno));
    return sent > 0 ? (size_t)sent : 0;
}

void dv_line_peer_send(struct dv_line_peer *peer, const char *line)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(IN_MAX);
    cr_assert_eq(dv_buf_printf(&out, NULL, "%s\n", line), 0);
    cr_assert_eq(dv_line_peer_write(peer, out.data, out.len), out.len, "the socket is full");
}

void dv_line_peer_half_close(struct dv_line_peer *peer)
{
    cr_assert_eq(shutdown(peer->fd, SHUT_WR), 0);
}

static void read_some(struct dv_line_peer *peer)
{
    char *room;
    cr_assert_eq(dv_buf_reserve(&peer->in, READ_BYTES, &room, NULL), 0);
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {room, READ_BYTES};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t got = recvmsg(peer->fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got > 0 && CMSG_FIRSTHDR(&message)) {
        cr_assert_not(peer->has_passed, "two descriptors, of which one was not taken");
        memcpy(&peer->passed, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(peer->passed));
        peer->has_passed = true;
    }
    if (got > 0)
        peer->in.len += (size_t)got;
    else if (got == 0 || errno != EAGAIN)
        peer->is_over = true;
    dv_buf_terminate(&peer->in);
}

struct dv_json *dv_line_peer_take(struct dv_line_peer *peer, int timeout_ms)
{
    const char *end;
    struct dv_json *line;
    struct dv_error err = DV_ERROR_INIT;
    while (!(end = peer->in.len ? memchr(peer->in.data, '\n', peer->in.len) : NULL)) {
        struct pollfd wait = {.fd = peer->fd, .events = POLLIN};
        if (peer->is_over || poll(&wait, 1, timeout_ms) <= 0)
            return NULL;
        read_some(peer);
    }
    size_t len = (size_t)(end - peer->in.data);
    cr_assert_eq(dv_json_parse(peer->in.data, len, &line, &err), 0, "%s: %.*s", err.text, (int)len,
                 peer->in.data);
    cr_assert(dv_json_is(line, DV_JSON_OBJECT));
    dv_buf_consume(&peer->in, len + 1);
    return line;
}

int dv_line_peer_passed(struct dv_line_peer *peer)
{
    int fd = peer->has_passed ? peer->passed : -1;
    peer->has_passed = false;
    return fd;
}

bool dv_line_peer_is_over(const struct dv_line_peer *peer)
{
    return peer->is_over && !peer->in.len;
}
