/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/durable.h"
#include "monitor/lines.h"
#include "monitor/log.h"
#include "monitor/logfile.h"
#include "monitor/protocol.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define T 1719561600100000000LL

static char folder[64];
static char path[128];
static struct dv_error err;

static void setup(void)
{
    err = DV_ERROR_INIT;
    snprintf(folder, sizeof(folder), "/tmp/davit-log-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/json.log", folder);
}

static void teardown(void)
{
    (void)!dv_tree_remove(folder, NULL);
}

TestSuite(log, .init = setup, .fini = teardown);

/* What the container has: the writing ends. */
static struct dv_log_thread *
start(const struct dv_monitor_log *log, int *ret_stdout, int *ret_stderr)
{
    struct dv_log_thread *thread = NULL;
    int out[2];
    int in_error[2];
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(in_error, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(out[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(fcntl(in_error[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(dv_log_thread_start(&thread, &err), 0, "%s", err.text);
    cr_assert_eq(dv_log_thread_add(thread, "c", out[0], in_error[0], log, &err), 0);
    *ret_stdout = out[1];
    *ret_stderr = in_error[1];
    return thread;
}

static size_t count_of(const char *text, const char *what)
{
    size_t count = 0;
    for (; (text = strstr(text, what)) != NULL; text += strlen(what))
        count++;
    return count;
}

Test(log, a_stop_writes_what_was_read_also_a_line_without_end)
{
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    const struct dv_monitor_log log = {.path = path};
    struct dv_log_thread *thread = start(&log, &out, &in_error);
    cr_assert_eq(write(out, "one\ntwo", 7), 7);
    cr_assert_eq(write(in_error, "bad\n", 4), 4);
    dv_log_thread_stop(thread);
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(10000);
    cr_assert_eq(dv_file_read(path, &text, &err), 0, "%s", err.text);
    cr_assert(strstr(text.data, "{\"stream\":\"stdout\",\"log\":\"one\\n\",\"time\":\""));
    cr_assert(strstr(text.data, "{\"stream\":\"stdout\",\"log\":\"two\\n\",\"time\":\""));
    cr_assert(strstr(text.data, "{\"stream\":\"stderr\",\"log\":\"bad\\n\",\"time\":\""));
}

struct writer {
    pthread_t thread;
    int fd;
};

static void *write_for_ever(void *ctx)
{
    static const char line[] = "never quiet, never done\n";
    const struct writer *writer = ctx;
    while (write(writer->fd, line, sizeof(line) - 1) > 0)
        continue;
    return NULL;
}

Test(log, a_container_that_never_pauses_does_not_hold_up_the_stop, .timeout = 30)
{
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    const struct dv_monitor_log log = {.path = path, .max_size_bytes = 1 << 20, .max_files = 1};
    struct dv_log_thread *thread = start(&log, &out, &in_error);
    struct writer writer = {.fd = out};
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pthread_create(&writer.thread, NULL, write_for_ever, &writer), 0);
    dv_log_thread_stop(thread);
    pthread_join(writer.thread, NULL);
}

Test(log, without_a_path_output_is_read_and_dropped, .timeout = 30)
{
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    char chunk[4096];
    memset(chunk, 'x', sizeof(chunk));
    struct dv_log_thread *thread = start(NULL, &out, &in_error);
    /* Far more than a pipe holds: this ends only if somebody reads. */
    for (int i = 0; i < 100; i++)
        cr_assert_eq(write(out, chunk, sizeof(chunk)), (ssize_t)sizeof(chunk));
    dv_log_thread_stop(thread);
    cr_assert_neq(access(path, F_OK), 0);
}

/* A log that is a FIFO without a reader is a disk that hangs. */
static void *read_late(void *ctx)
{
    struct dv_buf *text = ctx;
    char chunk[4096];
    dv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got;
    while (fd >= 0 && (got = read(fd, chunk, sizeof(chunk))) > 0)
        if (dv_buf_append(text, chunk, (size_t)got, NULL) < 0)
            break;
    dv_buf_terminate(text);
    return NULL;
}

/* shows: K42, logs */
Test(log, a_full_buffer_drops_the_oldest_lines_and_tells_how_many, .timeout = 60)
{
    enum { LINES = 20000, BUFFER = 32 << 10 };
    const struct dv_monitor_log log = {.path = path, .max_buffer_bytes = BUFFER};
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    pthread_t reader;
    cr_assert_eq(mkfifo(path, 0600), 0);
    struct dv_log_thread *thread = start(&log, &out, &in_error);
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 19);
    for (int i = 0; i < LINES; i++)
        cr_assert_eq(dv_buf_printf(&bytes, NULL, "number %06d\n", i), 0);
    /* Far more than pipe and buffer hold: the container does not wait for the disk. */
    cr_assert_eq(write(out, bytes.data, bytes.len), (ssize_t)bytes.len);

    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(16 << 20);
    cr_assert_eq(pthread_create(&reader, NULL, read_late, &text), 0);
    dv_log_thread_stop(thread);
    pthread_join(reader, NULL);
    const char *note = strstr(text.data, "\"log\":\"davit: ");
    cr_assert_not_null(note, "the drop is reported");
    size_t dropped = 0;
    for (const char *at = note; at; at = strstr(at + 1, "\"log\":\"davit: "))
        dropped += strtoul(at + strlen("\"log\":\"davit: "), NULL, 10);
    size_t kept = count_of(text.data, "\"log\":\"number ");
    cr_assert(strstr(text.data, "number 019999\\n"), "the newest line is kept");
    cr_assert_gt(dropped, LINES / 2);
    /* A line may have been cut by a drop or lie over two reads; it counts once. */
    cr_assert_geq(kept + dropped, LINES);
    cr_assert_leq(kept + dropped, LINES + 8);
}

Test(log, in_blocking_mode_a_container_waits_for_the_disk_and_nothing_is_lost, .timeout = 60)
{
    enum { LINES = 20000 };
    const struct dv_monitor_log log = {.path = path};
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    pthread_t reader;
    cr_assert_eq(mkfifo(path, 0600), 0);
    struct dv_log_thread *thread = start(&log, &out, &in_error);
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 19);
    for (int i = 0; i < LINES; i++)
        cr_assert_eq(dv_buf_printf(&bytes, NULL, "number %06d\n", i), 0);
    cr_assert_eq(fcntl(out, F_SETFL, O_NONBLOCK), 0);
    ssize_t wrote = 0;
    struct pollfd wait = {.fd = out, .events = POLLOUT};
    for (ssize_t n; poll(&wait, 1, 200) == 1; wrote += n > 0 ? n : 0)
        n = write(out, bytes.data + wrote, bytes.len - (size_t)wrote);
    cr_assert_lt(wrote, (ssize_t)bytes.len, "it waits");

    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(16 << 20);
    cr_assert_eq(fcntl(out, F_SETFL, 0), 0);
    cr_assert_eq(pthread_create(&reader, NULL, read_late, &text), 0);
    cr_assert_eq(write(out, bytes.data + wrote, bytes.len - (size_t)wrote),
                 (ssize_t)bytes.len - wrote);
    dv_log_thread_stop(thread);
    pthread_join(reader, NULL);
    cr_assert_eq(count_of(text.data, "\"log\":\"number "), LINES);
    cr_assert_null(strstr(text.data, "davit: "));
}

Test(log, records_do_not_depend_on_how_the_bytes_arrive)
{
    /* Exactly a chunk is not too long; one byte more is. */
    for (size_t len = DV_LOG_CHUNK - 1; len <= DV_LOG_CHUNK + 2; len++) {
        dv_autofree char *bytes = malloc(len + 1);
        DV_AUTO_IN_PLACE(dv_buf) whole = DV_BUF_INIT(1 << 20);
        struct dv_lines lines;
        memset(bytes, 'x', len);
        bytes[len] = '\n';
        dv_lines_init(&lines, "stdout");
        cr_assert_eq(dv_lines_add(&lines, bytes, len + 1, T, &whole, NULL), 0);
        dv_lines_done(&lines);
        cr_assert_eq(count_of(whole.data, "\"stream\""), len > DV_LOG_CHUNK ? 2 : 1, "length %zu",
                     len);
        static const size_t steps[] = {
            1, 7, 4096, DV_LOG_CHUNK - 1, DV_LOG_CHUNK, DV_LOG_CHUNK + 1};
        for (size_t s = 0; s < sizeof(steps) / sizeof(steps[0]); s++) {
            DV_AUTO_IN_PLACE(dv_buf) parts = DV_BUF_INIT(1 << 20);
            dv_lines_init(&lines, "stdout");
            for (size_t at = 0; at <= len; at += steps[s])
                cr_assert_eq(dv_lines_add(&lines, bytes + at,
                                          len + 1 - at < steps[s] ? len + 1 - at : steps[s], T,
                                          &parts, NULL),
                             0);
            dv_lines_done(&lines);
            cr_assert_str_eq(parts.data, whole.data, "length %zu, step %zu", len, steps[s]);
        }
    }
}

Test(log, a_record_that_fills_the_file_exactly_is_its_last)
{
    static const char records[] = "1234567\nb\n";
    struct dv_logfile *file = dv_logfile_new(path, 8, 2);
    cr_assert_eq(dv_logfile_write(file, records, strlen(records), &err), 0, "%s", err.text);
    dv_logfile_free(file);
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(100);
    cr_assert_eq(dv_file_read(path, &text, &err), 0, "%s", err.text);
    cr_assert_str_eq(text.data, "b\n");
}

/* -- who is attached ------------------------------------------------------------------------ */

static int attach(struct dv_log_thread *thread, int input)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    const struct dv_log_client client = {.fd = fds[0], .input = input, .takes_input = input >= 0};
    cr_assert_eq(dv_log_thread_attach(thread, "c", &client, &err), 0, "%s", err.text);
    return fds[1];
}

/* Appends what comes until the stream ends; -2: the client was let go, -1: the code is unknown. */
static int read_all(int fd, struct dv_buf *text)
{
    for (;;) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        uint16_t kind;
        void *body;
        cr_assert_eq(poll(&ready, 1, 20000), 1, "nothing comes");
        if (dv_monitor_receive(fd, arena, &kind, &body, NULL) < 0)
            return -2;
        if (kind == DV_KIND_monitor_ended) {
            const struct dv_monitor_ended *ended = body;
            return ended->is_code_known ? (int)ended->exit_code : -1;
        }
        cr_assert_eq(kind, DV_KIND_monitor_output);
        const struct dv_monitor_output *output = body;
        cr_assert_eq(dv_buf_append(text, output->data.data, output->data.len, &err), 0);
    }
}

Test(log, who_is_attached_gets_all_output_and_then_the_code, .timeout = 30)
{
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1 << 20);
    const struct dv_monitor_log log = {.path = path};
    struct dv_log_thread *thread = start(&log, &out, &in_error);
    dv_autoclose int client = attach(thread, -1);
    dv_autoclose int other = attach(thread, -1);
    cr_assert_eq(write(out, "one\ntwo", 7), 7);
    dv_log_thread_ended(thread, "c", true, 7);
    cr_assert_eq(write(out, "\nthree", 6), 6);
    dv_close(&out);
    dv_close(&in_error);
    cr_assert_eq(read_all(client, &text), 7);
    cr_expect_str_eq(text.data, "one\ntwo\nthree");
    dv_buf_clear(&text);
    cr_assert_eq(read_all(other, &text), 7);
    cr_expect_str_eq(text.data, "one\ntwo\nthree");
    dv_log_thread_stop(thread);
}

static void *write_much(void *ctx)
{
    const struct writer *writer = ctx;
    char chunk[1024];
    memset(chunk, 'x', sizeof(chunk));
    chunk[sizeof(chunk) - 1] = '\n';
    for (int i = 0; i < 4096; i++)
        if (write(writer->fd, chunk, sizeof(chunk)) != (ssize_t)sizeof(chunk))
            return ctx;
    close(writer->fd);
    return NULL;
}

Test(log, a_slow_client_makes_the_container_wait_and_loses_nothing, .timeout = 60)
{
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(8 << 20);
    void *failed = NULL;
    struct dv_log_thread *thread = start(NULL, &out, &in_error);
    dv_autoclose int client = attach(thread, -1);
    struct writer writer = {.fd = dv_steal_fd(&out)};
    dv_close(&in_error);
    cr_assert_eq(pthread_create(&writer.thread, NULL, write_much, &writer), 0);
    dv_log_thread_ended(thread, "c", false, 0);
    cr_assert_eq(read_all(client, &text), -1);
    cr_expect_eq(text.len, 4096U * 1024U);
    pthread_join(writer.thread, &failed);
    cr_expect_null(failed);
    dv_log_thread_stop(thread);
}

Test(log, in_non_blocking_mode_a_client_that_does_not_read_is_let_go, .timeout = 60)
{
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(8 << 20);
    void *failed = NULL;
    const struct dv_monitor_log log = {.path = path, .max_buffer_bytes = 1 << 20};
    struct dv_log_thread *thread = start(&log, &out, &in_error);
    dv_autoclose int client = attach(thread, -1);
    struct writer writer = {.fd = dv_steal_fd(&out)};
    cr_assert_eq(pthread_create(&writer.thread, NULL, write_much, &writer), 0);
    pthread_join(writer.thread, &failed);
    cr_expect_null(failed, "the container did not wait");
    cr_expect_eq(read_all(client, &text), -2);
    cr_expect_lt(text.len, 4096U * 1024U);
    dv_log_thread_stop(thread);
}

Test(log, what_is_typed_waits_for_a_reader_and_is_complete, .timeout = 60)
{
    enum { FRAMES = 40 };
    static uint8_t typed[10000];
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    int input[2];
    struct dv_log_thread *thread = start(NULL, &out, &in_error);
    cr_assert_eq(pipe2(input, O_CLOEXEC), 0);
    cr_assert_eq(fcntl(input[1], F_SETFL, O_NONBLOCK), 0);
    dv_autoclose int client = attach(thread, input[1]);
    dv_autoclose int reader = input[0];
    size_t sent = 0;
    size_t got = 0;
    const struct timeval short_time = {.tv_usec = 20000};
    cr_assert_eq(setsockopt(client, SOL_SOCKET, SO_SNDTIMEO, &short_time, sizeof(short_time)), 0);
    while (got < FRAMES * sizeof(typed)) {
        const struct dv_monitor_input frame = {.data = {typed, sizeof(typed)}};
        static char chunk[65536];
        if (sent < FRAMES * sizeof(typed) &&
            dv_monitor_send(client, &dv_schema_monitor_input, &frame, NULL) == 0) {
            sent += sizeof(typed);
            continue; /* until nothing goes any more */
        }
        ssize_t count = read(reader, chunk, sizeof(chunk));
        cr_assert_gt(count, 0);
        got += (size_t)count;
    }
    cr_expect_eq(got, sent);
    dv_log_thread_stop(thread);
}

Test(log, what_is_no_frame_of_a_stream_ends_the_client, .timeout = 30)
{
    dv_autoclose int out = -1;
    dv_autoclose int in_error = -1;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1 << 20);
    struct dv_log_thread *thread = start(NULL, &out, &in_error);
    dv_autoclose int client = attach(thread, -1);
    const char *argv[] = {"/bin/true"};
    const struct dv_monitor_launch launch = {.argv = {(char **)argv, 1}, .timeout_ms = 1000};
    cr_assert_eq(dv_monitor_send(client, &dv_schema_monitor_launch, &launch, &err), 0);
    cr_expect_eq(read_all(client, &text), -2);
    dv_log_thread_stop(thread);
}

/* -- sessions ------------------------------------------------------------------------------- */

Test(log, a_session_ends_with_its_process_though_another_one_has_its_output, .timeout = 30)
{
    int out[2];
    int fds[2];
    struct dv_log_thread *thread = NULL;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1 << 20);
    cr_assert_eq(dv_log_thread_start(&thread, &err), 0, "%s", err.text);
    cr_assert_eq(pipe2(out, O_CLOEXEC | O_NONBLOCK), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    const struct dv_log_client client = {.fd = fds[0], .input = -1};
    cr_assert_eq(dv_log_thread_add_session(thread, "exec/1", out[0], -1, &client, &err), 0);
    dv_autoclose int writer = out[1];
    dv_autoclose int reader = fds[1];
    cr_assert_eq(write(writer, "done", 4), 4);
    dv_log_thread_ended(thread, "exec/1", true, 3);
    cr_expect_eq(read_all(reader, &text), 3);
    cr_expect_str_eq(text.data, "done");
    dv_log_thread_stop(thread);
}

Test(log, a_session_whose_client_goes_is_closed, .timeout = 30)
{
    int out[2];
    int fds[2];
    struct dv_log_thread *thread = NULL;
    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(dv_log_thread_start(&thread, &err), 0, "%s", err.text);
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    const struct dv_log_client client = {.fd = fds[0], .input = -1};
    cr_assert_eq(dv_log_thread_add_session(thread, "exec/1", out[0], -1, &client, &err), 0);
    dv_autoclose int writer = out[1];
    dv_close(&fds[1]);
    struct pollfd closed = {.fd = writer};
    cr_assert_eq(poll(&closed, 1, 20000), 1, "the reading end is closed");
    cr_expect(closed.revents & POLLERR);
    dv_log_thread_stop(thread);
}
