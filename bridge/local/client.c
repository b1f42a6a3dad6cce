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
    client->in = DV_BUF_INIT(DV_LOCAL_LINE_MAX + READ_BYTES);
    client->out = DV_BUF_INIT(DV_LOCAL_OUT_MAX);
    return client;
}

void client_free(struct client *client)
{
    if (!client)
        return;
    dv_close(&client->fd);
    dv_buf_done(&client->in);
    dv_buf_done(&client->out);
    free(client);
}

void client_read(struct client *client)
{
    char *room;
    if (client->in.len > DV_LOCAL_LINE_MAX || client->is_closing)
        return;
    if (dv_buf_reserve(&client->in, READ_BYTES, &room, NULL) < 0) {
        client->is_dead = true;
        return;
    }
    ssize_t got = recv(client->fd, room, READ_BYTES, MSG_DONTWAIT);
    if (got > 0) {
        client->in.len += (size_t)got;
        dv_buf_terminate(&client->in);
    } else if (got == 0) {
        client->is_closing = true;
        if (!client->out.len)
            client->is_dead = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        client->is_dead = true;
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
    if (!end) {
        *ret_is_too_long = client->in.len > DV_LOCAL_LINE_MAX;
        return false;
    }
    *ret_line = (struct dv_str){client->in.data, (size_t)(end - client->in.data)};
    client->line_end = ret_line->len + 1;
    return true;
}

void client_flush(struct client *client)
{
    while (client->out.len && !client->is_dead) {
        ssize_t sent =
            send(client->fd, client->out.data, client->out.len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            return;
        if (sent < 0) {
            client->is_dead = true;
            return;
        }
        dv_buf_consume(&client->out, (size_t)sent);
    }
    if (client->is_closing)
        client->is_dead = true;
}

void client_send(struct client *client, const char *line, size_t len)
{
    if (client->is_dead)
        return;
    if (dv_buf_append(&client->out, line, len, NULL) < 0 ||
        dv_buf_append(&client->out, "\n", 1, NULL) < 0) {
        dv_log(DV_LOG_WARN, "local: a client does not read its answers (%zu bytes wait), dropped",
               client->out.len);
        client->is_dead = true;
        return;
    }
    client_flush(client);
}
