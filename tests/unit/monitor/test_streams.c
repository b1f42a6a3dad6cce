/* SPDX-License-Identifier: Apache-2.0 */
/* Terminals and streams against a real davit-monitor. */
#include "base/cleanup.h"
#include "base/spawn.h"
#include "monitor/protocol.h"
#include "stage.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

/* Under a service manager whose socket is `manager` (NULL: none), with a descriptor that it kept
 * under `name` (-1: none). */
static void start_monitor_under(const char *manager, int kept, const char *name)
{
    static const char script[] = "export LISTEN_PID=$$; exec " DV_BIN_DIR
                                 "/davit-monitor --run-dir \"$0\" --log-level error";
    const char *argv[] = {"sh", "-c", script, stage.run_dir, NULL};
    char variables[3][160];
    const char *env[] = {variables[0], variables[1], variables[2], NULL};
    snprintf(variables[0], sizeof(variables[0]), "NOTIFY_SOCKET=%s", manager ? manager : "");
    snprintf(variables[1], sizeof(variables[1]), "LISTEN_FDS=%d", kept >= 0);
    snprintf(variables[2], sizeof(variables[2]), "LISTEN_FDNAMES=%s", name ? name : "");
    dv_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct dv_spawn_fd fds[] = {{null, 0}, {2, 1}, {2, 2}, {kept, 3}};
    struct dv_spawn what = {
        .path = "/bin/sh", .argv = argv, .envp = env, .fds = fds, .fd_count = kept >= 0 ? 4 : 3};
    cr_assert_eq(dv_spawn_start(&what, &stage.monitor, &stage.err), 0, "%s", stage.err.text);
    await_monitor();
}

static void start_monitor(void)
{
    start_monitor_under(NULL, -1, NULL);
}

static void setup(void)
{
    stage_setup();
    start_monitor();
    open_launcher();
    open_exits();
}

TestSuite(streams, .init = setup, .fini = stage_teardown, .timeout = 90);

static struct dv_exit_watch_cmd run(const char *id, const char *script, bool is_tty)
{
    struct dv_exit_watch_cmd cmd = launch(NULL, id, script, is_tty);
    watch(&cmd);
    return cmd;
}

/* As the daemon does beside waiting for ends: terminals come over this connection. */
static void serve_exits(void)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_container_exited exit;
    cr_assert_geq(stage.exits->next(stage.exits, arena, &exit, &stage.err), 0, "%s",
                  stage.err.text);
}

static bool has_terminal(void)
{
    char link[64];
    char target[64];
    for (int fd = 3; fd < 256; fd++) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        ssize_t len = readlink(link, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        if (strstr(target, "ptmx"))
            return true;
    }
    return false;
}

/* Until davitd's side has its duplicate. */
static void serve_terminal(void)
{
    for (int64_t until = now_ns() + WAIT_NS; !has_terminal();) {
        cr_assert_lt(now_ns(), until, "no terminal comes");
        serve_exits();
        (void)poll(NULL, 0, 5);
    }
}

/* The next frame of a stream; 0: it ended. */
static uint16_t next_frame(int fd, struct dv_arena *arena, void **ret)
{
    int64_t until = now_ns() + WAIT_NS;
    uint16_t kind = 0;
    for (;;) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        cr_assert_lt(now_ns(), until, "nothing comes");
        if (poll(&ready, 1, 20) == 1)
            return dv_monitor_receive(fd, arena, &kind, ret, NULL) > 0 ? kind : 0;
        serve_exits();
    }
}

static int attach(const char *id, bool waits)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    int fd = -1;
    void *body;
    const struct dv_monitor_attach request = {
        .container_id = (char *)id, .waits = waits, .rows = 20, .columns = 30};
    cr_assert_eq(dv_monitor_attach(stage.socket_path, &request, &fd, &stage.err), 0, "%s",
                 stage.err.text);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_welcome);
    if (waits)
        cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_done);
    return fd;
}

static const struct dv_monitor_attached *attached(int fd, struct dv_arena *arena)
{
    void *body = NULL;
    uint16_t kind = next_frame(fd, arena, &body);
    if (kind == DV_KIND_done) /* the terminal is on its way */
        kind = next_frame(fd, arena, &body);
    if (kind == DV_KIND_failure)
        cr_assert_fail("%s", ((struct dv_failure *)body)->text);
    cr_assert_eq(kind, DV_KIND_monitor_attached);
    return body;
}

/* Reads until the output has `text`; what came before it is dropped. */
static void expect_output(int fd, const char *text)
{
    DV_AUTO_IN_PLACE(dv_buf) all = DV_BUF_INIT(1 << 20);
    while (!all.data || !strstr(all.data, text)) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        void *body;
        cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_output, "before '%s'", text);
        const struct dv_monitor_output *output = body;
        cr_assert_eq(dv_buf_append(&all, output->data.data, output->data.len, &stage.err), 0);
    }
}

static void expect_ended(int fd, int code)
{
    for (;;) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        void *body;
        uint16_t kind = next_frame(fd, arena, &body);
        if (kind == DV_KIND_monitor_output)
            continue;
        cr_assert_eq(kind, DV_KIND_monitor_ended);
        cr_assert(((struct dv_monitor_ended *)body)->is_code_known);
        cr_assert_eq(((struct dv_monitor_ended *)body)->exit_code, code);
        return;
    }
}

Test(streams, a_terminal_is_typed_into_resized_and_ends_with_the_code)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    /* A signal with a trap ends a `read`. */
    (void)run(
        "t",
        "trap 'stty size' WINCH; test -t 0 && while :; do read x || continue; echo \"got $x\"; "
        "test \"$x\" = end && exit 7; done",
        true);
    dv_autoclose int fd = attach("t", false);
    const struct dv_monitor_attached *what = attached(fd, arena);
    cr_expect(what->is_tty);
    cr_expect(what->takes_input);
    type(fd, "one\n");
    expect_output(fd, "got one");
    const struct dv_monitor_resize size = {.rows = 12, .columns = 34};
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_resize, &size, &stage.err), 0);
    type(fd, "two\n"); /* the shell looks at its trap after a command */
    expect_output(fd, "12 34");
    type(fd, "end\n");
    expect_ended(fd, 7);
}

Test(streams, a_program_may_leave_its_terminal_and_come_back)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    (void)run("t",
              "read x; t=$(tty); exec </dev/null >/dev/null 2>&1; /bin/sleep 0.3; exec >$t; "
              "echo back; exit 4",
              true);
    dv_autoclose int fd = attach("t", false);
    (void)attached(fd, arena);
    type(fd, "go\n");
    expect_output(fd, "back");
    expect_ended(fd, 4);
}

Test(streams, fifos_are_typed_into_and_read_by_several)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    (void)run("f", ECHO, false);
    dv_autoclose int fd = attach("f", false);
    dv_autoclose int other = attach("f", false);
    cr_expect_not(attached(fd, arena)->is_tty);
    cr_expect(attached(other, arena)->takes_input);
    type(fd, "one\n");
    expect_output(other, "got one");
    expect_output(fd, "got one");
    dv_close(&fd);
    type(other, "end\n");
    expect_ended(other, 7);
}

Test(streams, a_terminal_goes_on_in_the_next_monitor)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    (void)run("t", ECHO, true);
    serve_terminal();
    for (int round = 0; round < 2; round++) {
        (void)end_monitor(SIGKILL);
        start_monitor();
        dv_autoclose int fd = attach("t", false);
        cr_expect(attached(fd, arena)->is_tty);
        type(fd, "again\n");
        expect_output(fd, "got again");
    }
}

Test(streams, a_terminal_goes_on_with_the_next_daemon_and_the_monitor_after_it)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_exit_watch_cmd cmd = run("t", ECHO, true);
    serve_terminal();
    stage.exits->free(stage.exits);
    cr_assert_not(has_terminal());
    open_exits();
    cr_assert_eq(stage.exits->watch(stage.exits, &cmd, &stage.err), 0, "%s", stage.err.text);
    serve_terminal();
    (void)end_monitor(SIGKILL);
    start_monitor();
    dv_autoclose int fd = attach("t", false);
    (void)attached(fd, arena);
    type(fd, "end\n");
    expect_output(fd, "got end");
}

/* What a service manager is sent: the text, and the descriptor, -1 without one. */
static int take_notice(int manager, char text[static 512])
{
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec part = {text, 511};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    struct pollfd ready = {.fd = manager, .events = POLLIN};
    int fd = -1;
    cr_assert_eq(poll(&ready, 1, (int)(WAIT_NS / 1000000)), 1, "nothing is said to the manager");
    ssize_t got = recvmsg(manager, &message, MSG_CMSG_CLOEXEC);
    cr_assert_gt(got, 0);
    text[got] = '\0';
    if (CMSG_FIRSTHDR(&message))
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
    return fd;
}

Test(streams, a_terminal_kept_by_the_service_manager_survives_both)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char path[128];
    char text[512];
    snprintf(path, sizeof(path), "%s/notify", stage.run_dir);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    dv_autoclose int manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(manager, (const struct sockaddr *)&address, sizeof(address)), 0);
    stage.exits->free(stage.exits);
    stage.exits = NULL;
    (void)end_monitor(SIGKILL);
    start_monitor_under(path, -1, NULL);
    open_exits();
    (void)run("t", ECHO, true);
    dv_autoclose int kept = take_notice(manager, text);
    cr_assert_geq(kept, 0);
    char *name = strstr(text, "FDNAME=");
    cr_assert(strncmp(text, "FDSTORE=1\n", 10) == 0 && name, "%s", text);
    stage.exits->free(stage.exits);
    stage.exits = NULL;
    (void)end_monitor(SIGKILL);
    start_monitor_under(path, kept, name + strlen("FDNAME="));
    dv_close(&kept);
    open_exits();
    dv_autoclose int fd = attach("t", false);
    cr_expect(attached(fd, arena)->is_tty);
    type(fd, "end\n");
    expect_output(fd, "got end");
    kept = take_notice(manager, text);
    cr_expect_geq(kept, 0, "%s", text);
    /* This monitor is not its parent: the end is seen, the code is not. */
    cr_expect_eq(take_notice(manager, text), -1);
    cr_expect(strncmp(text, "FDSTOREREMOVE=1\nFDNAME=tty.", 27) == 0, "%s", text);
}

Test(streams, who_waits_gets_the_first_byte)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    dv_autoclose int tty = attach("t", true);
    dv_autoclose int fifo = attach("f", true);
    (void)run("t", "until test \"$(stty size)\" = '20 30'; do :; done; echo first; exit 3", true);
    (void)run("f", "echo second; exit 4", false);
    (void)attached(tty, arena);
    (void)attached(fifo, arena);
    expect_output(tty, "first");
    expect_ended(tty, 3);
    expect_output(fifo, "second");
    expect_ended(fifo, 4);
}

static void expect_failure(int fd, const char *text)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    void *body = NULL;
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_failure);
    cr_expect(strstr(((struct dv_failure *)body)->text, text), "%s",
              ((struct dv_failure *)body)->text);
    cr_expect_eq(next_frame(fd, arena, &body), 0, "the connection is closed");
}

Test(streams, sockets_for_terminals_are_not_left_behind)
{
    char path[128];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(path, sizeof(path), "%s/tty.0000abcd", stage.run_dir);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    dv_autoclose int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    (void)end_monitor(SIGKILL);
    start_monitor();
    dv_autoclose int stream = attach("later", true); /* it serves: the start is over */
    cr_expect_neq(access(path, F_OK), 0);
}

Test(streams, what_does_not_run_has_no_streams)
{
    dv_autoclose int fd = attach("nobody", false);
    expect_failure(fd, "'nobody' is not running");
}

Test(streams, one_client_too_many_is_told_so)
{
    static int fds[128];
    DV_AUTO(dv_arena) arena = dv_arena_new(8 << 20);
    (void)run("f", "read x", false);
    for (size_t i = 0; i < 128; i++) {
        fds[i] = attach("f", false);
        (void)attached(fds[i], arena);
    }
    dv_autoclose int fd = attach("f", false);
    expect_failure(fd, "128 clients");
    for (size_t i = 0; i < 128; i++)
        close(fds[i]);
    for (int64_t until = now_ns() + WAIT_NS;;) {
        dv_autoclose int again = attach("f", false);
        void *body;
        if (next_frame(again, arena, &body) == DV_KIND_monitor_attached)
            break;
        cr_assert_lt(now_ns(), until, "no room again");
    }
}

Test(streams, who_waits_takes_no_place_of_the_daemons)
{
    static int fds[64];
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    for (size_t i = 0; i < 64; i++)
        fds[i] = attach("later", true);
    int fd = -1;
    void *body;
    const struct dv_monitor_attach request = {.container_id = (char *)"later", .waits = true};
    cr_assert_eq(dv_monitor_attach(stage.socket_path, &request, &fd, &stage.err), 0, "%s",
                 stage.err.text);
    dv_autoclose int refused = fd;
    cr_assert_eq(next_frame(refused, arena, &body), DV_KIND_monitor_welcome);
    expect_failure(refused, "64 clients wait");
    (void)run("later", "echo first; exit 2", false);
    for (size_t i = 0; i < 64; i++) {
        (void)attached(fds[i], arena);
        expect_ended(fds[i], 2);
        close(fds[i]);
    }
}

Test(streams, who_holds_a_stream_can_do_nothing_else)
{
    const char *argv[] = {"/bin/true"};
    const struct dv_monitor_launch launch = {.argv = {(char **)argv, 1}, .timeout_ms = 1000};
    dv_autoclose int fd = attach("later", true);
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_launch, &launch, &stage.err), 0);
    expect_failure(fd, "is not expected now");
}

Test(streams, a_process_is_started_with_pipes_and_ends_with_its_code)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    char pid_file[256];
    int fd = -1;
    void *body;
    (void)run("f", "read x", false);
    path_to(pid_file, "f", "exec.1.pid");
    const char *argv[] = {DV_FAKE_RUNTIME, "cat; echo bad >&2; exit 5", pid_file};
    const char *env[] = {"PATH=/usr/bin:/bin"};
    struct dv_monitor_launch launch = {.argv = {(char **)argv, 3},
                                       .env = {(char **)env, 1},
                                       .pid_file = pid_file,
                                       .takes_input = true,
                                       .timeout_ms = 20000};
    char process[256];
    path_to(process, "f", "exec.1.json");
    close(open(process, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    const struct dv_monitor_exec exec = {
        .launch = &launch, .container_id = (char *)"f", .process_path = process};
    cr_assert_eq(dv_monitor_exec(stage.socket_path, &exec, &fd, &stage.err), 0, "%s",
                 stage.err.text);
    dv_autoclose int stream = fd;
    cr_assert_eq(next_frame(stream, arena, &body), DV_KIND_monitor_welcome);
    cr_expect(attached(stream, arena)->takes_input);
    type(stream, "typed");
    expect_output(stream, "typed");
    const struct dv_monitor_input end = {.is_end = true};
    cr_assert_eq(dv_monitor_send(stream, &dv_schema_monitor_input, &end, &stage.err), 0);
    expect_output(stream, "bad");
    expect_ended(stream, 5);
    cr_expect_neq(access(pid_file, F_OK), 0, "nothing of it is left");
    cr_expect_neq(access(process, F_OK), 0, "nothing of it is left");
}

Test(streams, a_process_that_cannot_be_started_says_why)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    int fd = -1;
    void *body;
    (void)run("f", "read x", false);
    const char *argv[] = {"/bin/sh", "-c", "echo no such program >&2; exit 1"};
    struct dv_monitor_launch launch = {.argv = {(char **)argv, 3}, .timeout_ms = 20000};
    const struct dv_monitor_exec exec = {.launch = &launch, .container_id = (char *)"f"};
    cr_assert_eq(dv_monitor_exec(stage.socket_path, &exec, &fd, &stage.err), 0, "%s",
                 stage.err.text);
    dv_autoclose int stream = fd;
    cr_assert_eq(next_frame(stream, arena, &body), DV_KIND_monitor_welcome);
    expect_failure(stream, "no such program");
}

/* davit-monitor of version 1: says so, and sees nothing else. */
static void *old_monitor(void *ctx)
{
    const int *listener = ctx;
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    const struct dv_monitor_welcome welcome = {.version = 1, .pid = 1};
    uint16_t kind = 0;
    void *body = NULL;
    dv_autoclose int fd = accept(*listener, NULL, NULL);
    if (dv_monitor_receive(fd, arena, &kind, &body, NULL) > 0 && kind == DV_KIND_monitor_hello &&
        ((struct dv_monitor_hello *)body)->oldest == 1 &&
        dv_monitor_send(fd, &dv_schema_monitor_welcome, &welcome, NULL) == 0 &&
        dv_monitor_receive(fd, arena, &kind, &body, NULL) < 0)
        return NULL;
    return ctx;
}

Test(streams, a_monitor_of_the_version_before_is_told_apart)
{
    static struct dv_launch_result result;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct dv_launcher *old = NULL;
    pthread_t thread;
    void *is_wrong = NULL;
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/old.sock", stage.run_dir);
    dv_autoclose int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cr_assert_eq(pthread_create(&thread, NULL, old_monitor, &listener), 0);
    cr_assert_eq(dv_monitor_launcher_new(address.sun_path, &old, &stage.err), 0, "%s",
                 stage.err.text);
    const char *argv[] = {"/bin/true", NULL};
    const struct dv_launch what = {
        .argv = argv, .envp = argv + 1, .stdio = {.console = "/tmp/x"}, .timeout_ms = 1000};
    cr_expect_eq(old->launch(old, &what, &result, &stage.err), -DV_ERR_UNSUPPORTED);
    cr_expect(strstr(stage.err.text, "restart it"), "%s", stage.err.text);
    old->free(old);
    cr_assert_eq(pthread_join(thread, &is_wrong), 0);
    cr_expect_null(is_wrong);
}

Test(streams, a_daemon_of_the_version_before_is_served)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    const struct dv_monitor_hello hello = {.version = 1, .oldest = 1};
    uint16_t kind;
    void *body;
    dv_autoclose int fd = connect_raw();
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_hello, &hello, &stage.err), 0);
    cr_assert_eq(dv_monitor_receive(fd, arena, &kind, &body, &stage.err), 1, "%s", stage.err.text);
    cr_assert_eq(kind, DV_KIND_monitor_welcome);
    cr_expect_eq(((struct dv_monitor_welcome *)body)->version, 1);
}
