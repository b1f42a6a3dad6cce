/* SPDX-License-Identifier: Apache-2.0 */
/* What is special about this bridge: its socket, its clients, their limits. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "bridge/local/local.h"
#include "tests/support/bridge_session.h"
#include "tests/support/line_peer.h"

#include "json/json.h"
#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define LIST                                                                                       \
    "{\"kind\":\"local_request\",\"id\":\"1\",\"feature\":\"davit\",\"operation\":\"list\"}"
#define WATCH "{\"kind\":\"local_watch\",\"twin\":true}"
#define TRACE                                                                                      \
    "{\"kind\":\"local_request\",\"id\":\"t\",\"feature\":\"davit\",\"operation\":\"trace\","
#define ON  TRACE "\"args\":\"{\\\"on\\\":true}\"}"
#define OFF TRACE "\"args\":\"{\\\"on\\\":false}\"}"
#define BIG (1U << 20)

static struct dv_test_session session;
static struct dv_local_config config;
static char folder[32];
static char path[64];

static int no_fd(void *ctx)
{
    (void)ctx;
    return -1;
}

static void do_nothing(void *ctx)
{
    (void)ctx;
}

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-local-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/davit.sock", folder);
    config = DV_LOCAL_CONFIG_INIT;
    config.socket_path = path;
}

static void teardown(void)
{
    (void)unlink(path);
    cr_expect_eq(rmdir(folder), 0, "'%s' is not empty", folder);
}

TestSuite(local, .init = setup, .fini = teardown, .timeout = 60);

static void begin(void)
{
    const struct dv_test_side side = {NULL, no_fd, do_nothing};
    dv_test_session_begin(&session, &dv_local_ops, &config, &side);
    dv_test_session_expect_link(&session, DV_LINK_UP);
}

static void end(void)
{
    dv_test_session_end(&session);
}

/* Lets the bridge do all it can do now; what it hands out meanwhile is counted. */
static unsigned pump(void)
{
    struct pollfd wait = {.fd = session.bridge->ops->fd(session.bridge), .events = POLLIN};
    unsigned commands = 0;
    for (;;) {
        struct dv_bridge_event event = dv_test_session_next(&session, 0);
        commands += event.type == DV_BRIDGE_COMMAND;
        if (event.type == DV_BRIDGE_NOTHING && poll(&wait, 1, 0) == 0)
            return commands;
    }
}

static const struct dv_command *expect_command(void)
{
    return dv_test_session_expect(&session, DV_BRIDGE_COMMAND);
}

/* Everything that the bridge has for this client was sent when this is called. */
static struct dv_json *take(struct dv_line_peer *peer)
{
    pump();
    return dv_line_peer_take(peer, 0);
}

static void expect_answer(struct dv_line_peer *peer, const char *id, const char *class)
{
    DV_AUTO(dv_json) line = take(peer);
    cr_assert_not_null(line, "no answer");
    cr_assert_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_reply");
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "id")), id);
    const char *said = dv_json_text(dv_json_get(line, "class"));
    cr_expect_str_eq(said ? said : "", class);
}

static void expect_end(struct dv_line_peer *peer)
{
    DV_AUTO(dv_json) line = take(peer);
    cr_assert_null(line);
    cr_assert(dv_line_peer_is_over(peer), "the connection goes on");
}

static void expect_served(struct dv_line_peer *peer)
{
    dv_line_peer_send(peer, LIST);
    dv_test_session_reply(&session, expect_command(), (struct dv_command_reply){.status = 204});
    expect_answer(peer, "1", "");
}

/* -- lines ------------------------------------------------------------------------------------ */

Test(local, bad_lines_are_answered_and_the_client_goes_on)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_line_peer_send(peer, "{\"kind\":");
    expect_answer(peer, "", "INVALID");
    dv_line_peer_send(peer, "{\"kind\":\"local_trace\",\"id\":\"9\"}");
    expect_answer(peer, "9", "INVALID");
    dv_line_peer_send(peer, "{\"id\":\"9\"}");
    expect_answer(peer, "9", "INVALID");
    expect_served(peer);
    dv_line_peer_free(peer);
    end();
}

Test(local, lines_may_come_in_any_pieces)
{
    static const char two[] = LIST "\n" LIST "\n";
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    unsigned commands = 0;
    for (size_t i = 0; i < sizeof(two) - 1; i++) {
        cr_assert_eq(dv_line_peer_write(peer, two + i, 1), 1);
        commands += pump();
        cr_assert_eq(commands, (i >= sizeof(LIST) - 1) + (i == sizeof(two) - 2));
    }
    cr_assert_eq(dv_line_peer_write(peer, two, sizeof(two) - 1), sizeof(two) - 1);
    cr_assert_eq(pump(), 2);
    dv_line_peer_free(peer);
    end();
}

/* A good request with blanks behind it, `len` bytes without the line feed. */
static char *long_line(size_t len)
{
    char *line = malloc(len + 2);
    cr_assert_not_null(line);
    memset(line, ' ', len);
    memcpy(line, LIST, sizeof(LIST) - 1);
    line[len] = '\n';
    line[len + 1] = '\0';
    return line;
}

/* What the bridge takes of the bytes; commands are counted. */
static unsigned push(struct dv_line_peer *peer, const char *bytes, size_t len)
{
    unsigned commands = 0;
    for (size_t at = 0; at < len;) {
        size_t sent = dv_line_peer_write(peer, bytes + at, len - at);
        commands += pump();
        if (!sent)
            break;
        at += sent;
    }
    return commands + pump();
}

Test(local, line_of_the_limit_is_taken)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_autofree char *line = long_line(DV_LOCAL_LINE_MAX);
    cr_expect_eq(push(peer, line, DV_LOCAL_LINE_MAX + 1), 1);
    expect_served(peer);
    dv_line_peer_free(peer);
    end();
}

Test(local, longer_line_is_answered_and_ends_the_connection)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    struct dv_line_peer *other = dv_line_peer_new(path);
    dv_autofree char *line = long_line(DV_LOCAL_LINE_MAX + 1);
    cr_expect_eq(push(peer, line, DV_LOCAL_LINE_MAX + 2), 0);
    expect_answer(peer, "", "LIMIT");
    expect_end(peer);
    expect_served(other);
    dv_line_peer_free(peer);
    dv_line_peer_free(other);
    end();
}

Test(local, line_without_an_end_is_not_kept_for_ever)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_autofree char *line = long_line(2 * DV_LOCAL_LINE_MAX);
    cr_expect_eq(push(peer, line, 2 * DV_LOCAL_LINE_MAX), 0);
    expect_answer(peer, "", "LIMIT");
    expect_end(peer);
    dv_line_peer_free(peer);
    end();
}

/* -- answers ---------------------------------------------------------------------------------- */

Test(local, answers_find_their_client_in_any_order)
{
    begin();
    struct dv_line_peer *first = dv_line_peer_new(path);
    struct dv_line_peer *second = dv_line_peer_new(path);
    dv_line_peer_send(first, LIST);
    const struct dv_command *of_first = expect_command();
    dv_line_peer_send(second, LIST);
    const struct dv_command *of_second = expect_command();
    cr_assert_str_neq(of_first->token, of_second->token);
    dv_test_session_reply(&session, of_second,
                          (struct dv_command_reply){.status = 400,
                                                    .error_class = DV_ERR_INVALID,
                                                    .error_text = "args: x"});
    expect_answer(second, "1", "INVALID");
    cr_assert_null(take(first));
    dv_test_session_reply(&session, of_first, (struct dv_command_reply){.status = 204});
    expect_answer(first, "1", "");
    dv_line_peer_free(first);
    dv_line_peer_free(second);
    end();
}

Test(local, who_has_gone_gets_no_answer)
{
    begin();
    struct dv_error err = DV_ERROR_INIT;
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_line_peer_send(peer, LIST);
    const struct dv_command *command = expect_command();
    dv_line_peer_free(peer);
    pump();
    struct dv_command_reply reply = {.token = command->token, .status = 204};
    cr_assert_eq(session.bridge->ops->reply(session.bridge, &reply, &err), -DV_ERR_NOT_FOUND);
    dv_error_clear(&err);
    reply.token = NULL;
    cr_assert_eq(session.bridge->ops->reply(session.bridge, &reply, &err), -DV_ERR_NOT_FOUND);
    end();
}

Test(local, commands_of_who_leaves_at_once_are_carried_out)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_free(peer);
    cr_expect_eq(pump(), 2);
    end();
}

/* As `nc -N` and a shell's pipe do it. */
Test(local, who_sends_no_more_still_gets_all_answers)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_half_close(peer);
    const struct dv_command *first = expect_command();
    const struct dv_command *second = expect_command();
    cr_assert_eq(pump(), 0);
    dv_test_session_reply(&session, first, (struct dv_command_reply){.status = 204});
    expect_answer(peer, "1", "");
    cr_assert_not(dv_line_peer_is_over(peer));
    dv_test_session_reply(&session, second, (struct dv_command_reply){.status = 204});
    expect_answer(peer, "1", "");
    expect_end(peer);
    dv_line_peer_free(peer);
    end();
}

Test(local, who_sends_no_more_and_waits_for_nothing_is_let_go)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    pump();
    dv_line_peer_half_close(peer);
    expect_end(peer);
    dv_line_peer_free(peer);

    peer = dv_line_peer_new(path);
    dv_line_peer_send(peer, "no JSON");
    dv_line_peer_half_close(peer);
    expect_answer(peer, "", "INVALID");
    expect_end(peer);
    dv_line_peer_free(peer);
    end();
}

Test(local, who_does_not_read_is_dropped)
{
    begin();
    struct dv_line_peer *lazy = dv_line_peer_new(path);
    struct dv_line_peer *other = dv_line_peer_new(path);
    dv_autofree char *value = malloc(BIG);
    cr_assert_not_null(value);
    memset(value, '7', BIG - 1);
    value[BIG - 1] = '\0';
    unsigned answers = 0;
    struct dv_error err = DV_ERROR_INIT;
    for (; answers < 2 * DV_LOCAL_OUT_MAX / BIG; answers++) {
        dv_line_peer_send(lazy, LIST);
        struct dv_bridge_event event = dv_test_session_next(&session, 0);
        while (event.type != DV_BRIDGE_COMMAND && answers < 4)
            event = dv_test_session_next(&session, 100);
        if (event.type != DV_BRIDGE_COMMAND)
            break;
        const struct dv_command *command = event.body;
        struct dv_command_reply reply = {.token = command->token, .status = 200, .value = value};
        cr_assert_eq(session.bridge->ops->reply(session.bridge, &reply, &err), 0, "%s", err.text);
        struct pollfd wait = {.fd = session.bridge->ops->fd(session.bridge), .events = POLLIN};
        if (poll(&wait, 1, 0) == 1)
            break; /* the end of the connection */
    }
    cr_expect_geq(answers, DV_LOCAL_OUT_MAX / BIG - 1, "after %u answers", answers);
    cr_expect_leq(answers, DV_LOCAL_OUT_MAX / BIG + 1, "after %u answers", answers);
    pump();
    expect_served(other);
    cr_expect_eq(dv_line_peer_write(lazy, "\n", 1), 0, "the connection goes on");
    dv_line_peer_free(lazy);
    dv_line_peer_free(other);
    end();
}

/* -- twin and trace --------------------------------------------------------------------------- */

static void change_twin(int64_t number)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_PROPERTY,
                                    .feature = "Container:1",
                                    .path = "status/state",
                                    .value = "{\"pid\":7}",
                                    .number = number};
    cr_assert_eq(session.bridge->ops->twin(session.bridge, &change, &err), 0, "%s", err.text);
}

Test(local, changes_of_the_twin_go_to_whoever_watches)
{
    begin();
    struct dv_line_peer *watcher = dv_line_peer_new(path);
    struct dv_line_peer *other = dv_line_peer_new(path);
    dv_line_peer_send(watcher, WATCH);
    pump();
    change_twin(5);
    {
        DV_AUTO(dv_json) line = dv_line_peer_take(watcher, 0);
        cr_assert_not_null(line);
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_twin");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "change")), "PROPERTY");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "feature")), "Container:1");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "path")), "status/state");
        cr_expect_str_eq(dv_json_text(dv_json_get(line, "value")), "{\"pid\":7}");
    }
    cr_expect_null(take(other));
    dv_line_peer_send(watcher, "{\"kind\":\"local_watch\"}");
    pump();
    change_twin(6);
    cr_expect_null(take(watcher));
    /* A listener that says nothing more is still one. */
    dv_line_peer_send(watcher, WATCH);
    dv_line_peer_half_close(watcher);
    pump();
    change_twin(7);
    DV_AUTO(dv_json) line = dv_line_peer_take(watcher, 0);
    cr_expect_not_null(line);
    dv_line_peer_free(watcher);
    dv_line_peer_free(other);
    end();
}

Test(local, changes_wait_for_their_acknowledgement_up_to_a_limit)
{
    begin();
    struct dv_error err = DV_ERROR_INIT;
    struct dv_twin_change change = {.kind = DV_TWIN_FEATURE, .feature = "F"};
    int r = 0;
    while ((r = session.bridge->ops->twin(session.bridge, &change, &err)) == 0)
        cr_assert_lt(change.number++, 100000);
    cr_assert_eq(r, -DV_ERR_BUSY);
    for (int64_t i = 0; i < change.number; i++) {
        const struct dv_twin_sent *sent = dv_test_session_expect(&session, DV_BRIDGE_SENT);
        cr_assert_eq(sent->number, i);
        cr_assert_not(sent->is_failed);
    }
    end();
}

static void trace(const char *text)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_outbox_message message = {
        .feature = "davit", .subject = "trace", .value = (char *)text};
    cr_assert_eq(session.bridge->ops->outbox(session.bridge, &message, &err), 0, "%s", err.text);
}

static void switch_trace(struct dv_line_peer *peer, const char *line)
{
    dv_line_peer_send(peer, line);
    const struct dv_command *command = expect_command();
    cr_assert_str_eq(command->operation, "trace");
    dv_test_session_reply(&session, command, (struct dv_command_reply){.status = 204});
    expect_answer(peer, "t", "");
}

Test(local, trace_goes_to_whoever_asked_for_it)
{
    begin();
    struct dv_line_peer *tracer = dv_line_peer_new(path);
    struct dv_line_peer *other = dv_line_peer_new(path);
    expect_served(other);
    switch_trace(tracer, ON);
    trace("{\"to\":\"roster\",\"message\":\"m\"}");
    DV_AUTO(dv_json) line = dv_line_peer_take(tracer, 0);
    cr_assert_not_null(line);
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_trace");
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "to")), "roster");
    cr_expect_null(take(other));
    switch_trace(tracer, OFF);
    trace("{\"to\":\"roster\",\"message\":\"m\"}");
    cr_expect_null(take(tracer));
    trace("");
    trace("no object");
    dv_line_peer_free(tracer);
    dv_line_peer_free(other);
    end();
}

Test(local, trace_goes_on_until_nobody_wants_it)
{
    begin();
    struct dv_line_peer *first = dv_line_peer_new(path);
    struct dv_line_peer *second = dv_line_peer_new(path);
    switch_trace(first, ON);
    switch_trace(second, ON);
    dv_line_peer_send(first, OFF);
    cr_assert_eq(pump(), 0, "the other one still listens");
    expect_answer(first, "t", "");
    trace("{\"to\":\"roster\",\"message\":\"m\"}");
    cr_expect_null(take(first));
    DV_AUTO(dv_json) line = take(second);
    cr_expect_not_null(line);
    dv_line_peer_free(second);
    const struct dv_command *command = expect_command();
    cr_expect_str_eq(command->feature, "davit");
    cr_expect_str_eq(command->operation, "trace");
    cr_expect_str_eq(command->args, "{\"on\":false}");
    cr_expect_not(command->wants_reply);
    cr_expect_eq(pump(), 0);
    dv_line_peer_free(first);
    end();
}

/* -- clients and socket ----------------------------------------------------------------------- */

Test(local, clients_over_the_limit_are_told_and_turned_away)
{
    config.clients_max = 2;
    begin();
    struct dv_line_peer *first = dv_line_peer_new(path);
    struct dv_line_peer *second = dv_line_peer_new(path);
    expect_served(first);
    expect_served(second);
    struct dv_line_peer *third = dv_line_peer_new(path);
    expect_answer(third, "", "BUSY");
    expect_end(third);
    dv_line_peer_free(third);
    expect_served(first);
    dv_line_peer_free(second);
    pump();
    third = dv_line_peer_new(path);
    expect_served(third);
    dv_line_peer_free(first);
    dv_line_peer_free(third);
    end();
}

Test(local, without_descriptors_a_client_is_told_and_turned_away)
{
    begin();
    struct dv_line_peer *served = dv_line_peer_new(path);
    expect_served(served);
    struct dv_line_peer *waiting = dv_line_peer_new(path);
    struct rlimit before;
    cr_assert_eq(getrlimit(RLIMIT_NOFILE, &before), 0);
    int next = dup(STDIN_FILENO); /* the first that is free */
    close(next);
    struct rlimit limit = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &limit), 0);
    expect_answer(waiting, "", "BUSY");
    expect_end(waiting);
    expect_served(served);
    dv_line_peer_free(waiting);
    cr_assert_eq(setrlimit(RLIMIT_NOFILE, &before), 0);
    waiting = dv_line_peer_new(path);
    expect_served(waiting);
    dv_line_peer_free(waiting);
    dv_line_peer_free(served);
    end();
}

Test(local, socket_is_for_owner_and_group)
{
    struct stat info;
    mode_t before = umask(0);
    begin();
    cr_assert_eq(umask(before), 0, "the mask of the process is as it was");
    cr_assert_eq(stat(path, &info), 0);
    cr_expect(S_ISSOCK(info.st_mode));
    cr_expect_eq(info.st_mode & 07777, 0660);
    end();
    cr_expect_eq(access(path, F_OK), -1, "the file goes with the bridge");
}

static void expect_refused(int class)
{
    struct dv_bridge_env env = {.clock = dv_clock_real(), .config = &config};
    struct dv_bridge *bridge = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_local_ops.open(&env, &bridge, &err), -class);
    cr_expect_not_null(strstr(err.text, config.socket_path), "%s", err.text);
}

Test(local, second_daemon_on_the_socket_is_refused)
{
    begin();
    expect_refused(DV_ERR_BUSY);
    struct dv_line_peer *peer = dv_line_peer_new(path);
    expect_served(peer);
    dv_line_peer_free(peer);
    end();
}

static int listen_at_path(int type)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    (void)listen(fd, 0);
    return fd;
}

Test(local, socket_of_a_daemon_that_is_gone_is_taken_over)
{
    int fd = listen_at_path(SOCK_STREAM);
    close(fd);
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    expect_served(peer);
    dv_line_peer_free(peer);
    end();
}

Test(local, daemon_that_is_stuck_is_still_one)
{
    int fd = listen_at_path(SOCK_STREAM);
    struct dv_line_peer *waiting = dv_line_peer_new(path); /* fills its queue */
    expect_refused(DV_ERR_BUSY);
    dv_line_peer_free(waiting);
    close(fd);
}

Test(local, what_is_no_socket_of_ours_is_left_alone)
{
    struct stat before;
    struct stat after;
    int fd = listen_at_path(SOCK_DGRAM);
    expect_refused(DV_ERR_BUSY);
    cr_assert_eq(access(path, F_OK), 0);
    close(fd);
    cr_assert_eq(unlink(path), 0);

    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fclose(file);
    cr_assert_eq(stat(path, &before), 0);
    expect_refused(DV_ERR_BUSY);
    cr_assert_eq(stat(path, &after), 0);
    cr_assert_eq(before.st_ino, after.st_ino);
}

Test(local, place_that_cannot_be_is_refused)
{
    char name[200];
    memset(name, 'x', sizeof(name) - 1);
    name[0] = '/';
    name[sizeof(name) - 1] = '\0';
    config.socket_path = name;
    expect_refused(DV_ERR_INVALID);
    config.socket_path = "/proc/no/such/folder/davit.sock";
    expect_refused(DV_ERR_IO);
}

/* -- streams ---------------------------------------------------------------------------------- */

#define ATTACH "{\"kind\":\"local_attach\",\"id\":\"a\",\"container\":\"c1\",\"waits\":true}"
#define EXEC   "{\"kind\":\"local_exec\",\"id\":\"e\",\"container\":\"c1\",\"args\":[\"ls\",\"-l\"]}"

static char asked[128];
static int given[2]; /* a pipe: the reading end is passed on */

static int
give_attach(void *ctx, const struct dv_local_attach *what, int *ret_fd, struct dv_error *err)
{
    (void)ctx;
    snprintf(asked, sizeof(asked), "attach %s%s", what->container, what->waits ? " waits" : "");
    if (strcmp(what->container, "c1") != 0)
        return dv_error_set(err, DV_ERR_STATE, "not running");
    cr_assert_eq(pipe(given), 0);
    *ret_fd = given[0];
    return 0;
}

static int give_exec(void *ctx, const struct dv_local_exec *what, int *ret_fd, struct dv_error *err)
{
    (void)ctx;
    (void)err;
    snprintf(asked, sizeof(asked), "exec %s %s %s", what->container, what->args.items[0],
             what->args.items[1]);
    cr_assert_eq(pipe(given), 0);
    *ret_fd = given[0];
    return 0;
}

static void expect_stream(struct dv_line_peer *peer, const char *id)
{
    char byte = 0;
    DV_AUTO(dv_json) line = take(peer);
    cr_assert_not_null(line, "no answer");
    cr_assert_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_stream");
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "id")), id);
    dv_autoclose int fd = dv_line_peer_passed(peer);
    cr_assert_geq(fd, 0, "no descriptor came with it");
    cr_assert_eq(write(given[1], "x", 1), 1);
    cr_assert_eq(read(fd, &byte, 1), 1);
    cr_expect_eq(byte, 'x');
    close(fd);
    fd = -1;
    struct pollfd closed = {.fd = given[1]};
    cr_expect_eq(poll(&closed, 1, 0), 1, "the bridge keeps no copy of it");
    close(given[1]);
}

Test(local, streams_are_descriptors_that_come_with_their_line)
{
    config.streams = (struct dv_local_streams){give_attach, give_exec, NULL};
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_line_peer_send(peer, ATTACH);
    expect_stream(peer, "a");
    cr_expect_str_eq(asked, "attach c1 waits");
    dv_line_peer_send(peer, EXEC);
    expect_stream(peer, "e");
    cr_expect_str_eq(asked, "exec c1 ls -l");
    dv_line_peer_send(peer, "{\"kind\":\"local_attach\",\"id\":\"b\",\"container\":\"c2\"}");
    expect_answer(peer, "b", "STATE");
    expect_served(peer);
    dv_line_peer_free(peer);
    end();
}

Test(local, a_descriptor_waits_for_its_line_behind_what_the_client_has_not_read)
{
    config.streams = (struct dv_local_streams){give_attach, give_exec, NULL};
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    char *big = malloc(BIG);
    cr_assert_not_null(big);
    memset(big, 'x', BIG - 1);
    big[0] = '"';
    big[BIG - 2] = '"';
    big[BIG - 1] = '\0';
    dv_line_peer_send(peer, LIST);
    dv_test_session_reply(&session, expect_command(),
                          (struct dv_command_reply){.status = 200, .value = big});
    dv_line_peer_send(peer, ATTACH);
    pump();
    dv_line_peer_send(peer, EXEC); /* one at a time */
    pump();
    DV_AUTO(dv_json) line = NULL;
    for (int i = 0; i < 1000 && !line; i++)
        line = take(peer);
    cr_assert_not_null(line);
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "id")), "1");
    expect_stream(peer, "a");
    expect_answer(peer, "e", "BUSY");
    free(big);
    dv_line_peer_free(peer);
    end();
}

Test(local, a_daemon_without_streams_says_so)
{
    begin();
    struct dv_line_peer *peer = dv_line_peer_new(path);
    dv_line_peer_send(peer, ATTACH);
    expect_answer(peer, "a", "UNSUPPORTED");
    dv_line_peer_free(peer);
    end();
}
