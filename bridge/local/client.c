/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/local/client.h"

#include "base/log.h"
#include "bridge/local/local.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define READ_BYTES (64U << 10)

struct client *client_new(uint64_t number, int fd)
{
    struct client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    client->number = number;
    client->fd = fd;
    client->passed = -1;
    client->in = DV_BUF_INIT(DV_LOCAL_LINE_MAX + READ_BYTES);
    client->out = DV_BUF_INIT(DV_LOCAL_OUT_MAX);
    return client;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    dv_close(&client->fd);
    dv_close(&client->passed);
    dv_buf_done(&client->in);
    dv_buf_done(&client->out);
    free(client);
}

void client_end(struct client *client)
{
    client->is_dead = true;
    (void)shutdown(client->fd, SHUT_RDWR);
}

void client_settle(struct client *client)
{
    if (client->is_closing && !client->has_input && !client->out.len && !client->open &&
        !client->wants_twin && !client->wants_trace)
        client_end(client);
}

void client_read(struct client *client)
{
    char *room;
    if (client->in.len > DV_LOCAL_LINE_MAX || client->is_closing || client->is_dead)
        return;
    if (dv_buf_reserve(&client->in, READ_BYTES, &room, NULL) < 0) {
        client_end(client);
        return;
    }
    ssize_t got = recv(client->fd, room, READ_BYTES, MSG_DONTWAIT);
    if (got > 0) {
        client->in.len += (size_t)got;
        client->has_input = true;
        dv_buf_terminate(&client->in);
    } else if (got == 0) {
        client->is_closing = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        client_end(client);
    }
}

bool client_line(struct client *client, struct dv_str *ret_line, bool *ret_is_too_long)
{
    *ret_is_too_long = false;
    if (client->line_end) {
        dv_buf_consume(&client->in, client->line_end);
        client->line_end = 0;
    }
    const char *end = client->in.len ? memchr(client->in.data, '\n', client->in.len) : NULL;
    size_t len = end ? (size_t)(end - client->in.data) : client->in.len;
    *ret_is_too_long = len > DV_LOCAL_LINE_MAX;
    if (!end || *ret_is_too_long) {
        client->has_input = false;
        return false;
    }
    *ret_line = (struct dv_str){client->in.data, len};
    client->line_end = len + 1;
    return true;
}

void client_pass(struct client *client, int fd)
{
    client->passed = fd;
    client->pass_at = client->out.len;
}

/* A descriptor goes with the first byte of its line, so what is before that goes alone. */
static ssize_t send_part(struct client *client)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {client->out.data, client->out.len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (client->passed >= 0 && client->pass_at > 0) {
        part.iov_len = client->pass_at;
    } else if (client->passed >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(client->passed));
        memcpy(CMSG_DATA(&control.header), &client->passed, sizeof(client->passed));
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
    }
    ssize_t sent = sendmsg(client->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent <= 0)
        return sent;
    if (message.msg_control)
        dv_close(&client->passed);
    else if (client->passed >= 0)
        client->pass_at -= (size_t)sent;
    return sent;
}

void client_flush(struct client *client)
{
    while (client->out.len && !client->is_dead) {
        ssize_t sent = send_part(client);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0) {
            client_end(client);
            return;
        }
        dv_buf_consume(&client->out, (size_t)sent);
    }
}

void client_send(struct client *client, const char *line, size_t len)
{
    if (client->is_dead)
        return;
    if (dv_buf_append(&client->out, line, len, NULL) < 0 ||
        dv_buf_append(&client->out, "\n", 1, NULL) < 0) {
        dv_log(DV_LOG_WARN, "local: a client does not read its answers (%zu bytes wait), dropped",
               client->out.len);
        client_end(client);
        return;
    }
    client_flush(client);
}
