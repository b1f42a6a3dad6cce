/* SPDX-License-Identifier: Apache-2.0 */
/* davit-monitor becomes another program: a real one, copied to where it can be replaced. */
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/spawn.h"
#include "monitor/protocol.h"
#include "stage.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define UPGRADES     20
#define WRITERS      6
#define PROGRAM_MODE 0755
#define LOG_BYTES    (512U << 20)

static char program[96];
static char said_path[96];
static unsigned upgrades;
static unsigned refusals;

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
    cr_assert_eq(dv_file_read(DV_BIN_DIR "/davit-monitor", &bytes, &stage.err), 0, "%s",
                 stage.err.text);
    install(bytes.data, bytes.len, PROGRAM_MODE);
}

static void start_monitor(void)
{
    const char *argv[] = {"davit-monitor",
                          "--run-dir",
                          stage.run_dir,
                          "--launch-program",
                          DV_BIN_DIR "/davit-launch",
                          NULL};
    dv_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    dv_autoclose int said = open(said_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    const struct dv_spawn_fd fds[] = {{null, 0}, {said, 1}, {said, 2}};
    struct dv_spawn what = {.path = program, .argv = argv, .fds = fds, .fd_count = 3};
    cr_assert_eq(dv_spawn_start(&what, &stage.monitor, &stage.err), 0, "%s", stage.err.text);
    await_monitor();
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
    cr_assert_eq(kill(stage.monitor, SIGHUP), 0);
    wait_for(times_said("took over from") >= upgrades, "davit-monitor is upgraded");
}

static void expect_refusal(const char *why)
{
    refusals++;
    cr_assert_eq(kill(stage.monitor, SIGHUP), 0);
    wait_for(times_said("upgrade refused") >= refusals, "davit-monitor refuses");
    cr_expect_geq(times_said(why), 1, "'%s' is said", why);
}

static void setup(void)
{
    stage_setup();
    snprintf(program, sizeof(program), "%s/davit-monitor", stage.run_dir);
    snprintf(said_path, sizeof(said_path), "%s/said", stage.run_dir);
    install_real();
    start_monitor();
    open_launcher();
    open_exits();
}

TestSuite(upgrade, .init = setup, .fini = stage_teardown, .timeout = 180);

/* -- containers ----------------------------------------------------------------------------- */

static struct dv_exit_watch_cmd
run_by(const char *runtime, const char *id, const char *script, bool is_tty)
{
    struct dv_exit_watch_cmd cmd = launch(runtime, id, script, is_tty);
    watch(&cmd);
    return cmd;
}

static void run(const char *id, const char *script, bool is_tty)
{
    (void)run_by(NULL, id, script, is_tty);
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
             stage.run_dir, id, count, code);
    run(id, script, false);
}

static int64_t count_of(const char *id)
{
    char path[256];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(64);
    path_to(path, id, "count");
    cr_assert_eq(dv_file_read(path, &text, &stage.err), 0, "%s", stage.err.text);
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
    snprintf(stop, sizeof(stop), "%s/stop", stage.run_dir);
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
    cr_assert_eq(waitpid(stage.monitor, NULL, WNOHANG), 0, "it is the same process");
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
            cr_assert_eq(kill(stage.monitor, SIGHUP), 0);
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
    wait_for(!exit_records(), "all ends are acknowledged");
    const char *version = stage.exits->program(stage.exits);
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
    snprintf(gate, sizeof(gate), "%s/gate", stage.run_dir);
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
    cr_assert_eq(dv_monitor_attach(stage.socket_path, &request, &fd, &stage.err), 0, "%s",
                 stage.err.text);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_welcome);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_attached);
    return fd;
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
        cr_assert_eq(dv_buf_append(&all, output->data.data, output->data.len, &stage.err), 0);
    }
    return all.len;
}

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
    cr_assert_eq(dv_monitor_exec(stage.socket_path, &exec, &fd, &stage.err), 0, "%s",
                 stage.err.text);
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
    cr_assert_eq(dv_monitor_send(fd, &dv_schema_monitor_hello, &hello, &stage.err), 0);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_welcome);
    upgrade();
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_monitor_welcome);
    cr_expect_eq(((struct dv_monitor_welcome *)body)->version, DV_MONITOR_VERSION - 1);
    cr_expect_eq(((struct dv_monitor_welcome *)body)->pid, stage.monitor);
    run("term", "exit 9", true);
    cr_assert_eq(next_frame(fd, arena, &body), DV_KIND_container_exited);
    cr_expect_eq(((struct dv_container_exited *)body)->exit_code, 9);
}
