/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/local/local.h"

#include "base/log.h"
#include "bridge/local/client.h"
#include "bridge/local/line.h"
#include "messages/json/json_codec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG        64
#define SENT_MAX       4096
#define DAVIT_FEATURE  "davit"
#define TRACE          "trace"
#define TRACE_OFF_ARGS "{\"on\":false}"
#define LOG_INTERVAL_S 10

struct local {
    struct dv_bridge base;
    char path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    int epoll;
    int listener;
    int spare; /* descriptor for turning somebody away when there are no more */
    gid_t group;
    unsigned clients_max;
    struct dv_local_streams streams;
    unsigned client_count;
    uint64_t last_client;
    struct client *clients;
    struct dv_log_limit turned_away;
    bool is_link_told;
    bool must_stop_trace;   /* the last client that wanted it is gone */
    int64_t sent[SENT_MAX]; /* numbers of twin changes, to be told as sent */
    size_t sent_first;
    size_t sent_count;
};

/* -- lines ---------------------------------------------------------------------------------- */

static void send_message(struct client *client, const struct dv_schema *schema, const void *body)
{
    DV_AUTO_IN_PLACE(dv_buf) line = DV_BUF_INIT(DV_LOCAL_OUT_MAX);
    struct dv_json_writer w;
    struct dv_error err = DV_ERROR_INIT;
    dv_jw_init(&w, &line);
    dv_jw_object(&w);
    dv_jw_member_text(&w, LINE_KIND_KEY, schema->name);
    dv_message_write_members(&w, schema, body);
    dv_jw_object_end(&w);
    if (dv_jw_done(&w, &err) < 0)
        dv_log(DV_LOG_ERROR, "local: a line cannot be written: %s", err.text);
    else
        client_send(client, line.data, line.len);
}

static void send_error(struct client *client, const char *id, const struct dv_error *error)
{
    struct dv_local_reply reply = {
        .id = (char *)id,
        .status = dv_error_status(error->class),
        .error = (char *)error->text,
        .class = (char *)dv_error_name(error->class),
    };
    send_message(client, &dv_schema_local_reply, &reply);
}

/* -- clients -------------------------------------------------------------------------------- */

static void watch(struct local *l, struct client *client, int operation)
{
    struct epoll_event event = {.data.ptr = client, .events = EPOLLIN};
    if (client->out.len)
        event.events |= EPOLLOUT;
    if (client->is_closing)
        event.events &= ~(uint32_t)EPOLLIN;
    (void)epoll_ctl(l->epoll, operation, client->fd, &event);
}

static bool is_welcome(const struct local *l, int fd)
{
    struct ucred peer;
    socklen_t len = sizeof(peer);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
        return false;
    return peer.uid == 0 || peer.uid == geteuid() || peer.gid == l->group;
}

/* The client is told why, if it listens. */
static void turn_away(struct local *l, int fd, const struct dv_error *why)
{
    unsigned skipped = 0;
    if (dv_log_allow(&l->turned_away, LOG_INTERVAL_S, &skipped))
        dv_log(DV_LOG_WARN, "local: a client is turned away: %s (%u before it were not logged)",
               why->text, skipped);
    struct client *client = client_new(0, fd);
    if (client)
        send_error(client, "", why);
    else
        close(fd);
    client_free(client);
}

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Whoever waits would keep the listener readable, and the session busy, for ever. */
static void turn_away_without_room(struct local *l)
{
    struct dv_error err = DV_ERROR_INIT;
    dv_error_set(&err, DV_ERR_BUSY, "davitd has no descriptors left");
    dv_close(&l->spare);
    int fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0)
        turn_away(l, fd, &err);
    l->spare = open_spare();
}

static void take_client(struct local *l)
{
    struct dv_error err = DV_ERROR_INIT;
    int fd = accept4(l->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0) {
        if (errno == EMFILE || errno == ENFILE)
            turn_away_without_room(l);
        return;
    }
    if (!is_welcome(l, fd))
        dv_error_set(&err, DV_ERR_DENIED, "'%s' is for root and the group of the socket", l->path);
    else if (l->client_count >= l->clients_max)
        dv_error_set(&err, DV_ERR_BUSY, "%u clients are connected, no more are served",
                     l->client_count);
    if (err.class) {
        turn_away(l, fd, &err);
        return;
    }
    struct client *client = client_new(++l->last_client, fd);
    if (!client) {
        close(fd);
        return;
    }
    client->next = l->clients;
    l->clients = client;
    l->client_count++;
    watch(l, client, EPOLL_CTL_ADD);
}

static bool someone_traces(const struct local *l)
{
    for (const struct client *client = l->clients; client; client = client->next)
        if (client->wants_trace && !client->is_dead)
            return true;
    return false;
}

static void drop_dead(struct local *l)
{
    struct client **at = &l->clients;
    while (*at) {
        struct client *client = *at;
        if (!client->is_dead) {
            at = &client->next;
            continue;
        }
        *at = client->next;
        l->client_count--;
        if (client->wants_trace && !someone_traces(l))
            l->must_stop_trace = true;
        client_free(client); /* closing takes it out of the epoll set */
    }
}

/* After something was sent: what has become of the client? */
static void look_after(struct local *l, struct client *client)
{
    client_settle(client);
    if (!client->is_dead)
        watch(l, client, EPOLL_CTL_MOD);
}

/* -- commands ------------------------------------------------------------------------------- */

static int take_request(struct local *l,
                        struct client *client,
                        const struct dv_local_request *request,
                        struct dv_arena *arena,
                        struct dv_bridge_event *ret,
                        struct dv_error *err)
{
    if (strcmp(request->feature, DAVIT_FEATURE) == 0 && strcmp(request->operation, TRACE) == 0) {
        client->wants_trace = line_traces(request);
        if (!client->wants_trace && someone_traces(l)) {
            struct dv_local_reply done = {.id = request->id, .status = 204};
            send_message(client, &dv_schema_local_reply, &done);
            return 0;
        }
    }
    struct dv_command *command = dv_arena_alloc(arena, sizeof(*command));
    char *token =
        dv_arena_printf(arena, "%llu:%s", (unsigned long long)client->number, request->id);
    if (!command || !token)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a command");
    *command = (struct dv_command){
        .feature = request->feature,
        .operation = request->operation,
        .args = request->args,
        .token = token,
        .wants_reply = true,
    };
    client->open++;
    *ret = (struct dv_bridge_event){DV_BRIDGE_COMMAND, command};
    return 0;
}

/* A descriptor for streams, which are served by somebody else from now on. */
static int
take_stream(struct local *l, struct client *client, const struct line *line, struct dv_error *err)
{
    struct dv_local_stream stream = {.id = (char *)line->id};
    int fd = -1;
    if (!l->streams.attach)
        return dv_error_set(err, DV_ERR_UNSUPPORTED, "this daemon has no streams");
    if (client->passed >= 0)
        return dv_error_set(err, DV_ERR_BUSY, "another stream is on its way to this client");
    int r = line->type == LINE_ATTACH ? l->streams.attach(l->streams.ctx, line->attach, &fd, err)
                                      : l->streams.exec(l->streams.ctx, line->exec, &fd, err);
    if (r < 0)
        return r;
    client_pass(client, fd);
    send_message(client, &dv_schema_local_stream, &stream);
    return 0;
}

/* Answers what is no command; true if there is an event. */
static bool take_line(struct local *l,
                      struct client *client,
                      struct dv_str text,
                      struct dv_arena *arena,
                      struct dv_bridge_event *ret)
{
    struct dv_error err = DV_ERROR_INIT;
    struct line line;
    ret->type = DV_BRIDGE_NOTHING;
    int r = line_read(text, arena, &line, &err);
    if (r == 0 && line.type == LINE_REQUEST)
        r = take_request(l, client, line.request, arena, ret, &err);
    else if (r == 0 && line.type == LINE_WATCH)
        client->wants_twin = line.watch->twin;
    else if (r == 0 && line.type != LINE_BLANK)
        r = take_stream(l, client, &line, &err);
    if (r < 0)
        send_error(client, line.id, &err);
    return ret->type != DV_BRIDGE_NOTHING;
}

static bool take_lines(struct local *l, struct dv_arena *arena, struct dv_bridge_event *ret)
{
    for (struct client *client = l->clients; client; client = client->next) {
        struct dv_str line;
        bool is_too_long = false;
        while (!client->is_dead && client_line(client, &line, &is_too_long)) {
            if (take_line(l, client, line, arena, ret))
                return true;
        }
        if (is_too_long && !client->is_dead) {
            struct dv_error err = DV_ERROR_INIT;
            dv_error_set(&err, DV_ERR_LIMIT, "a line is longer than %u bytes", DV_LOCAL_LINE_MAX);
            send_error(client, "", &err);
            client_end(client);
        }
        client_settle(client);
    }
    return false;
}

/* -- the port ------------------------------------------------------------------------------- */

static int fd_of(struct dv_bridge *bridge)
{
    return ((struct local *)bridge)->epoll;
}

static int64_t deadline_of(struct dv_bridge *bridge)
{
    const struct local *l = (const struct local *)bridge;
    return l->is_link_told && !l->sent_count && !l->must_stop_trace ? INT64_MAX : 0;
}

/* Events of the bridge's own making. */
static bool take_own(struct local *l, struct dv_arena *arena, struct dv_bridge_event *ret)
{
    if (!l->is_link_told) {
        struct dv_link_changed *link = dv_arena_alloc(arena, sizeof(*link));
        if (!link)
            return false;
        link->status = DV_LINK_UP;
        link->identity = l->path;
        l->is_link_told = true;
        *ret = (struct dv_bridge_event){DV_BRIDGE_LINK, link};
        return true;
    }
    if (l->sent_count) {
        struct dv_twin_sent *sent = dv_arena_alloc(arena, sizeof(*sent));
        if (!sent)
            return false;
        sent->number = l->sent[l->sent_first];
        l->sent_first = (l->sent_first + 1) % SENT_MAX;
        l->sent_count--;
        *ret = (struct dv_bridge_event){DV_BRIDGE_SENT, sent};
        return true;
    }
    if (l->must_stop_trace) {
        struct dv_command *command = dv_arena_alloc(arena, sizeof(*command));
        if (!command)
            return false;
        command->feature = (char *)DAVIT_FEATURE;
        command->operation = (char *)TRACE;
        command->args = (char *)TRACE_OFF_ARGS;
        l->must_stop_trace = false;
        *ret = (struct dv_bridge_event){DV_BRIDGE_COMMAND, command};
        return true;
    }
    return false;
}

static void look_at_sockets(struct local *l)
{
    struct epoll_event events[32];
    int count = epoll_wait(l->epoll, events, 32, 0);
    for (int i = 0; i < count; i++) {
        struct client *client = events[i].data.ptr;
        if (!client) {
            take_client(l);
            continue;
        }
        if (events[i].events & EPOLLOUT)
            client_flush(client);
        if (events[i].events & EPOLLIN)
            client_read(client);
        else if (events[i].events & (EPOLLHUP | EPOLLERR))
            client_end(client);
        if (!client->is_dead)
            watch(l, client, EPOLL_CTL_MOD);
    }
}

static int next_event(struct dv_bridge *bridge,
                      struct dv_arena *arena,
                      struct dv_bridge_event *ret,
                      struct dv_error *err)
{
    (void)err;
    struct local *l = (struct local *)bridge;
    ret->type = DV_BRIDGE_NOTHING;
    if (take_own(l, arena, ret) || take_lines(l, arena, ret))
        return 0;
    look_at_sockets(l);
    (void)take_lines(l, arena, ret);
    drop_dead(l);
    if (ret->type == DV_BRIDGE_NOTHING)
        (void)take_own(l, arena, ret);
    return 0;
}

static int features_ready(struct dv_bridge *bridge, struct dv_error *err)
{
    (void)bridge;
    (void)err;
    return 0; /* commands are taken from the start */
}

static struct client *find_client(const struct local *l, const char *token, const char **ret_id)
{
    char *end;
    unsigned long long number = strtoull(token, &end, 10);
    if (*end != ':')
        return NULL;
    *ret_id = end + 1;
    for (struct client *client = l->clients; client; client = client->next)
        if (client->number == number && !client->is_dead)
            return client;
    return NULL;
}

static int
reply(struct dv_bridge *bridge, const struct dv_command_reply *from, struct dv_error *err)
{
    struct local *l = (struct local *)bridge;
    const char *id;
    struct client *client = from->token ? find_client(l, from->token, &id) : NULL;
    if (!client)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "the client is gone");
    struct dv_local_reply line = {.id = (char *)id, .status = from->status, .value = from->value};
    if (from->error_class) {
        line.error = from->error_text;
        line.class = (char *)dv_error_name(dv_error_class_of(from->error_class));
    }
    if (client->open)
        client->open--;
    send_message(client, &dv_schema_local_reply, &line);
    look_after(l, client);
    return 0;
}

static int twin(struct dv_bridge *bridge, const struct dv_twin_change *change, struct dv_error *err)
{
    struct local *l = (struct local *)bridge;
    if (l->sent_count == SENT_MAX)
        return dv_error_set(err, DV_ERR_BUSY, "%d twin changes wait to be told", SENT_MAX);
    l->sent[(l->sent_first + l->sent_count++) % SENT_MAX] = change->number;
    struct dv_local_twin line = {change->kind, change->feature, change->path, change->value, {}};
    for (struct client *client = l->clients; client; client = client->next) {
        if (!client->wants_twin || client->is_dead)
            continue;
        send_message(client, &dv_schema_local_twin, &line);
        look_after(l, client);
    }
    return 0;
}

/* The only live message of this bridge is a trace line, which is JSON of local_trace already. */
static int
outbox(struct dv_bridge *bridge, const struct dv_outbox_message *message, struct dv_error *err)
{
    struct local *l = (struct local *)bridge;
    if (strcmp(message->feature, DAVIT_FEATURE) != 0 || !message->value || message->value[0] != '{')
        return 0;
    DV_AUTO_IN_PLACE(dv_buf) line = DV_BUF_INIT(DV_LOCAL_LINE_MAX);
    int r =
        dv_buf_printf(&line, err, "{\"" LINE_KIND_KEY "\":\"local_trace\",%s", message->value + 1);
    if (r < 0)
        return r;
    for (struct client *client = l->clients; client; client = client->next) {
        if (!client->wants_trace || client->is_dead)
            continue;
        client_send(client, line.data, line.len);
        look_after(l, client);
    }
    return 0;
}

static int replay(
    struct dv_bridge *bridge, const void *raw, size_t len, int64_t sequence, struct dv_error *err)
{
    (void)bridge;
    (void)raw;
    (void)len;
    (void)sequence;
    (void)err;
    return 0; /* nothing is journaled */
}

static void free_local(struct dv_bridge *bridge)
{
    struct local *l = (struct local *)bridge;
    while (l->clients) {
        struct client *client = l->clients;
        l->clients = client->next;
        client_free(client);
    }
    if (l->listener >= 0)
        (void)unlink(l->path);
    dv_close(&l->listener);
    dv_close(&l->spare);
    dv_close(&l->epoll);
    free(l);
}

/* -- opening -------------------------------------------------------------------------------- */

/* A socket file of a daemon that is gone is removed; one that answers is somebody's. */
static int make_way(const struct sockaddr_un *address, struct dv_error *err)
{
    struct stat info;
    if (lstat(address->sun_path, &info) < 0)
        return 0;
    if (!S_ISSOCK(info.st_mode))
        return dv_error_set(err, DV_ERR_BUSY, "'%s' is in the place of the socket",
                            address->sun_path);
    /* Of a daemon that is stuck the queue may be full: EAGAIN instead of waiting. */
    dv_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make a socket");
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno == EAGAIN)
        return dv_error_set(err, DV_ERR_BUSY, "another daemon listens on '%s'", address->sun_path);
    if (errno != ECONNREFUSED && errno != ENOENT)
        return dv_error_sys(err, DV_ERR_BUSY, errno, "'%s' is somebody else's socket",
                            address->sun_path);
    if (unlink(address->sun_path) < 0 && errno != ENOENT)
        return dv_error_sys(err, DV_ERR_IO, errno, "remove the old socket '%s'", address->sun_path);
    return 0;
}

static int listen_on(struct local *l, struct dv_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat info;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", l->path);
    int r = make_way(&address, err);
    if (r < 0)
        return r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make a socket");
    l->listener = fd;
    /* Nobody may connect before the mode is set. */
    mode_t old = umask(0117);
    int bound = bind(fd, (const struct sockaddr *)&address, sizeof(address));
    int saved = errno;
    umask(old);
    if (bound < 0 || listen(fd, BACKLOG) < 0)
        return dv_error_sys(err, DV_ERR_IO, bound < 0 ? saved : errno, "listen on '%s'", l->path);
    if (stat(l->path, &info) == 0)
        l->group = info.st_gid;
    struct epoll_event event = {.events = EPOLLIN};
    if (epoll_ctl(l->epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "watch '%s'", l->path);
    return 0;
}

static int open_local(const struct dv_bridge_env *env, struct dv_bridge **ret, struct dv_error *err)
{
    const struct dv_local_config *config = env->config;
    struct local *l = calloc(1, sizeof(*l));
    if (!l)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the local bridge");
    l->base.ops = &dv_local_ops;
    l->listener = -1;
    l->spare = open_spare();
    l->clients_max = config->clients_max;
    l->streams = config->streams;
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    int r = 0;
    if (strlen(config->socket_path) >= sizeof(l->path))
        r = dv_error_set(err, DV_ERR_INVALID,
                         "davit.socket: '%s' is longer than a socket's path may be",
                         config->socket_path);
    else if (l->epoll < 0)
        r = dv_error_sys(err, DV_ERR_IO, errno, "make an epoll descriptor");
    if (r == 0) {
        snprintf(l->path, sizeof(l->path), "%s", config->socket_path);
        r = listen_on(l, err);
    }
    if (r < 0) {
        if (l->listener >= 0) /* not bound: the path is not ours to remove */
            dv_close(&l->listener);
        free_local(&l->base);
        return r;
    }
    *ret = &l->base;
    return 0;
}

const struct dv_bridge_ops dv_local_ops = {
    .name = "local",
    .open = open_local,
    .fd = fd_of,
    .deadline_ns = deadline_of,
    .next = next_event,
    .features_ready = features_ready,
    .reply = reply,
    .twin = twin,
    .outbox = outbox,
    .replay = replay,
    .free = free_local,
};
