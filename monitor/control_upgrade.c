/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An upgrade: this process becomes the program that now has its file's name, with all its children
 * and descriptors. Nothing is read or written meanwhile: output waits in FIFOs and terminals,
 * frames in sockets, ended children as zombies.
 *
 * The new program first reads the state in a process of its own (--check-state) and says whether it
 * would take it over. Only then this one is replaced; until the very exec it can go on as if
 * nothing had been.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/spawn.h"
#include "monitor/control.h"
#include "monitor/fdstore.h"
#include "monitor/state.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOGS_NS      5000000000LL /* for the disk */
#define CHECK_NS     5000000000LL /* for the new program */
#define NS_PER_MS    1000000
#define STATE_FD     3 /* of the checking process */
#define REPORT_BYTES 512
#define ACCEPTED     "davit-monitor accepts the state"

/* -- save ----------------------------------------------------------------------------------- */

struct saving {
    const struct monitor *m;
    struct mon_state_writer *writer;
};

static void save_container(void *ctx, const struct mon_container *container)
{
    const struct saving *saving = ctx;
    struct mon_state_writer *writer = saving->writer;
    const struct mon_tty *tty = saving->m->ttys;
    while (tty && tty->pid != container->pid)
        tty = tty->next;
    struct dv_monitor_container what = {
        .id = (char *)container->id,
        .pid = container->pid,
        .start_ticks = container->start_ticks,
        .oom_path = container->oom_path,
        .is_tty = container->is_tty,
        .takes_input = container->takes_input,
    };
    const struct dv_monitor_state_container frame = {
        .what = &what,
        .process_fd = mon_state_fd(writer, container->pidfd),
        .console_fd = mon_state_fd(writer, container->console),
        .other_side_fd = mon_state_fd(writer, tty ? tty->fd : -1),
    };
    mon_state_put(writer, &dv_schema_monitor_state_container, &frame);
}

static void save_client(const struct mon_client *client, struct mon_state_writer *writer)
{
    const struct dv_monitor_state_client frame = {
        .connection_fd = mon_state_fd(writer, client->fd),
        .has_said_hello = client->has_said_hello,
        .version = client->version,
        .wants_exits = client->wants_exits,
        .must_tell_consoles = client->must_tell_consoles,
        .is_stream = client->is_stream,
        .told = client->told,
        .waits_for = client->waits_for,
        .rows = client->rows,
        .columns = client->columns,
    };
    mon_state_put(writer, &dv_schema_monitor_state_client, &frame);
}

static int64_t number_of(const struct monitor *m, const struct mon_client *wanted)
{
    int64_t number = 1;
    for (const struct mon_client *client = m->clients; client; client = client->next, number++)
        if (client == wanted)
            return number;
    return 0;
}

static void save_launch(const struct monitor *m,
                        const struct mon_launch *launch,
                        struct mon_state_writer *writer)
{
    const struct dv_monitor_state_launch frame = {
        .what = (struct dv_monitor_launch *)launch->what,
        .client = number_of(m, launch->client),
        .sequence = (int64_t)launch->sequence,
        .pid = launch->pid,
        .output_fd = mon_state_fd(writer, launch->output),
        .text = {(uint8_t *)launch->text.data, launch->text.len},
        .deadline_ns = launch->deadline_ns,
        .is_timed_out = launch->is_timed_out,
        .stdout_fd = mon_state_fd(writer, launch->streams[0]),
        .stderr_fd = mon_state_fd(writer, launch->streams[1]),
        .console_fd = mon_state_fd(writer, launch->console.fd),
        .is_console_connected = launch->console.is_connected,
        .terminal_fd = mon_state_fd(writer, launch->console.terminal),
        .exec_id = (char *)launch->exec_id,
        .exec_process = (char *)launch->exec_process,
        .exec_input_fd = mon_state_fd(writer, launch->exec_own[0]),
        .exec_output_fd = mon_state_fd(writer, launch->exec_own[1]),
        .exec_errors_fd = mon_state_fd(writer, launch->exec_own[2]),
    };
    mon_state_put(writer, &dv_schema_monitor_state_launch, &frame);
}

static void save_rest(const struct monitor *m, struct mon_state_writer *writer)
{
    int64_t record = 0;
    for (const struct mon_exec *exec = m->execs; exec; exec = exec->next) {
        const struct dv_monitor_state_exec frame = {exec->pid, (int64_t)exec->sequence, {}};
        mon_state_put(writer, &dv_schema_monitor_state_exec, &frame);
    }
    for (unsigned i = 0; i < m->stray_count; i++) {
        const struct mon_stray *stray = &m->strays[i];
        const struct dv_monitor_state_stray frame = {
            stray->pid, stray->status, stray->wall_ns, (int64_t)stray->sequence, {}};
        mon_state_put(writer, &dv_schema_monitor_state_stray, &frame);
    }
    const struct dv_container_exited *exit;
    for (; (exit = mon_records_next(m->records, record)) != NULL; record = exit->record)
        mon_state_put(writer, &dv_schema_container_exited, exit);
}

static int
save(const struct monitor *m, struct mon_state_writer *writer, int *ret_fd, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(MON_STATE_BYTES);
    struct saving saving = {m, writer};
    struct dv_monitor_state head = {
        .program = (char *)MON_PROGRAM,
        .lock_fd = mon_state_fd(writer, m->lock),
        .listener_fd = mon_state_fd(writer, m->listener),
        .launch_sequence = (int64_t)m->launch_sequence,
    };
    mon_containers_each(m->containers, save_container, &saving);
    for (const struct mon_client *client = m->clients; client; client = client->next)
        save_client(client, writer);
    for (const struct mon_launch *launch = m->launches; launch; launch = launch->next)
        save_launch(m, launch, writer);
    save_rest(m, writer);
    dv_log_thread_save(m->log, writer);
    int r = mon_state_encode(writer, &head, &bytes, err);
    return r < 0 ? r : mon_state_seal(&bytes, ret_fd, err);
}

/* -- check ---------------------------------------------------------------------------------- */

int mon_check_state(int fd, struct dv_error *err)
{
    const void *bytes;
    size_t len;
    int r = mon_state_map(fd, &bytes, &len, err);
    if (r < 0)
        return r;
    r = mon_state_check(bytes, len, err);
    mon_state_unmap(bytes, len);
    if (r == 0)
        puts(ACCEPTED);
    return r;
}

/* What the process says until it ends; it is killed when its time is over. */
static int wait_for_answer(pid_t pid, int output, char report[static REPORT_BYTES], int *ret_status)
{
    int64_t until = dv_clock_monotonic_ns(dv_clock_real()) + CHECK_NS;
    dv_autoclose int pidfd = dv_pidfd_open(pid, 0);
    size_t used = 0;
    int r = 0;
    for (bool has_ended = false; !has_ended;) {
        struct pollfd ready[] = {{.fd = pidfd, .events = POLLIN}, {.fd = output, .events = POLLIN}};
        int64_t left = until - dv_clock_monotonic_ns(dv_clock_real());
        if (left <= 0 || pidfd < 0) {
            (void)kill(pid, SIGKILL); /* ours, and not reaped yet */
            r = -DV_ERR_TIMED_OUT;
            break;
        }
        (void)poll(ready, output < 0 ? 1 : 2, (int)(left / NS_PER_MS) + 1);
        has_ended = ready[0].revents != 0;
        ssize_t got = output < 0 ? -1 : read(output, report + used, REPORT_BYTES - 1 - used);
        if (got > 0)
            used += (size_t)got;
        else if (got == 0)
            output = -1; /* all is said, or more than there is room for */
    }
    report[used] = '\0';
    while (waitpid(pid, ret_status, 0) < 0 && errno == EINTR) {
    }
    return r;
}

static int ask(const struct monitor *m, int state, struct dv_error *err)
{
    char report[REPORT_BYTES];
    int pipe_fds[2];
    int status = 0;
    pid_t pid;
    dv_autoclose int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || pipe2(pipe_fds, O_CLOEXEC) < 0)
        return dv_error_sys(err, DV_ERR_LIMIT, errno, "make a pipe for '%s'", m->program);
    dv_autoclose int output = pipe_fds[0];
    dv_autoclose int write_end = pipe_fds[1];
    (void)fcntl(output, F_SETFL, O_NONBLOCK);
    const char *const argv[] = {"davit-monitor", "--check-state", "3", NULL};
    const struct dv_spawn_fd fds[] = {{null, 0}, {write_end, 1}, {write_end, 2}, {state, STATE_FD}};
    const struct dv_spawn spawn = {
        .path = m->program, .argv = argv, .fds = fds, .fd_count = 4, .own_session = true};
    int r = dv_spawn_start(&spawn, &pid, err);
    if (r < 0)
        return r;
    dv_close(&write_end);
    if (wait_for_answer(pid, output, report, &status) < 0)
        return dv_error_set(err, DV_ERR_TIMED_OUT, "'%s --check-state' gave no answer in %lld s",
                            m->program, CHECK_NS / 1000000000);
    report[strcspn(report, "\n")] = '\0';
    if (status == 0 && strcmp(report, ACCEPTED) == 0)
        return 0;
    return dv_error_set(err, DV_ERR_UNSUPPORTED, "'%s --check-state' ended with %d and said '%s'",
                        m->program, dv_exit_code_of(status), report);
}

/* -- exec ----------------------------------------------------------------------------------- */

static void keep_open(const struct mon_state_writer *writer, int state, bool is_kept)
{
    for (size_t i = 0; i < writer->fd_count; i++)
        (void)fcntl(writer->fds[i], F_SETFD, is_kept ? 0 : FD_CLOEXEC);
    (void)fcntl(state, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

/* Returns only when it fails. */
static int become(const struct monitor *m,
                  const struct mon_state_writer *writer,
                  int state,
                  struct dv_error *err)
{
    size_t count = 0;
    char number[16];
    while (m->argv[count])
        count++;
    dv_autofree const char **argv = calloc(count + 3, sizeof(*argv));
    if (!argv)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a list of arguments");
    memcpy(argv, m->argv, count * sizeof(*argv));
    snprintf(number, sizeof(number), "%d", state);
    argv[count] = "--take-state";
    argv[count + 1] = number;
    keep_open(writer, state, true);
    execv(m->program, (char *const *)argv);
    int saved = errno;
    keep_open(writer, state, false);
    return dv_error_sys(err, DV_ERR_FAILED, saved, "run '%s'", m->program);
}

static int check_same(const struct stat *before, const char *path, struct dv_error *err)
{
    struct stat now;
    if (stat(path, &now) < 0)
        return dv_error_sys(err, DV_ERR_NOT_FOUND, errno, "run '%s'", path);
    if (now.st_dev == before->st_dev && now.st_ino == before->st_ino &&
        now.st_mtim.tv_sec == before->st_mtim.tv_sec &&
        now.st_mtim.tv_nsec == before->st_mtim.tv_nsec && now.st_size == before->st_size)
        return 0;
    return dv_error_set(err, DV_ERR_STATE, "'%s' was replaced while it read the state; try again",
                        path);
}

/* The log thread rests. Returns only when it fails. */
static int upgrade(struct monitor *m, struct dv_error *err)
{
    struct stat file;
    struct dv_error saving = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(mon_state_writer) writer = {.err = NULL};
    dv_autoclose int state = -1;
    if (stat(m->program, &file) < 0)
        return dv_error_sys(err, DV_ERR_NOT_FOUND, errno, "run '%s'", m->program);
    mon_state_begin(&writer, &saving);
    int r = save(m, &writer, &state, err);
    if (r == 0)
        r = ask(m, state, err);
    if (r == 0)
        r = check_same(&file, m->program, err);
    return r < 0 ? r : become(m, &writer, state, err);
}

void mon_upgrade(struct monitor *m)
{
    struct dv_error err = DV_ERROR_INIT;
    int64_t until = dv_clock_monotonic_ns(dv_clock_real()) + LOGS_NS;
    dv_log(DV_LOG_INFO, "upgrade: '%s' is to take over", m->program);
    if (dv_log_thread_rest(m->log, until, &err) == 0) {
        (void)upgrade(m, &err);
        dv_log_thread_go_on(m->log);
    }
    (void)dv_error_prefix(&err, "upgrade refused, davit-monitor " MON_PROGRAM " goes on: ");
    dv_log(DV_LOG_ERROR, "%s", err.text);
    mon_fdstore_status(err.text);
    mon_reap(m); /* SIGCHLD of others may have come with that of the check */
}
