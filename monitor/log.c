/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One epoll set with two streams a container. A readable stream gets one read of bounded size a
 * round, so that a chatty container does not starve the others. This thread never waits for a disk:
 * what it has read goes to the thread of log_disk.c. In blocking mode a stream is not read while
 * its buffer is full: the pipe fills while the disk is slow, and the container waits. In
 * non-blocking mode the pipe is always emptied into a bounded buffer, of which the oldest lines are
 * dropped and counted.
 *
 * A stream ends when its last writer is gone. Both the container and davitd may keep a FIFO open;
 * davitd only for reading, so the end is seen at the exit. A terminal ends when nobody in the
 * container has it open any more (EIO).
 */
#include "base/clock.h"
#include "monitor/log_thread.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define BUFFER_BYTES_MIN 4096LL
#define EVENTS           64
#define STACK_BYTES      (256U << 10)
#define BUFFER_BYTES_MAX (64LL << 20)
#define STOP_NS          2000000000LL /* a chatty container must not hold up the end */
#define STOP_LOOK_MS     20
#define REST_READS       64 /* of a session that is over, while somebody else writes on */

/* -- the thread ----------------------------------------------------------------------------- */

/* Nobody here knows it any more. */
static void free_source(struct dv_log_thread *t, struct source *source)
{
    *(source->previous ? &source->previous->next : &t->sources) = source->next;
    if (source->next)
        source->next->previous = source->previous;
    if (source->file)
        log_disk_close(t->disk, source);
    else
        log_source_free(source);
}

/* Taken out, not masked: a hang-up cannot be masked. */
static void poll_stream(struct dv_log_thread *t, struct stream *stream)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = stream};
    bool is_wanted = stream->fd >= 0 && !stream->is_waiting && !stream->source->is_held;
    if (is_wanted == stream->is_polled)
        return;
    if (epoll_ctl(t->epoll, is_wanted ? EPOLL_CTL_ADD : EPOLL_CTL_DEL, stream->fd, &event) < 0)
        dv_log(DV_LOG_ERROR, "log of container '%s': %m", stream->source->id);
    stream->is_polled = is_wanted;
}

static void end_stream(struct dv_log_thread *t, struct stream *stream)
{
    struct source *source = stream->source;
    /* Not left to the close: a child that is being spawned has a copy until it runs its program. */
    if (stream->is_polled)
        (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, stream->fd, NULL);
    stream->is_polled = false;
    t->waiting -= stream->is_waiting;
    stream->is_waiting = false;
    dv_close(&stream->fd);
    if (source->file)
        log_disk_end(t->disk, stream);
    if (source->streams[0].fd >= 0 || source->streams[1].fd >= 0)
        return;
    attach_source_ended(t, source);
    /* Events of a session's client may still be about it in this round. */
    if (source->is_session)
        source->is_dead = true;
    else
        free_source(t, source);
}

/* 1: there may be more, 0: nothing now, -1: the stream has ended. */
static int read_once(struct dv_log_thread *t, struct stream *stream, size_t *ret_len)
{
    /* More than the buffer may hold would be read to be dropped. */
    int64_t most = stream->source->buffer_max;
    size_t want = most > 0 && most < LOG_READ_BYTES ? (size_t)most : LOG_READ_BYTES;
    ssize_t got = read(stream->fd, t->chunk, want);
    if (got > 0) {
        *ret_len = (size_t)got;
        return 1;
    }
    return got < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

static void take(struct dv_log_thread *t, struct stream *stream, size_t len)
{
    struct source *source = stream->source;
    attach_output(t, stream, t->chunk, len);
    if (!source->file)
        return;
    if (log_disk_give(t->disk, stream, t->chunk, len) && !stream->is_waiting) {
        stream->is_waiting = true;
        t->waiting++;
        poll_stream(t, stream);
    }
}

static void serve(struct dv_log_thread *t, struct stream *stream)
{
    size_t len;
    if (stream->fd < 0 || stream->source->is_held || stream->is_waiting)
        return; /* since an event of this round */
    int r = read_once(t, stream, &len);
    if (r > 0)
        take(t, stream, len);
    if (r < 0 || (r == 0 && stream->source->is_over))
        end_stream(t, stream);
}

/* Streams in blocking mode go on where the disk has caught up. */
static void go_on_reading(struct dv_log_thread *t)
{
    for (struct source *source; (source = log_disk_written(t->disk)) != NULL;) {
        for (size_t i = 0; i < 2; i++) {
            struct stream *stream = &source->streams[i];
            if (!stream->is_waiting || !log_disk_has_room(t->disk, stream))
                continue;
            stream->is_waiting = false;
            t->waiting--;
            poll_stream(t, stream);
        }
    }
}

void log_watch(struct dv_log_thread *t, struct source *source)
{
    for (size_t i = 0; i < 2; i++)
        poll_stream(t, &source->streams[i]);
    if (source->is_over && !source->is_held)
        log_drain(t, source);
}

void log_drain(struct dv_log_thread *t, struct source *source)
{
    for (size_t i = 0; i < 2; i++) {
        struct stream *stream = &source->streams[i];
        for (unsigned reads = 0; stream->fd >= 0 && !source->is_held; reads++) {
            if (reads == REST_READS)
                end_stream(t, stream);
            else
                serve(t, stream);
        }
    }
}

void log_close(struct dv_log_thread *t, struct source *source)
{
    for (size_t i = 0; i < 2; i++)
        if (source->streams[i].fd >= 0)
            end_stream(t, &source->streams[i]);
}

static void carry_out(struct dv_log_thread *t, struct order *order)
{
    struct source *source = order->source;
    switch (order->type) {
    case ORDER_ADD:
        source->next = t->sources;
        if (source->next)
            source->next->previous = source;
        t->sources = source;
        log_watch(t, source);
        break;
    case ORDER_ATTACH:
        for (source = t->sources; source; source = source->next)
            if (strcmp(source->id, order->id) == 0)
                break;
        break;
    case ORDER_RESTORE:
        break;
    case ORDER_ENDED:
        attach_process_ended(t, order);
        return;
    }
    if (order->client)
        attach_begin(t, order->client, source);
}

static bool take_orders(struct dv_log_thread *t)
{
    uint64_t count;
    (void)!read(t->wake, &count, sizeof(count));
    pthread_mutex_lock(&t->lock);
    struct order *first = t->first;
    bool must_stop = t->must_stop;
    t->first = NULL;
    t->last = NULL;
    pthread_mutex_unlock(&t->lock);
    while (first) {
        struct order *order = first;
        first = order->next;
        carry_out(t, order);
        free(order);
    }
    return must_stop;
}

static void serve_event(struct dv_log_thread *t, const struct epoll_event *event)
{
    unsigned tag = (unsigned)((uintptr_t)event->data.ptr & TAG_MASK);
    void *object = (char *)event->data.ptr - tag;
    if (tag == TAG_CLIENT)
        attach_event(t, object, event->events);
    else if (tag == TAG_INPUT)
        attach_input_event(t, object);
    else
        serve(t, object);
}

static void free_dead_sessions(struct dv_log_thread *t)
{
    struct source *next;
    for (struct source *source = t->sources; source; source = next) {
        next = source->next;
        if (source->is_dead)
            free_source(t, source);
    }
}

/* All orders are carried out and the dead are freed; what was read is the disk thread's. */
static void rest_if_asked(struct dv_log_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->is_resting = t->must_rest;
    while (t->must_rest) {
        pthread_cond_broadcast(&t->turn);
        pthread_cond_wait(&t->turn, &t->lock);
    }
    t->is_resting = false;
    pthread_mutex_unlock(&t->lock);
}

static void *run(void *ctx)
{
    struct dv_log_thread *t = ctx;
    int64_t stop_ns = 0; /* monotonic; 0: not asked to stop */
    int timeout_ms = -1;
    for (;;) {
        struct epoll_event events[EVENTS];
        /* At the end as much is read as there is now; what waits for the disk is part of that. */
        int wait_ms = stop_ns ? (t->waiting ? STOP_LOOK_MS : 0) : timeout_ms;
        int count = epoll_wait(t->epoll, events, EVENTS, wait_ms);
        if (stop_ns &&
            ((count <= 0 && !t->waiting) || dv_clock_monotonic_ns(dv_clock_real()) >= stop_ns))
            break;
        /* Orders come first: what arrived after one was given belongs to whom it names. */
        bool has_orders = false;
        for (int i = 0; i < count; i++)
            has_orders |= !events[i].data.ptr;
        if (has_orders && take_orders(t) && !stop_ns)
            stop_ns = dv_clock_monotonic_ns(dv_clock_real()) + STOP_NS;
        if (has_orders)
            go_on_reading(t);
        for (int i = 0; i < count; i++)
            if (events[i].data.ptr)
                serve_event(t, &events[i]);
        timeout_ms = -1;
        if (t->clients) {
            timeout_ms = attach_look(t);
            free_dead_sessions(t);
        }
        if (has_orders)
            rest_if_asked(t);
    }
    while (t->clients) {
        struct attached *client = t->clients;
        t->clients = client->next;
        attach_free(client);
    }
    /* What was read and not written is in nobody else's hands. */
    while (t->sources) {
        struct source *source = t->sources;
        for (size_t i = 0; source->file && i < 2; i++)
            log_disk_end(t->disk, &source->streams[i]);
        free_source(t, source);
    }
    return NULL;
}

/* -- the other side ------------------------------------------------------------------------- */

static void free_thread(struct dv_log_thread *t)
{
    log_disk_stop(t->disk);
    dv_close(&t->epoll);
    dv_close(&t->wake);
    pthread_cond_destroy(&t->turn);
    pthread_mutex_destroy(&t->lock);
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
    t->chunk = malloc(LOG_READ_BYTES);
    pthread_mutex_init(&t->lock, NULL);
    log_condition_init(&t->turn);
    struct epoll_event event = {.events = EPOLLIN};
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    bool is_started = t->epoll >= 0 && t->wake >= 0 && t->chunk &&
                      epoll_ctl(t->epoll, EPOLL_CTL_ADD, t->wake, &event) == 0 &&
                      log_disk_start(&t->disk, t->wake, NULL) == 0 &&
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

int dv_log_thread_rest(struct dv_log_thread *t, int64_t until_ns, struct dv_error *err)
{
    pthread_mutex_lock(&t->lock);
    t->must_rest = true;
    wake(t);
    bool is_resting = log_wait_until(&t->turn, &t->lock, until_ns, t->is_resting);
    pthread_mutex_unlock(&t->lock);
    if (is_resting && log_disk_settle(t->disk, until_ns))
        return 0;
    dv_log_thread_go_on(t);
    return dv_error_set(err, DV_ERR_TIMED_OUT, "logs are not written in time, the disk is slow");
}

void dv_log_thread_go_on(struct dv_log_thread *t)
{
    pthread_mutex_lock(&t->lock);
    t->must_rest = false;
    pthread_cond_broadcast(&t->turn);
    pthread_mutex_unlock(&t->lock);
}

void log_condition_init(pthread_cond_t *condition)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(condition, &attributes);
    pthread_condattr_destroy(&attributes);
}

void dv_log_thread_begin(struct dv_log_thread *t)
{
    t->is_batch = true;
}

void dv_log_thread_commit(struct dv_log_thread *t)
{
    t->is_batch = false;
    if (!t->batch)
        return;
    pthread_mutex_lock(&t->lock);
    *(t->last ? &t->last->next : &t->first) = t->batch;
    t->last = t->batch_last;
    pthread_mutex_unlock(&t->lock);
    t->batch = NULL;
    t->batch_last = NULL;
    wake(t);
}

void log_give(struct dv_log_thread *t, struct order *order)
{
    *(t->batch_last ? &t->batch_last->next : &t->batch) = order;
    t->batch_last = order;
    if (!t->is_batch)
        dv_log_thread_commit(t);
}

static int64_t buffer_of(int64_t bytes)
{
    if (bytes <= 0)
        return 0;
    if (bytes < BUFFER_BYTES_MIN)
        return BUFFER_BYTES_MIN;
    return bytes < BUFFER_BYTES_MAX ? bytes : BUFFER_BYTES_MAX;
}

struct source *
log_source_new(const char *id, int out_fd, int err_fd, const struct dv_monitor_log *log)
{
    static const char *const names[] = {"stdout", "stderr"};
    const int fds[] = {out_fd, err_fd};
    struct source *source = calloc(1, sizeof(*source));
    if (!source)
        return NULL;
    snprintf(source->id, sizeof(source->id), "%s", id);
    if (log && log->path) {
        source->file = dv_logfile_new(log->path, log->max_size_bytes, log->max_files);
        source->buffer_max = buffer_of(log->max_buffer_bytes);
    }
    for (size_t i = 0; i < 2; i++) {
        struct stream *stream = &source->streams[i];
        stream->source = source;
        stream->fd = fds[i];
        stream->buffer =
            DV_BUF_INIT(source->buffer_max > 0 ? (size_t)source->buffer_max : 2 * LOG_READ_BYTES);
        dv_lines_init(&stream->lines, names[i]);
    }
    return source;
}

static int no_memory(const char *id, int out_fd, int err_fd, struct dv_error *err)
{
    dv_close(&out_fd);
    dv_close(&err_fd);
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the streams of '%s'", id);
}

int dv_log_thread_add(struct dv_log_thread *t,
                      const char *id,
                      int out_fd,
                      int err_fd,
                      const struct dv_monitor_log *log,
                      struct dv_error *err)
{
    struct source *source = log_source_new(id, out_fd, err_fd, log);
    struct order *order = source ? calloc(1, sizeof(*order)) : NULL;
    if (!order) {
        for (size_t i = 0; source && i < 2; i++)
            source->streams[i].fd = -1; /* closed below */
        log_source_free(source);
        return no_memory(id, out_fd, err_fd, err);
    }
    order->type = ORDER_ADD;
    order->source = source;
    log_give(t, order);
    return 0;
}

bool dv_log_thread_has_room(const struct dv_log_thread *t)
{
    return atomic_load(&t->client_count) < DV_LOG_CLIENTS_MAX;
}

/* An order with a client in it; the client's descriptors are closed if there is none. */
static struct order *new_client_order(struct dv_log_thread *t,
                                      const char *id,
                                      const struct dv_log_client *what,
                                      struct dv_error *err)
{
    bool has_room = dv_log_thread_has_room(t);
    struct attached *client = has_room ? attach_new(id, what) : NULL;
    struct order *order = client ? calloc(1, sizeof(*order)) : NULL;
    if (order) {
        atomic_fetch_add(&t->client_count, 1);
        snprintf(order->id, sizeof(order->id), "%s", id);
        order->client = client;
        return order;
    }
    if (client) {
        attach_free(client);
    } else {
        int fds[] = {what->fd, what->input};
        dv_close(&fds[0]);
        dv_close(&fds[1]);
    }
    if (has_room)
        dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for one more client of '%s'", id);
    else
        dv_error_set(err, DV_ERR_BUSY, "%u clients are attached to containers already",
                     DV_LOG_CLIENTS_MAX);
    return NULL;
}

int dv_log_thread_attach(struct dv_log_thread *t,
                         const char *id,
                         const struct dv_log_client *client,
                         struct dv_error *err)
{
    struct order *order = new_client_order(t, id, client, err);
    if (!order)
        return err ? -(int)err->class : -DV_ERR_BUSY;
    order->type = ORDER_ATTACH;
    log_give(t, order);
    return 0;
}

int dv_log_thread_add_session(struct dv_log_thread *t,
                              const char *id,
                              int out_fd,
                              int err_fd,
                              const struct dv_log_client *client,
                              struct dv_error *err)
{
    struct order *order = new_client_order(t, id, client, err);
    if (!order) {
        dv_close(&out_fd);
        dv_close(&err_fd);
        return err ? -(int)err->class : -DV_ERR_BUSY;
    }
    order->source = log_source_new(id, out_fd, err_fd, NULL);
    if (!order->source) {
        attach_free(order->client);
        atomic_fetch_sub(&t->client_count, 1);
        free(order);
        return no_memory(id, out_fd, err_fd, err);
    }
    order->source->is_session = true;
    order->client->is_session = true;
    order->type = ORDER_ADD;
    log_give(t, order);
    return 0;
}

void dv_log_thread_ended(struct dv_log_thread *t, const char *id, bool is_known, int code)
{
    if (atomic_load(&t->client_count) == 0)
        return; /* nobody wants to know */
    struct order *order = calloc(1, sizeof(*order));
    if (!order) {
        dv_log(DV_LOG_ERROR, "no memory to tell who is attached that '%s' has ended", id);
        return;
    }
    order->type = ORDER_ENDED;
    order->is_code_known = is_known;
    order->exit_code = code;
    snprintf(order->id, sizeof(order->id), "%s", id);
    log_give(t, order);
}
