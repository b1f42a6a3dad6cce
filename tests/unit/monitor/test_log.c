/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "base/durable.h"
#include "monitor/lines.h"
#include "monitor/log.h"
#include "monitor/logfile.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

Test(log, a_full_buffer_drops_the_oldest_lines_and_tells_how_many, .timeout = 60)
{
    enum { LINES = 20000, BUFFER = 32 << 10 };
    const struct dv_monitor_log log = {.path = path, .max_buffer_bytes = BUFFER};
    struct dv_log_thread *thread = NULL;
    int fds[2];
    int other[2];
    cr_assert_eq(pipe2(fds, O_CLOEXEC), 0);
    /* All is in the pipe before the thread comes, so it must read more at once than it may keep. */
    cr_assert_geq(fcntl(fds[1], F_SETPIPE_SZ, 1 << 20), 1 << 19);
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 19);
    for (int i = 0; i < LINES; i++)
        cr_assert_eq(dv_buf_printf(&bytes, NULL, "number %06d\n", i), 0);
    cr_assert_eq(write(fds[1], bytes.data, bytes.len), (ssize_t)bytes.len);
    cr_assert_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    cr_assert_eq(dv_log_thread_start(&thread, &err), 0, "%s", err.text);
    cr_assert_eq(pipe2(other, O_CLOEXEC | O_NONBLOCK), 0);
    cr_assert_eq(dv_log_thread_add(thread, "c", fds[0], other[0], &log, &err), 0);
    dv_log_thread_stop(thread);
    close(fds[1]);
    close(other[1]);

    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(16 << 20);
    cr_assert_eq(dv_file_read(path, &text, &err), 0, "%s", err.text);
    const char *note = strstr(text.data, "\"log\":\"davit: ");
    cr_assert_not_null(note, "the drop is reported");
    size_t dropped = 0;
    for (const char *at = note; at; at = strstr(at + 1, "\"log\":\"davit: "))
        dropped += strtoul(at + strlen("\"log\":\"davit: "), NULL, 10);
    size_t kept = count_of(text.data, "\"log\":\"number ");
    cr_assert(strstr(text.data, "number 019999\\n"), "the newest line is kept");
    cr_assert_null(strstr(text.data, "number 000000"), "the oldest one is not");
    /* A line may have been cut by a drop or lie over two reads; it counts once. */
    cr_assert_geq(kept + dropped, LINES);
    cr_assert_leq(kept + dropped, LINES + 8);
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
