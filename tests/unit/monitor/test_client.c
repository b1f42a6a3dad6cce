/* SPDX-License-Identifier: Apache-2.0 */
/* The launcher and the exit source against a real davit-monitor. */
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/spawn.h"
#include "monitor/protocol.h"
#include "stage.h"
#include "tests/support/needs.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t spawn_monitor(void)
{
    const char *argv[] = {"davit-monitor", "--run-dir", stage.run_dir,
                          "--log-level",   "error",     NULL};
    dv_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    const struct dv_spawn_fd fds[] = {{null, 0}, {2, 1}, {2, 2}};
    struct dv_spawn what = {
        .path = DV_BIN_DIR "/davit-monitor", .argv = argv, .fds = fds, .fd_count = 3};
    pid_t pid = 0;
    cr_assert_eq(dv_spawn_start(&what, &pid, &stage.err), 0, "%s", stage.err.text);
    return pid;
}

static void start_monitor(void)
{
    stage.monitor = spawn_monitor();
    await_monitor();
}

static void setup(void)
{
    stage_setup();
    start_monitor();
    open_launcher();
    open_exits();
}

TestSuite(monitor, .init = setup, .fini = stage_teardown, .timeout = 90);

static struct dv_exit_watch_cmd run(const char *id, const char *script)
{
    return launch(NULL, id, script, false);
}

static void expect_no_more_exits(void)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_container_exited exit;
    int64_t until = now_ns() + 2 * GRACE_NS;
    while (now_ns() < until) {
        cr_assert_eq(stage.exits->next(stage.exits, arena, &exit, &stage.err), 0,
                     "an exit is reported twice");
        struct pollfd ready = {.fd = stage.exits->fd(stage.exits), .events = POLLIN};
        (void)poll(&ready, 1, 20);
    }
}

static bool log_has(const char *id, const char *record)
{
    char path[256];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(16 << 20);
    path_to(path, id, "json.log");
    return dv_file_read(path, &text, NULL) == 0 && text.data && strstr(text.data, record);
}

/* Lets a script go on that waits for a line of its FIFO; this waits until it does. */
static void go(const char *id)
{
    char path[256];
    path_to(path, id, "stdin");
    dv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(write(fd, "go\n", 3), 3);
}

#define WAIT_FOR_GO "read x"

Test(monitor, exits_are_reported_with_their_codes_and_records_end_with_the_acknowledgement)
{
    static const struct {
        const char *id;
        const char *script;
        int code;
    } rows[] = {
        {"zero", "exit 0", 0},
        {"three", "exit 3", 3},
        {"killed", "kill -KILL $$", 137},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_exit_watch_cmd cmd = run(rows[i].id, rows[i].script);
        watch(&cmd);
        expect_exit(rows[i].id, rows[i].code);
    }
    wait_for(exit_records() == 0, "acknowledged records are removed");
    expect_no_more_exits();
}

Test(monitor, output_is_logged_by_stream_to_its_last_byte)
{
    struct dv_exit_watch_cmd cmd = run("talks", "echo out; echo bad >&2; printf 'no end'");
    watch(&cmd);
    expect_exit("talks", 0);
    wait_for(log_has("talks", "{\"stream\":\"stdout\",\"log\":\"out\\n\",\"time\":\""), "stdout");
    wait_for(log_has("talks", "{\"stream\":\"stderr\",\"log\":\"bad\\n\",\"time\":\""), "stderr");
    wait_for(log_has("talks", "\"log\":\"no end\\n\""), "a last line without end");
}

Test(monitor, of_many_quick_exits_none_is_lost)
{
    enum { COUNT = 200 };
    static bool seen[COUNT];
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_exit_watch_cmd first = run("first", "exit 0");
    watch(&first);
    expect_exit("first", 0);
    unsigned before = descriptors_of_monitor();
    for (int i = 0; i < COUNT; i++) {
        char id[16];
        char script[32];
        snprintf(id, sizeof(id), "q%d", i);
        snprintf(script, sizeof(script), "exit %d", i);
        struct dv_exit_watch_cmd cmd = run(id, script);
        watch(&cmd);
    }
    for (int i = 0; i < COUNT; i++) {
        struct dv_container_exited exit = next_exit(arena);
        long number = strtol(exit.id + 1, NULL, 10);
        cr_assert(exit.is_code_known);
        cr_assert_eq(exit.exit_code, number);
        cr_assert_not(seen[number], "%s is reported twice", exit.id);
        seen[number] = true;
    }
    wait_for(exit_records() == 0, "acknowledged records are removed");
    wait_for(descriptors_of_monitor() <= before, "the monitor keeps no descriptor of them");
}

Test(monitor, a_killed_monitor_costs_no_output_and_no_exit)
{
    struct dv_exit_watch_cmd cmd = run(
        "stays", "echo first; " WAIT_FOR_GO "; echo meanwhile; " WAIT_FOR_GO "; echo last; exit 5");
    watch(&cmd);
    struct dv_exit_watch_cmd leaves = run("leaves", WAIT_FOR_GO "; echo bye; exit 6");
    watch(&leaves);
    wait_for(log_has("stays", "\"log\":\"first\\n\""), "output before");
    cr_assert_eq(end_monitor(SIGKILL), 128 + SIGKILL);
    go("stays");
    go("leaves");
    expect_exit("leaves", 6);
    start_monitor();
    wait_for(log_has("stays", "\"log\":\"meanwhile\\n\""), "output while there was no monitor");
    go("stays");
    expect_exit("stays", 5);
    wait_for(log_has("stays", "\"log\":\"last\\n\""), "output after");
    expect_no_more_exits();
    struct dv_exit_watch_cmd again = run("again", "exit 4");
    watch(&again);
    expect_exit("again", 4);
}

Test(monitor, a_stopped_monitor_leaves_containers_alone)
{
    struct dv_exit_watch_cmd cmd = run("stays", WAIT_FOR_GO "; echo on; exit 7");
    watch(&cmd);
    cr_assert_eq(end_monitor(SIGTERM), 0);
    cr_assert_eq(kill((pid_t)cmd.pid, 0), 0);
    start_monitor();
    go("stays");
    expect_exit("stays", 7);
    wait_for(log_has("stays", "\"log\":\"on\\n\""), "output goes on");
}

Test(monitor, an_end_that_nobody_saw_is_told_to_the_next_daemon)
{
    struct dv_exit_watch_cmd cmd = run("early", "exit 9");
    stage.exits->free(stage.exits);
    stage.exits = NULL;
    (void)cmd;
    wait_for(exit_records() == 1, "the record is kept");
    cr_assert_eq(end_monitor(SIGKILL), 128 + SIGKILL);
    start_monitor();
    const struct dv_monitor_exits_options options = {stage.run_dir, dv_clock_real(), GRACE_NS};
    cr_assert_eq(dv_monitor_exits_new(&options, &stage.exits, &stage.err), 0, "%s", stage.err.text);
    expect_exit("early", 9);
    wait_for(exit_records() == 0, "acknowledged records are removed");
}

Test(monitor, a_second_one_for_the_same_folder_refuses_to_start)
{
    int status = 0;
    pid_t second = spawn_monitor();
    cr_assert_eq(waitpid(second, &status, 0), second);
    cr_assert_eq(dv_exit_code_of(status), 1);
    struct dv_exit_watch_cmd cmd = run("goes-on", "exit 0");
    watch(&cmd);
    expect_exit("goes-on", 0);
}

Test(monitor, a_program_is_killed_at_its_deadline_with_what_it_started)
{
    static struct dv_launch_result result;
    const char *argv[] = {"/bin/sh", "-c", "/bin/sleep 1000 & exec /bin/sleep 1000", NULL};
    const char *env[] = {NULL};
    const struct dv_launch what = {.argv = argv, .envp = env, .timeout_ms = 200};
    cr_assert_eq(stage.launcher->launch(stage.launcher, &what, &result, &stage.err),
                 -DV_ERR_TIMED_OUT, "%s", stage.err.text);
    char children[64];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(4096);
    snprintf(children, sizeof(children), "/proc/%d/task/%d/children", (int)stage.monitor,
             (int)stage.monitor);
    wait_for((dv_buf_clear(&text), dv_file_read(children, &text, NULL) == 0 && text.len == 0),
             "nothing of it is left");
}

Test(monitor, what_a_failed_program_said_is_told_and_nothing_of_it_stays_open)
{
    static struct dv_launch_result result;
    unsigned before = descriptors_of_monitor();
    const char *env[] = {NULL};
    const char *says[] = {"/bin/sh", "-c", "echo no way >&2; exit 12", NULL};
    struct dv_launch what = {.argv = says, .envp = env, .timeout_ms = 20000};
    cr_assert_eq(stage.launcher->launch(stage.launcher, &what, &result, &stage.err), 0, "%s",
                 stage.err.text);
    cr_assert_eq(result.exit_code, 12, "%s", result.stderr_text);
    cr_assert_str_eq(result.stderr_text, "no way\n");

    /* Fails before the FIFOs are opened: the log thread must see an end all the same. */
    char out[256];
    char in_error[256];
    make_place("nolayers", true);
    path_to(out, "nolayers", "stdout");
    path_to(in_error, "nolayers", "stderr");
    char target[128];
    snprintf(target, sizeof(target), "%s/nolayers", stage.launcher->mount_root(stage.launcher));
    const char *lower[] = {"absent", NULL};
    what.container_id = "nolayers";
    what.stdio = (struct dv_launch_stdio){.out = out, .err = in_error};
    what.rootfs = (struct dv_launch_rootfs){
        .layers_dir = "/nonexistent/layers", .lower = lower, .target = target};
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(stage.launcher->launch(stage.launcher, &what, &result, &stage.err), 0, "%s",
                     stage.err.text);
        cr_assert_neq(result.exit_code, 0);
        cr_assert(strstr(result.stderr_text, "/nonexistent/layers"), "%s", result.stderr_text);
    }
    /* The connection of the launcher itself is new since then. */
    wait_for(descriptors_of_monitor() <= before + 1, "the monitor keeps no descriptor of them");
}

Test(monitor, an_end_between_two_monitors_leaves_no_descriptor_open)
{
    unsigned before = descriptors_of_monitor();
    struct dv_exit_watch_cmd cmd = run("gone", WAIT_FOR_GO "; echo tail; exit 2");
    watch(&cmd);
    cr_assert_eq(end_monitor(SIGKILL), 128 + SIGKILL);
    go("gone");
    expect_exit("gone", 2);
    start_monitor();
    expect_no_more_exits();
    wait_for(descriptors_of_monitor() <= before + 1, "the monitor keeps no FIFO of it");
}

Test(monitor, garbage_and_clients_that_vanish_do_no_harm)
{
    static const struct {
        const char *bytes;
        size_t len;
    } rows[] = {{"", 1}, {"\xf4\x01\xc1", 3}, {"\xff\xff\x80", 3}, {"\xf6\x01\x80", 3}};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    unsigned before = descriptors_of_monitor();
    snprintf(address.sun_path, sizeof(address.sun_path), "%s/monitor.sock", stage.run_dir);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        dv_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
        cr_assert_eq(send(fd, rows[i].bytes, rows[i].len, MSG_NOSIGNAL), (ssize_t)rows[i].len);
    }
    /* Asks for a launch and does not wait for it. */
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(4096);
    struct dv_monitor_hello hello = {.version = DV_MONITOR_VERSION, .oldest = DV_MONITOR_VERSION};
    char *argv[] = {(char *)"/bin/true"};
    struct dv_monitor_launch launch = {.argv = {argv, 1}, .timeout_ms = 20000};
    dv_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_hello, &hello, &stage.err), 0, "%s",
                 stage.err.text);
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_launch, &launch, &stage.err), 0, "%s",
                 stage.err.text);
    dv_close(&fd);
    struct dv_exit_watch_cmd cmd = run("fine", "exit 1");
    watch(&cmd);
    expect_exit("fine", 1);
    wait_for(descriptors_of_monitor() <= before + 1, "their connections are closed");
}

/* A child that stops, and ends with `code` when it is continued. */
static pid_t stopped_child(int code)
{
    char script[64];
    int status;
    snprintf(script, sizeof(script), "kill -STOP $$; exit %d", code);
    const char *argv[] = {"sh", "-c", script, NULL};
    struct dv_spawn what = {.path = "/bin/sh", .argv = argv};
    pid_t pid = 0;
    cr_assert_eq(dv_spawn_start(&what, &pid, &stage.err), 0, "%s", stage.err.text);
    cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
    return pid;
}

/* Another child with that process id; others take numbers, too. 0: in vain. */
static pid_t child_with_pid(pid_t wanted, int code)
{
    for (int i = 0; i < 500; i++) {
        dv_autoclose int fd = open("/proc/sys/kernel/ns_last_pid", O_WRONLY | O_CLOEXEC);
        char number[16];
        int len = snprintf(number, sizeof(number), "%d", wanted - 1);
        if (fd < 0 || write(fd, number, (size_t)len) != len)
            return 0;
        pid_t pid = stopped_child(code);
        if (pid == wanted)
            return pid;
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
    }
    return 0;
}

static void run_to_its_end(pid_t pid, int code)
{
    struct dv_container_exited exit = {0};
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 10);
    struct dv_exit_watch_cmd watch = {
        .id = (char *)"again", .pid = pid, .start_ticks = dv_process_start_ticks(pid)};
    cr_assert_gt(watch.start_ticks, 0);
    cr_assert_eq(stage.exits->watch(stage.exits, &watch, &stage.err), 0, "%s", stage.err.text);
    (void)kill(pid, SIGCONT);
    wait_for(stage.exits->next(stage.exits, arena, &exit, &stage.err) == 1, "the end is reported");
    cr_assert_eq(exit.pid, pid);
    cr_assert_eq(exit.exit_code, code);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

Test(monitor, a_later_run_with_the_same_process_id_is_another_run)
{
    (void)end_monitor(SIGTERM);
    pid_t pid = stopped_child(3);
    run_to_its_end(pid, 3);
    dv_need(child_with_pid(pid, 4) == pid, "the right to choose a process id");
    run_to_its_end(pid, 4);
}

Test(monitor, without_a_monitor_a_launch_says_what_to_do)
{
    static struct dv_launch_result result;
    const char *argv[] = {"/bin/true", NULL};
    const char *env[] = {NULL};
    const struct dv_launch what = {.argv = argv, .envp = env, .timeout_ms = 20000};
    cr_assert_eq(end_monitor(SIGTERM), 0);
    cr_assert_eq(stage.launcher->launch(stage.launcher, &what, &result, &stage.err),
                 -DV_ERR_UNAVAILABLE);
    cr_assert(strstr(stage.err.text, "davit-monitor"), "%s", stage.err.text);
    start_monitor();
    stage.err = DV_ERROR_INIT;
    cr_assert_eq(stage.launcher->launch(stage.launcher, &what, &result, &stage.err), 0, "%s",
                 stage.err.text);
    cr_assert_eq(result.exit_code, 0, "%s", result.stderr_text);
}
