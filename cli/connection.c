/* SPDX-License-Identifier: Apache-2.0 */
/* JSON lines to and from the local bridge. */
#include "base/cleanup.h"
#include "cli/cli.h"
#include "messages/json/json_codec.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define KIND_KEY   "kind"
#define READ_BYTES (64U << 10)

static int connect_to(struct cli *cli, struct dv_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (cli->fd >= 0)
        return 0;
    if (strlen(cli->socket_path) >= sizeof(address.sun_path))
        return dv_error_set(err, DV_ERR_INVALID, "'%s' is too long for a socket", cli->socket_path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", cli->socket_path);
    dv_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return dv_error_sys(
            err, DV_ERR_UNAVAILABLE, errno,
            "the daemon cannot be reached on '%s' (is davitd running? are you root?)",
            cli->socket_path);
    cli->fd = dv_steal_fd(&fd);
    return 0;
}

void cli_close(struct cli *cli)
{
    dv_close(&cli->fd);
    dv_buf_done(&cli->in);
    if (cli->has_passed)
        dv_close(&cli->passed);
    cli->has_passed = false;
}

static int
send_line(struct cli *cli, const struct dv_schema *schema, const void *body, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) line = DV_BUF_INIT(4U << 20);
    struct dv_json_writer w;
    dv_jw_init(&w, &line);
    dv_jw_object(&w);
    dv_jw_member_text(&w, KIND_KEY, schema->name);
    dv_message_write_members(&w, schema, body);
    dv_jw_object_end(&w);
    int r = dv_jw_done(&w, err);
    if (r == 0)
        r = dv_buf_append(&line, "\n", 1, err);
    for (size_t at = 0; r == 0 && at < line.len;) {
        ssize_t sent = send(cli->fd, line.data + at, line.len - at, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && (errno == EPIPE || errno == ECONNRESET))
            return 0; /* it may have said why */
        if (sent < 0)
            return dv_error_sys(err, DV_ERR_UNAVAILABLE, errno, "the daemon went away");
        at += (size_t)sent;
    }
    return r;
}

/* A descriptor comes with the bytes of its line. */
static ssize_t receive(struct cli *cli, char *room)
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {room, READ_BYTES};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    ssize_t got = recvmsg(cli->fd, &message, MSG_CMSG_CLOEXEC);
    const struct cmsghdr *header = got > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    if (header && header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS &&
        header->cmsg_len >= CMSG_LEN(sizeof(cli->passed))) {
        if (cli->has_passed)
            dv_close(&cli->passed);
        memcpy(&cli->passed, CMSG_DATA(header), sizeof(cli->passed));
        cli->has_passed = true;
    }
    return got;
}

static int read_line(struct cli *cli, struct dv_str *ret, struct dv_error *err)
{
    for (;;) {
        char *room;
        const char *end = cli->in.len ? memchr(cli->in.data, '\n', cli->in.len) : NULL;
        if (end) {
            *ret = (struct dv_str){cli->in.data, (size_t)(end - cli->in.data)};
            return 0;
        }
        int r = dv_buf_reserve(&cli->in, READ_BYTES, &room, err);
        if (r < 0)
            return r;
        ssize_t got = receive(cli, room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return dv_error_sys(err, DV_ERR_UNAVAILABLE, got < 0 ? errno : ECONNRESET,
                                "the daemon closed the connection");
        cli->in.len += (size_t)got;
        dv_buf_terminate(&cli->in);
    }
}

/* The next line of one of `count` messages; *ret_schema is the one. */
static int next_of(struct cli *cli,
                   const struct dv_schema *const *schemas,
                   size_t count,
                   struct dv_arena *arena,
                   const struct dv_schema **ret_schema,
                   void **ret,
                   struct dv_error *err)
{
    for (;;) {
        struct dv_str line = {NULL, 0};
        DV_AUTO(dv_json) object = NULL;
        int r = read_line(cli, &line, err);
        if (r < 0)
            return r;
        r = dv_json_parse(line.data, line.len, &object, err);
        const char *kind = dv_json_text(dv_json_get(object, KIND_KEY));
        const struct dv_schema *wanted = NULL;
        for (size_t i = 0; r == 0 && kind && i < count; i++)
            if (strcmp(kind, schemas[i]->name) == 0)
                wanted = schemas[i];
        if (wanted)
            r = dv_message_read_json(wanted, object, KIND_KEY, arena, ret, err);
        dv_buf_consume(&cli->in, line.len + 1);
        if (r < 0)
            return dv_error_prefix(err, "an answer of the daemon cannot be read: ");
        if (wanted) {
            *ret_schema = wanted;
            return 0;
        }
    }
}

int cli_next(struct cli *cli,
             const struct dv_schema *schema,
             struct dv_arena *arena,
             void **ret,
             struct dv_error *err)
{
    const struct dv_schema *found;
    return next_of(cli, &schema, 1, arena, &found, ret, err);
}

static int refusal(const struct dv_local_reply *reply, struct dv_error *err)
{
    enum dv_error_class class = DV_ERR_FAILED;
    for (int number = 1; number < 64; number++)
        if (reply->class && strcmp(dv_error_name(dv_error_class_of(number)), reply->class) == 0)
            class = dv_error_class_of(number);
    return dv_error_set(err, class, "%s", reply->error ? reply->error : "refused");
}

int cli_send(struct cli *cli,
             const char *feature,
             const char *operation,
             const char *args,
             struct dv_error *err)
{
    char id[16];
    int r = connect_to(cli, err);
    if (r < 0)
        return r;
    snprintf(id, sizeof(id), "%u", ++cli->last_id);
    struct dv_local_request request = {
        .id = id,
        .feature = (char *)feature,
        .operation = (char *)operation,
        .args = (char *)args,
    };
    return send_line(cli, &dv_schema_local_request, &request, err);
}

bool cli_has_answer(struct cli *cli, int timeout_ms)
{
    struct pollfd ready = {.fd = cli->fd, .events = POLLIN};
    if (cli->in.len && memchr(cli->in.data, '\n', cli->in.len))
        return true;
    int got = poll(&ready, 1, timeout_ms);
    return got > 0 || (got < 0 && errno != EINTR);
}

int cli_receive(struct cli *cli,
                struct dv_arena *arena,
                const char **ret_value,
                struct dv_error *err)
{
    void *body;
    int r = cli_next(cli, &dv_schema_local_reply, arena, &body, err);
    if (r < 0)
        return r;
    const struct dv_local_reply *reply = body;
    if (reply->status >= 300)
        return refusal(reply, err);
    *ret_value = reply->value;
    return 0;
}

int cli_ask(struct cli *cli,
            const char *feature,
            const char *operation,
            const char *args,
            struct dv_arena *arena,
            const char **ret_value,
            struct dv_error *err)
{
    int r = cli_send(cli, feature, operation, args, err);
    return r < 0 ? r : cli_receive(cli, arena, ret_value, err);
}

int cli_ask_stream(struct cli *cli,
                   const struct dv_schema *schema,
                   const void *request,
                   int *ret_fd,
                   struct dv_error *err)
{
    const struct dv_schema *const answers[] = {&dv_schema_local_stream, &dv_schema_local_reply};
    const struct dv_schema *answer;
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    void *body;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for an answer");
    int r = connect_to(cli, err);
    if (r == 0)
        r = send_line(cli, schema, request, err);
    if (r == 0)
        r = next_of(cli, answers, 2, arena, &answer, &body, err);
    if (r < 0)
        return r;
    if (answer == &dv_schema_local_reply)
        return refusal(body, err);
    if (!cli->has_passed)
        return dv_error_set(err, DV_ERR_PROTOCOL, "the daemon answers without a descriptor");
    *ret_fd = cli->passed;
    cli->has_passed = false;
    return 0;
}
