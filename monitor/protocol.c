/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/protocol.h"

#include "messages/catalog.h"
#include "messages/codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define HEADER_BYTES 2

int dv_monitor_encode(const struct dv_schema *schema,
                      const void *body,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    const unsigned char header[HEADER_BYTES] = {(unsigned char)(schema->kind & 0xFFU),
                                                (unsigned char)(schema->kind >> 8)};
    size_t before = out->len;
    int r = dv_buf_append(out, header, sizeof(header), err);
    if (r == 0)
        r = dv_encode(schema, body, out, err);
    if (r == 0 && out->len - before > DV_MONITOR_FRAME_BYTES)
        r = dv_error_set(err, DV_ERR_LIMIT, "%s takes %zu bytes, a frame has room for %u",
                         schema->name, out->len - before, DV_MONITOR_FRAME_BYTES);
    return r;
}

int dv_monitor_decode(const void *bytes,
                      size_t len,
                      struct dv_arena *arena,
                      uint16_t *ret_kind,
                      void **ret,
                      struct dv_error *err)
{
    const unsigned char *at = bytes;
    if (len < HEADER_BYTES || len > DV_MONITOR_FRAME_BYTES)
        return dv_error_set(err, DV_ERR_PROTOCOL, "a frame of %zu bytes", len);
    uint16_t kind = (uint16_t)(at[0] | at[1] << 8);
    const struct dv_schema *schema = dv_schema_of_kind(kind);
    if (!schema)
        return dv_error_set(err, DV_ERR_PROTOCOL, "a frame of unknown kind %u", kind);
    int r = dv_decode(schema, at + HEADER_BYTES, len - HEADER_BYTES, arena, ret, err);
    if (r == 0)
        *ret_kind = kind;
    return r;
}

/* Room for one descriptor in a control message. */
union passing {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int dv_monitor_send_fd(
    int fd, const struct dv_schema *schema, const void *body, int passed, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(DV_MONITOR_FRAME_BYTES + HEADER_BYTES);
    int r = dv_monitor_encode(schema, body, &frame, err);
    if (r < 0)
        return r;
    struct iovec part = {frame.data, frame.len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union passing control = {.bytes = {0}};
    if (passed >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(passed));
        memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    return dv_error_sys(err, errno == EAGAIN ? DV_ERR_BUSY : DV_ERR_UNAVAILABLE, errno,
                        "send %s to the other side", schema->name);
}

int dv_monitor_send(int fd, const struct dv_schema *schema, const void *body, struct dv_error *err)
{
    return dv_monitor_send_fd(fd, schema, body, -1, err);
}

static int passed_of(struct msghdr *message)
{
    int fd = -1;
    const struct cmsghdr *control = CMSG_FIRSTHDR(message);
    if (control && control->cmsg_level == SOL_SOCKET && control->cmsg_type == SCM_RIGHTS &&
        control->cmsg_len >= CMSG_LEN(sizeof(fd)))
        memcpy(&fd, CMSG_DATA(control), sizeof(fd));
    return fd;
}

int dv_monitor_receive_fd(int fd,
                          struct dv_arena *arena,
                          uint16_t *ret_kind,
                          void **ret,
                          int *ret_fd,
                          struct dv_error *err)
{
    dv_autofree char *frame = malloc(DV_MONITOR_FRAME_BYTES);
    union passing control = {.bytes = {0}};
    if (!frame)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a frame");
    struct iovec part = {frame, DV_MONITOR_FRAME_BYTES};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = ret_fd ? control.bytes : NULL,
                             .msg_controllen = ret_fd ? sizeof(control.bytes) : 0};
    ssize_t got;
    do
        got = recvmsg(fd, &message, MSG_TRUNC | MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got < 0)
        return dv_error_sys(err, DV_ERR_UNAVAILABLE, errno, "receive from the other side");
    if (got == 0)
        return dv_error_sys(err, DV_ERR_UNAVAILABLE, ECONNRESET, "the other side is gone");
    dv_autoclose int passed = ret_fd ? passed_of(&message) : -1;
    int r = dv_monitor_decode(frame, (size_t)got, arena, ret_kind, ret, err);
    if (r < 0)
        return r;
    if (ret_fd)
        *ret_fd = dv_steal_fd(&passed);
    return 1;
}

int dv_monitor_receive(
    int fd, struct dv_arena *arena, uint16_t *ret_kind, void **ret, struct dv_error *err)
{
    return dv_monitor_receive_fd(fd, arena, ret_kind, ret, NULL, err);
}
