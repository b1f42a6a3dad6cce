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

int dv_monitor_send(int fd, const struct dv_schema *schema, const void *body, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(DV_MONITOR_FRAME_BYTES + HEADER_BYTES);
    int r = dv_monitor_encode(schema, body, &frame, err);
    if (r < 0)
        return r;
    ssize_t sent;
    do
        sent = send(fd, frame.data, frame.len, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent >= 0)
        return 0;
    return dv_error_sys(err, errno == EAGAIN ? DV_ERR_BUSY : DV_ERR_UNAVAILABLE, errno,
                        "send %s to the other side", schema->name);
}

int dv_monitor_receive(
    int fd, struct dv_arena *arena, uint16_t *ret_kind, void **ret, struct dv_error *err)
{
    dv_autofree char *frame = malloc(DV_MONITOR_FRAME_BYTES);
    if (!frame)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a frame");
    ssize_t got;
    do
        got = recv(fd, frame, DV_MONITOR_FRAME_BYTES, MSG_TRUNC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got < 0)
        return dv_error_sys(err, DV_ERR_UNAVAILABLE, errno, "receive from the other side");
    if (got == 0)
        return dv_error_sys(err, DV_ERR_UNAVAILABLE, ECONNRESET, "the other side is gone");
    int r = dv_monitor_decode(frame, (size_t)got, arena, ret_kind, ret, err);
    return r < 0 ? r : 1;
}
