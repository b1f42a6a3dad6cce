/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll set with two streams a container. A readable stream gets one read of bounded size a
 * round, so that a chatty container does not starve the others. In blocking mode the pipe fills
 * while the disk is slow, and the container waits; in non-blocking mode the pipe is always emptied
 * into a bounded buffer, of which the oldest lines are dropped and counted.
 *
 * A stream ends when its last writer is gone. Both the container and davitd may keep a FIFO open;
 * davitd only for reading, so the end is seen at the exit.
 */
#include "monitor/log.h"

#include "base/clock.h"
#include "base/log.h"
#include "monitor/lines.h"
#include "monitor/logfile.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define READ_BYTES       (64U << 10)
#define RECORDS_MAX      (8U << 20) /* of one read: every byte may become six */
#define EVENTS           64
#define STACK_BYTES      (256U << 10)
#define BUFFER_BYTES_MAX (64LL << 20)
#define STOP_NS          2000000000LL /* a chatty container must not hold up the end */

struct source;

struct stream {
    struct source *source;
    int fd; /* -1: ended */
    struct dv_lines lines;
    struct dv_buf buffer; /* non-blocking mode: read and not written */
    uint64_t dropped;     /* lines since the last note */
};

struct source {
    struct stream streams[2];
    struct dv_logfile *file; /* NULL: type none */
    int64_t buffer_max;      /* 0: blocking */
    struct dv_log_limit complaints;
    char id[129];
    struct source *next; /* in the queue of new ones, then in the list of all */
    struct source *previous;
};

struct dv_log_thread {
    pthread_t thread;
    int epoll;
    int wake;             /* eventfd */
    pthread_mutex_t lock; /* of the two below */
    struct source *fresh;
    bool must_stop;
    struct source *sources; /* the thread's own, as all below */
    struct dv_buf records;
    char *chunk;
};

/* -- the thread ----------------------------------------------------------------------------- */

static void free_source(struct dv_log_thread *t, struct source *source)
{
    *(source->previous ? &source->previous->next : &t->sources) = source->next;
    if (source->next)
        source->next->previous = source->previous;
    for (size_t i = 0; i < 2; i++) {
        dv_close(&source->streams[i].fd);
        dv_lines_done(&source->streams[i].lines);
        dv_buf_done(&source->streams[i].buffer);
    }
    dv_logfile_free(source->file);
    free(source);
}

static void write_records(struct dv_log_thread *t, struct source *source)
{
    struct dv_error err = DV_ERROR_INIT;
    if (source->file && t->records.len &&
        dv_logfile_write(source->file, t->records.data, t->records.len, &err) < 0 &&
        dv_log_allow(&source->complaints, 60, NULL))
        dv_log(DV_LOG_ERROR, "log of container '%s', output is lost: %s", source->id, err.text);
    dv_buf_clear(&t->records);
}

static void
take_bytes(struct dv_log_thread *t, struct stream *stream, const char *bytes, size_t len)
{
    int64_t now = dv_clock_wall_ns(dv_clock_real());
    struct dv_error err = DV_ERROR_INIT;
    if (!stream->source->file)
        return;
    if (stream->dropped) {
        char note[96];
        snprintf(note, sizeof(note), "davit: %llu lines were dropped, the log buffer was full",
                 (unsigned long long)stream->dropped);
        stream->dropped = 0;
        /* The end of a line that was begun may be among the dropped ones. */
        (void)!dv_lines_end(&stream->lines, &t->records, NULL);
        (void)!dv_lines_note(&stream->lines, note, now, &t->records, NULL);
    }
    if (dv_lines_add(&stream->lines, bytes, len, now, &t->records, &err) < 0)
        dv_log(DV_LOG_ERROR, "log of container '%s': %s", stream->source->id, err.text);
    write_records(t, stream->source);
}

/* Writes up to `max` bytes of the buffer of non-blocking mode. */
static void write_kept(struct dv_log_thread *t, struct stream *stream, size_t max)
{
    size_t end = stream->buffer.len < max ? stream->buffer.len : max;
    for (size_t at = 0; at < end;) {
        size_t part = end - at < READ_BYTES ? end - at : READ_BYTES;
        take_bytes(t, stream, stream->buffer.data + at, part);
        at += part;
    }
    dv_buf_consume(&stream->buffer, end);
}

static void flush_stream(struct dv_log_thread *t, struct stream *stream)
{
    write_kept(t, stream, SIZE_MAX);
    if (stream->source->file && dv_lines_end(&stream->lines, &t->records, NULL) == 0)
        write_records(t, stream->source);
}

static void end_stream(struct dv_log_thread *t, struct stream *stream)
{
    struct source *source = stream->source;
    flush_stream(t, stream);
    /* Not left to the close: a child that is being spawned has a copy until it runs its program. */
    (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, stream->fd, NULL);
    dv_close(&stream->fd);
    if (source->streams[0].fd < 0 && source->streams[1].fd < 0)
        free_source(t, source);
}

/* Room for `len` bytes in the buffer of non-blocking mode, by dropping whole lines at its head. */
static void drop_oldest(struct stream *stream, size_t len)
{
    size_t max = (size_t)stream->source->buffer_max;
    size_t at = 0;
    while (at < stream->buffer.len && stream->buffer.len - at + len > max) {
        const char *from = stream->buffer.data + at;
        const char *end = memchr(from, '\n', stream->buffer.len - at);
        at = end ? (size_t)(end - stream->buffer.data) + 1 : stream->buffer.len;
        stream->dropped++;
    }
    dv_buf_consume(&stream->buffer, at);
}

static void keep_bytes(struct stream *stream, const char *bytes, size_t len)
{
    drop_oldest(stream, len);
    if (dv_buf_append(&stream->buffer, bytes, len, NULL) < 0)
        stream->dropped++;
}

/* 1: there may be more, 0: nothing now, -1: the stream has ended. */
static int read_once(struct dv_log_thread *t, struct stream *stream, size_t *ret_len)
{
    ssize_t got = read(stream->fd, t->chunk, READ_BYTES);
    if (got > 0) {
        *ret_len = (size_t)got;
        return 1;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void serve(struct dv_log_thread *t, struct stream *stream)
{
    size_t len;
    int r = read_once(t, stream, &len);
    if (!stream->source->buffer_max) {
        if (r > 0)
            take_bytes(t, stream, t->chunk, len);
    } else {
        /* The pipe is emptied first, then as much is written as one round allows. */
        for (unsigned round = 0; r > 0 && round < EVENTS; round++) {
            keep_bytes(stream, t->chunk, len);
            r = read_once(t, stream, &len);
        }
        if (r > 0)
            keep_bytes(stream, t->chunk, len);
        write_kept(t, stream, r > 0 ? READ_BYTES : SIZE_MAX);
    }
    if (r < 0)
        end_stream(t, stream);
}

static bool take_orders(struct dv_log_thread *t)
{
    uint64_t count;
    (void)!read(t->wake, &count, sizeof(count));
    pthread_mutex_lock(&t->lock);
    struct source *fresh = t->fresh;
    bool must_stop = t->must_stop;
    t->fresh = NULL;
    pthread_mutex_unlock(&t->lock);
    while (fresh) {
        struct source *source = fresh;
        fresh = source->next;
        source->next = t->sources;
        if (source->next)
            source->next->previous = source;
        t->sources = source;
        for (size_t i = 0; i < 2; i++) {
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = &source->streams[i]};
            if (epoll_ctl(t->epoll, EPOLL_CTL_ADD, source->streams[i].fd, &event) < 0)
                dv_log(DV_LOG_ERROR, "log of container '%s': %m", source->id);
        }
    }
    return must_stop;
}

static void *run(void *ctx)
{
    struct dv_log_thread *t = ctx;
    int64_t stop_ns = 0; /* monotonic; 0: not asked to stop */
    for (;;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(t->epoll, events, EVENTS, stop_ns ? 0 : -1);
        if (stop_ns && (count <= 0 || dv_clock_monotonic_ns(dv_clock_real()) >= stop_ns))
            break;
        bool has_orders = false;
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                serve(t, events[i].data.ptr);
            else
                has_orders = true;
        }
        if (has_orders && take_orders(t) && !stop_ns)
            stop_ns = dv_clock_monotonic_ns(dv_clock_real()) + STOP_NS;
    }
    /* What was read and not written is in nobody else's hands. */
    while (t->sources) {
        struct source *source = t->sources;
        for (size_t i = 0; i < 2; i++)
            flush_stream(t, &source->streams[i]);
        free_source(t, source);
    }
    return NULL;
}

/* -- the other side ------------------------------------------------------------------------- */

static void free_thread(struct dv_log_thread *t)
{
    dv_close(&t->epoll);
    dv_close(&t->wake);
    dv_buf_done(&t->records);
    free(t->chunk);
    free(t);
}

int dv_log_thread_start(struct dv_log_thread **ret, struct dv_error *err)
{
    struct dv_log_thread *t = calloc(1, sizeof(*t));
    if (!t)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the log thread");
    t->epoll = epoll_create1(EPOLL_CLOEXEC);
    t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    t->records = DV_BUF_INIT(RECORDS_MAX);
    t->chunk = malloc(READ_BYTES);
    pthread_mutex_init(&t->lock, NULL);
    struct epoll_event event = {.events = EPOLLIN};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    bool is_started = t->epoll >= 0 && t->wake >= 0 && t->chunk &&
                      epoll_ctl(t->epoll, EPOLL_CTL_ADD, t->wake, &event) == 0 &&
                      pthread_create(&t->thread, &attributes, run, t) == 0;
    pthread_attr_destroy(&attributes);
    if (!is_started) {
        free_thread(t);
        return dv_error_set(err, DV_ERR_INTERNAL, "cannot start the log thread");
    }
    *ret = t;
    return 0;
}

static void wake(struct dv_log_thread *t)
{
    uint64_t one = 1;
    (void)!write(t->wake, &one, sizeof(one));
}

void dv_log_thread_stop(struct dv_log_thread *t)
{
    if (!t)
        return;
    pthread_mutex_lock(&t->lock);
    t->must_stop = true;
    pthread_mutex_unlock(&t->lock);
    wake(t);
    pthread_join(t->thread, NULL);
    free_thread(t);
}

int dv_log_thread_add(struct dv_log_thread *t,
                      const char *id,
                      int out_fd,
                      int err_fd,
                      const struct dv_monitor_log *log,
                      struct dv_error *err)
{
    static const char *const names[] = {"stdout", "stderr"};
    int fds[] = {out_fd, err_fd};
    struct source *source = calloc(1, sizeof(*source));
    if (!source) {
        dv_close(&fds[0]);
        dv_close(&fds[1]);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the log of '%s'", id);
    }
    snprintf(source->id, sizeof(source->id), "%s", id);
    if (log && log->path) {
        source->file = dv_logfile_new(log->path, log->max_size_bytes, log->max_files);
        source->buffer_max =
            log->max_buffer_bytes < BUFFER_BYTES_MAX ? log->max_buffer_bytes : BUFFER_BYTES_MAX;
    }
    for (size_t i = 0; i < 2; i++) {
        struct stream *stream = &source->streams[i];
        stream->source = source;
        stream->fd = fds[i];
        stream->buffer = DV_BUF_INIT((size_t)source->buffer_max + READ_BYTES);
        dv_lines_init(&stream->lines, names[i]);
    }
    pthread_mutex_lock(&t->lock);
    source->next = t->fresh;
    t->fresh = source;
    pthread_mutex_unlock(&t->lock);
    wake(t);
    return 0;
}
