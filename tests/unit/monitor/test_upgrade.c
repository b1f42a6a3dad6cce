/* SPDX-License-Identifier: Apache-2.0 */
/*
 * davit-monitor becomes another program: a real one, copied to where it can be replaced, with a
 * fake runtime (fake_runtime.c). All mounts are made in a mount namespace of the test's own. The
 * test is a subreaper, so what the monitor leaves ends up here.
 */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/durable.h"
#include "base/spawn.h"
#include "monitor/client.h"
#include "monitor/protocol.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_NS      30000000000LL
#define UPGRADES     20
#define WRITERS      6
#define PROGRAM_MODE 0755
#define LOG_BYTES    (512U << 20)

static char run_dir[64];
static char program[96];
static char socket_path[96];
static char said_path[96];
static struct dv_error err;
static pid_t monitor;
static unsigned upgrades;
static unsigned refusals;
static struct dv_launcher *launcher;
static struct dv_exit_source *exits;
static struct dv_exit_watch_cmd started[256];
static size_t started_count;

static int64_t now_ns(void)
{
    return dv_clock_monotonic_ns(dv_clock_real());
}

/* Looks again and again until the deadline. */
#define wait_for(condition, what)                                                                  \
    do {                                                                                           \
        int64_t until_ = now_ns() + WAIT_NS;                                                       \
        while (!(condition)) {                                                                     \
            cr_assert_lt(now_ns(), until_, "in vain: %s", (what));                                 \
            (void)poll(NULL, 0, 5);                                                                \
        }                                                                                          \
    } while (0)

static void path_to(char ret[static 256], const char *id, const char *name)
{
    snprintf(ret, 256, "%s/containers/%s/%s", run_dir, id, name);
}

/* Another file under the program's name, as a package manager does it. */
static void install(const char *bytes, size_t len, mode_t mode)
{
    char aside[128];
    snprintf(aside, sizeof(aside), "%s.new", program);
    dv_autoclose int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
    cr_assert_eq(rename(aside, program), 0);
}

static void install_real(void)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(LOG_BYTES);
    cr_assert_eq(dv_file_read(DV_BIN_DIR "/davit-monitor", &bytes, &err), 0, "%s", err.text);
    install(bytes.data, bytes.len, PROGRAM_MODE);
}

static int connect_raw(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    dv_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    return connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 ? dv_steal_fd(&fd)
                                                                                : -1;
}

static void start_monitor(void)
{
    const char *argv[] = {"davit-monitor",
                          "--run-dir",
                          run_dir,
                          "--launch-program",
                          DV_BIN_DIR "/davit-launch",
                          NULL};
    dv_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dv_autoclose int said = open(said_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    dv_autoclose int connection = -1;
    const struct dv_spawn_fd fds[] = {{null, 0}, {said, 1}, {said, 2}};
    struct dv_spawn what = {.path = program, .argv = argv, .fds = fds, .fd_count = 3};
    cr_assert_eq(dv_spawn_start(&what, &monitor, &err), 0, "%s", err.text);
    wait_for((connection = connect_raw()) >= 0, "davit-monitor listens");
}

static unsigned times_said(const char *text)
{
    DV_AUTO_IN_PLACE(dv_buf) all = DV_BUF_INIT(LOG_BYTES);
    unsigned count = 0;
    if (dv_file_read(said_path, &all, NULL) < 0)
        return 0;
    for (const char *at = all.data; at && (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

static void upgrade(void)
{
    upgrades++;
    cr_assert_eq(kill(monitor, SIGHUP), 0);
    wait_for(times_said("took over from") >= upgrades, "davit-monitor is upgraded");
}

static unsigned descriptors_of_monitor(void)
{
    char path[64];
    unsigned count = 0;
    snprintf(path, sizeof(path), "/proc/%d/fd", (int)monitor);
    dv_autoclosedir DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        count += entry->d_name[0] != '.';
    return count;
}

static void expect_refusal(const char *why)
{
    refusals++;
    cr_assert_eq(kill(monitor, SIGHUP), 0);
    wait_for(times_said("upgrade refused") >= refusals, "davit-monitor refuses");
    cr_expect_geq(times_said(why), 1, "'%s' is said", why);
}

static void setup(void)
{
    dv_need_root();
    dv_need(unshare(CLONE_NEWNS) == 0, "the right to make a mount namespace");
    cr_assert_eq(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
    cr_assert_eq(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    err = DV_ERROR_INIT;
    snprintf(run_dir, sizeof(run_dir), "/tmp/davit-upgrade-XXXXXX");
    cr_assert_not_null(mkdtemp(run_dir));
    snprintf(program, sizeof(program), "%s/davit-monitor", run_dir);
    snprintf(socket_path, sizeof(socket_path), "%s/monitor.sock", run_dir);
    snprintf(said_path, sizeof(said_path), "%s/said", run_dir);
    install_real();
    start_monitor();
    cr_assert_eq(dv_monitor_launcher_new(socket_path, &launcher, &err), 0, "%s", err.text);
    const struct dv_monitor_exits_options options = {run_dir, dv_clock_real(), 300000000};
    cr_assert_eq(dv_monitor_exits_new(&options, &exits, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    char path[128];
    for (size_t i = 0; i < started_count; i++) {
        dv_autoclose int pidfd = dv_pidfd_open((pid_t)started[i].pid, started[i].start_ticks);
        if (pidfd >= 0)
            (void)dv_pidfd_signal(pidfd, SIGKILL);
    }
    if (monitor) {
        (void)kill(monitor, SIGTERM);
        (void)waitpid(monitor, NULL, 0);
    }
    if (launcher)
        launcher->free(launcher);
    if (exits)
        exits->free(exits);
    snprintf(path, sizeof(path), "%s/mounts", run_dir);
    (void)umount2(path, MNT_DETACH);
    if (run_dir[0])
        (void)!dv_tree_remove(run_dir, NULL);
}

TestSuite(upgrade, .init = setup, .fini = teardown, .timeout = 180);

/* -- containers ----------------------------------------------------------------------------- */

/* Runs `script` as a container with a terminal, or with FIFOs; `runtime` runs it all, NULL: the
 * fake runtime. */
static struct dv_exit_watch_cmd
run_by(const char *runtime, const char *id, const char *script, bool is_tty)
{
    static const char *const names[] = {"stdin", "stdout", "stderr", "pid", "json.log"};
    static struct dv_launch_result result;
    char paths[5][256];
    char folder[256];
    char console[128];
    path_to(folder, id, "");
    cr_assert_eq(dv_dir_make(folder, 0700, &err), 0, "%s", err.text);
    for (size_t i = 0; i < 5; i++) {
        path_to(paths[i], id, names[i]);
        if (i < 3 && !is_tty)
            cr_assert_eq(mkfifo(paths[i], 0600), 0);
    }
    snprintf(console, sizeof(console), "%s/tty.1", run_dir);
    const char *fake[] = {DV_FAKE_RUNTIME, script, paths[3], is_tty ? console : NULL, NULL};
    const char *other[] = {"/bin/sh", "-c", runtime, DV_FAKE_RUNTIME, script, paths[3], NULL};
    const char *env[] = {"PATH=/usr/bin:/bin", NULL};
    struct dv_launch what = {
        .container_id = id,
        .argv = runtime ? other : fake,
        .envp = env,
        .log = {.path = paths[4]},
        .pid_file = paths[3],
        .timeout_ms = 60000,
    };
    if (is_tty)
        what.stdio = (struct dv_launch_stdio){.console = console, .takes_input = true};
    else
        what.stdio = (struct dv_launch_stdio){.in = paths[0], .out = paths[1], .err = paths[2]};
    cr_assert_eq(launcher->launch(launcher, &what, &result, &err), 0, "%s", err.text);
    cr_assert_eq(result.exit_code, 0, "%s", result.stderr_text);
    struct dv_exit_watch_cmd cmd = {
        .id = (char *)id, .pid = result.pid, .start_ticks = result.start_ticks};
    cr_assert_lt(started_count, sizeof(started) / sizeof(started[0]));
    started[started_count++] = cmd;
    cr_assert_eq(exits->watch(exits, &cmd, &err), 0, "%s", err.text);
    return cmd;
}

static void run(const char *id, const char *script, bool is_tty)
{
    (void)run_by(NULL, id, script, is_tty);
}

/* As the daemon does: waits on the one descriptor and the deadline. */
static struct dv_container_exited next_exit(struct dv_arena *arena)
{
    struct dv_container_exited exit;
    int64_t until = now_ns() + WAIT_NS;
    for (;;) {
        int r = exits->next(exits, arena, &exit, &err);
        cr_assert_geq(r, 0, "%s", err.text);
        if (r > 0)
            break;
        int64_t wake = exits->deadline_ns(exits);
        cr_assert_lt(now_ns(), until, "no exit is reported");
        wake = wake < until ? wake : until;
        struct pollfd ready = {.fd = exits->fd(exits), .events = POLLIN};
        (void)poll(&ready, 1, wake > now_ns() ? (int)((wake - now_ns()) / 1000000) + 1 : 0);
    }
    exits->acknowledge(exits, &exit);
    return exit;
}

static void expect_exit(const char *id, int code)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_container_exited exit = next_exit(arena);
    cr_assert_str_eq(exit.id, id);
    cr_assert(exit.is_code_known, "%s", exit.id);
    cr_assert_eq(exit.exit_code, code, "%s: %d", id, (int)exit.exit_code);
}

static bool has_exit_records(void)
{
    char path[128];
    bool is_there = false;
    snprintf(path, sizeof(path), "%s/exits", run_dir);
    dv_autoclosedir DIR *dir = opendir(path);
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        is_there |= entry->d_name[0] != '.';
    return is_there;
}

/* Lines "<id> <number>" from 0 on, each once and in order; returns how many. */
static int64_t lines_of(const char *id)
{
    DV_AUTO_IN_PLACE(dv_buf) all = DV_BUF_INIT(LOG_BYTES);
    char path[256];
    char want[128];
    int64_t count = 0;
    path_to(path, id, "json.log");
    if (dv_file_read(path, &all, NULL) < 0 || !all.data)
        return 0;
    for (char *line = all.data; *line; count++) {
        char *end = strchr(line, '\n');
        if (!end)
            break;
        snprintf(want, sizeof(want), "{\"stream\":\"stdout\",\"log\":\"%s %lld\\n\",", id,
                 (long long)count);
        cr_assert_eq(strncmp(line, want, strlen(want)), 0, "after %lld lines: %.*s",
                     (long long)count, (int)(end - line), line);
        line = end + 1;
    }
    return count;
}

/* Half a line, then the other half, as fast as it can: an upgrade may come between the two. Ends
 * when there is a file `stop`, and leaves the number of its lines. */
static void run_writer(const char *id, int code)
{
    char script[512];
    char count[256];
    path_to(count, id, "count");
    snprintf(script, sizeof(script),
             "i=0; until test -e %s/stop; do printf '%s '; echo $i; i=$((i+1)); done; "
             "echo $i > %s; exit %d",
             run_dir, id, count, code);
    run(id, script, false);
}

static int64_t count_of(const char *id)
{
    char path[256];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(64);
    path_to(path, id, "count");
    cr_assert_eq(dv_file_read(path, &text, &err), 0, "%s", err.text);
    return strtoll(text.data, NULL, 10);
}

static int64_t log_size(const char *id)
{
    char path[256];
    struct stat info;
    path_to(path, id, "json.log");
    return stat(path, &info) == 0 ? info.st_size : 0;
}

Test(upgrade, no_line_and_no_exit_is_lost_in_many)
{
    static char ids[WRITERS][8];
    char stop[128];
    bool has_ended[WRITERS] = {false};
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    for (int i = 0; i < WRITERS; i++) {
        snprintf(ids[i], sizeof(ids[i]), "w%d", i);
        run_writer(ids[i], i + 10);
    }
    for (int i = 0; i < UPGRADES; i++) {
        const char *id = ids[i % WRITERS];
        int64_t before = log_size(id);
        upgrade();
        wait_for(log_size(id) > before, "output goes on");
    }
    snprintf(stop, sizeof(stop), "%s/stop", run_dir);
    dv_autoclose int fd = open(stop, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    upgrade(); /* while they end */
    for (int i = 0; i < WRITERS; i++) {
        struct dv_container_exited exit = next_exit(arena);
        int number = exit.id[1] - '0';
        cr_assert(number >= 0 && number < WRITERS && !has_ended[number], "%s", exit.id);
        has_ended[number] = true;
        cr_expect(exit.is_code_known);
        cr_expect_eq(exit.exit_code, number + 10, "%s: %d", exit.id, (int)exit.exit_code);
    }
    for (int i = 0; i < WRITERS; i++) {
        cr_assert_gt(count_of(ids[i]), UPGRADES, "it wrote at all");
        wait_for(lines_of(ids[i]) == count_of(ids[i]), "all lines are in the log");
    }
    cr_assert_eq(waitpid(monitor, NULL, WNOHANG), 0, "it is the same process");
}

Test(upgrade, exits_and_launches_cross_it)
{
    enum { COUNT = 40 };
    static char ids[COUNT][8];
    bool has_ended[COUNT] = {false};
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    for (int i = 0; i < COUNT; i++) {
        char script[32];
        snprintf(ids[i], sizeof(ids[i]), "q%d", i);
        snprintf(script, sizeof(script), "exit %d", i);
        /* What comes next meets the monitor before, in the middle of, and after it. */
        if (i % 2 == 0) {
            upgrades++;
            cr_assert_eq(kill(monitor, SIGHUP), 0);
        }
        run(ids[i], script, false);
    }
    wait_for(times_said("took over from") >= 1, "it was upgraded at all");
    for (int i = 0; i < COUNT; i++) {
        struct dv_container_exited exit = next_exit(arena);
        long number = strtol(exit.id + 1, NULL, 10);
        cr_assert(number >= 0 && number < COUNT && !has_ended[number], "%s", exit.id);
        has_ended[number] = true;
        cr_expect(exit.is_code_known, "%s", exit.id);
        cr_expect_eq(exit.exit_code, number);
    }
    wait_for(!has_exit_records(), "all ends are acknowledged");
    const char *version = exits->program(exits);
    cr_assert_not_null(version);
    cr_expect_gt(strlen(version), 0);
}

static void *run_slow(void *ctx)
{
    (void)run_by(ctx, "slow", "echo slow 0; exit 5", false);
    return NULL;
}

Test(upgrade, a_program_that_runs_meanwhile_is_answered)
{
    char runtime[256];
    char gate[128];
    pthread_t thread;
    snprintf(gate, sizeof(gate), "%s/gate", run_dir);
    snprintf(runtime, sizeof(runtime),
             "echo $$ > %s.pid; until test -e %s; do sleep 0.05; done; exec \"$0\" \"$@\"", gate,
             gate);
    cr_assert_eq(pthread_create(&thread, NULL, run_slow, runtime), 0);
    char pid_file[160];
    snprintf(pid_file, sizeof(pid_file), "%s.pid", gate);
    wait_for(access(pid_file, F_OK) == 0, "the runtime runs");
    upgrade();
    upgrade();
    dv_autoclose int fd = open(gate, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    expect_exit("slow", 5);
    wait_for(lines_of("slow") == 1, "its output");
}

/* -- refusals ------------------------------------------------------------------------------- */

Test(upgrade, a_program_that_does_not_take_over_changes_nothing)
{
    static const struct {
        const char *text;
        mode_t mode;
        const char *why;
    } rows[] = {
        {"#!/bin/sh\necho I am too old >&2\nexit 1\n", 0755, "I am too old"},
        {"#!/bin/sh\nexit 0\n", 0755, "ended with 0 and said ''"},
        {"#!/bin/sh\necho yes\n", 0644, "Permission denied"},
        {"\177ELF, and then nothing", 0755, "Exec format error"},
        {"#!/bin/sh\nexec /bin/sleep 1000\n", 0755, "gave no answer in 5 s"},
    };
    run("steady", "i=0; while read x; do echo steady $i; i=$((i+1)); done; exit 6", false);
    char path[256];
    path_to(path, "steady", "stdin");
    dv_autoclose int input = open(path, O_WRONLY | O_CLOEXEC);
    /* With the log, which is open once it was written to; by then the launch is over. */
    int64_t lines = 1;
    cr_assert_eq(write(input, "go\n", 3), 3);
    wait_for(lines_of("steady") == lines, "its first output");
    unsigned before = descriptors_of_monitor();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        install(rows[i].text, strlen(rows[i].text), rows[i].mode);
        expect_refusal(rows[i].why);
        cr_assert_eq(write(input, "go\n", 3), 3);
        lines++;
        wait_for(lines_of("steady") == lines, "its output goes on");
    }
    cr_assert_eq(unlink(program), 0);
    expect_refusal("No such file");
    wait_for(descriptors_of_monitor() == before, "refusals leave nothing open");
    install_real();
    for (int i = 0; i < 3; i++)
        upgrade();
    wait_for(descriptors_of_monitor() == before - 1, "nor do upgrades");
    cr_assert_eq(write(input, "go\n", 3), 3);
    wait_for(lines_of("steady") == lines + 1, "its output goes on");
    dv_close(&input);
}

/* -- clients -------------------------------------------------------------------------------- */

static uint16_t next_frame(int fd, struct dv_arena *arena, void **ret)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};
    uint16_t kind = 0;
    cr_assert_eq(poll(&ready, 1, (int)(WAIT_NS / 1000000)), 1, "nothing comes");
    return dv_monitor_receive(fd, arena, &kind, ret, NULL) > 0 ? kind : 0;
}

static int attach(const char *id)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    int fd = -1;
    void *body;
    const struct dv_monitor_attach request = {.container_id = (char *)id};
    cr_assert_eq(dv_monitor_attach(socket_path, &request, &fd, &err), 0, "%s", err.text);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_welcome);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_attached);
    return fd;
}

static void type(int fd, const char *text)
{
    const struct dv_monitor_input input = {.data = {(uint8_t *)text, strlen(text)}};
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_input, &input, &err), 0, "%s", err.text);
}

/* Output up to the end of the text, or of the stream (NULL); the bytes of both sorts. */
static size_t expect_output(int fd, const char *text, int code)
{
    DV_AUTO_IN_PLACE(dv_buf) all = DV_BUF_INIT(LOG_BYTES);
    while (!text || !all.data || !strstr(all.data, text)) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        void *body = NULL;
        uint16_t kind = next_frame(fd, arena, &body);
        if (!text && kind == DV_KIND_monitor_ended) {
            cr_expect(((struct dv_monitor_ended *)body)->is_code_known);
            cr_expect_eq(((struct dv_monitor_ended *)body)->exit_code, code);
            return all.len;
        }
        cr_assert_eq(kind, DV_KIND_monitor_output, "kind %u before '%s'", kind, text);
        const struct dv_monitor_output *output = body;
        cr_assert_eq(dv_buf_append(&all, output->data.data, output->data.len, &err), 0);
    }
    return all.len;
}

#define ECHO "while read x; do echo \"got $x\"; test \"$x\" = end && exit 7; done; exit 1"

Test(upgrade, a_terminal_and_who_is_attached_stay)
{
    static const char *const kinds[] = {"tty", "fifo"};
    for (size_t i = 0; i < 2; i++) {
        run(kinds[i], ECHO, i == 0);
        dv_autoclose int fd = attach(kinds[i]);
        type(fd, "one\n");
        (void)expect_output(fd, "got one", 0);
        upgrade();
        type(fd, "two\n");
        (void)expect_output(fd, "got two", 0);
        upgrade();
        dv_autoclose int other = attach(kinds[i]);
        type(other, "end\n");
        (void)expect_output(fd, NULL, 7);
        (void)expect_output(other, NULL, 7);
        expect_exit(kinds[i], 7);
    }
}

/* Nothing of its output is read any more: the log has stood still for a while. */
static void wait_held(const char *id)
{
    unsigned looks = 0;
    for (int64_t size = 0, until = now_ns() + WAIT_NS; looks < 30; looks++) {
        int64_t now = log_size(id);
        cr_assert_lt(now_ns(), until, "its output is read on and on");
        if (now != size || !size)
            looks = 0;
        size = now;
        (void)poll(NULL, 0, 10);
    }
}

Test(upgrade, output_that_a_client_has_not_read_waits_for_it)
{
    enum { BYTES = 3000000 };
    char script[128];
    snprintf(script, sizeof(script), "read x; yes | head -c %d; exit 3", BYTES);
    run("much", script, false);
    dv_autoclose int fd = attach("much");
    type(fd, "go\n");
    wait_held("much");
    upgrade();
    upgrade();
    cr_expect_eq(expect_output(fd, NULL, 3), BYTES);
}

Test(upgrade, a_session_goes_on)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    char pid_file[256];
    void *body;
    int fd = -1;
    run("host", "read x; exit 2", false);
    path_to(pid_file, "host", "session.pid");
    const char *argv[] = {DV_FAKE_RUNTIME, ECHO, pid_file};
    struct dv_monitor_launch launch = {
        .argv = {(char **)argv, 3}, .pid_file = pid_file, .takes_input = true, .timeout_ms = 20000};
    const struct dv_monitor_exec exec = {.launch = &launch, .container_id = (char *)"host"};
    cr_assert_eq(dv_monitor_exec(socket_path, &exec, &fd, &err), 0, "%s", err.text);
    dv_autoclose int stream = fd;
    cr_assert_eq(next_frame(stream, arena, &body), DV_KIND_monitor_welcome);
    cr_assert_eq(next_frame(stream, arena, &body), DV_KIND_monitor_attached);
    upgrade();
    type(stream, "one\n");
    (void)expect_output(stream, "got one", 0);
    upgrade();
    type(stream, "end\n");
    (void)expect_output(stream, NULL, 7);
}

/* A davitd that is one version older stays connected, and learns nothing that it does not know. */
Test(upgrade, a_client_of_the_version_before_stays)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    const struct dv_monitor_hello hello = {.version = DV_MONITOR_VERSION - 1,
                                           .oldest = DV_MONITOR_VERSION - 1,
                                           .role = DV_MONITOR_ROLE_EVENTS};
    void *body = NULL;
    dv_autoclose int fd = connect_raw();
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_hello, &hello, &err), 0);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_welcome);
    upgrade();
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_welcome);
    cr_expect_eq(((struct dv_monitor_welcome *)body)->version, DV_MONITOR_VERSION - 1);
    cr_expect_eq(((struct dv_monitor_welcome *)body)->pid, monitor);
    run("term", "exit 9", true);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_container_exited);
    cr_expect_eq(((struct dv_container_exited *)body)->exit_code, 9);
}
