/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The thread that writes logs. Sources with something to write stand in a queue; each gets one
 * write of bounded size a turn. The lock is never held while it writes, so the log thread can put
 * more into the buffers, end streams and close sources meanwhile.
 */
#include "base/clock.h"
#include "monitor/log_thread.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORDS_MAX (8U << 20) /* of one read: every byte may become six */
#define STACK_BYTES (256U << 10)

struct log_disk {
    pthread_t thread;
    pthread_mutex_t lock; /* of what sources and streams say is under it, and of the next seven */
    pthread_cond_t more;
    pthread_cond_t idle;
    struct source *first; /* queue */
    struct source *last;
    struct source *written;
    bool must_stop;
    bool is_busy; /* with a source that is not in the queue */
    int wake;
    struct dv_buf records; /* the thread's own, as `chunk` */
    char *chunk;
};

/* -- the queue, under the lock -------------------------------------------------------------- */

static void enqueue(struct log_disk *disk, struct source *source)
{
    if (source->is_queued)
        return;
    source->is_queued = true;
    source->next_queued = NULL;
    *(disk->last ? &disk->last->next_queued : &disk->first) = source;
    disk->last = source;
    pthread_cond_signal(&disk->more);
}

static struct source *dequeue(struct log_disk *disk)
{
    struct source *source = disk->first;
    disk->first = source->next_queued;
    if (!disk->first)
        disk->last = NULL;
    source->is_queued = false;
    return source;
}

static void tell_written(struct log_disk *disk, struct source *source)
{
    uint64_t one = 1;
    if (source->is_written)
        return;
    source->is_written = true;
    source->next_written = disk->written;
    disk->written = source;
    (void)!write(disk->wake, &one, sizeof(one));
}

static void forget_written(struct log_disk *disk, struct source *source)
{
    struct source **at = &disk->written;
    while (source->is_written && *at != source)
        at = &(*at)->next_written;
    if (source->is_written)
        *at = source->next_written;
    source->is_written = false;
}

/* -- writing, without the lock -------------------------------------------------------------- */

/* What of a stream is written in one turn. */
struct part {
    struct stream *stream;
    size_t len; /* of the chunk */
    uint64_t dropped;
    bool is_last;
};

static void write_part(struct log_disk *disk, const struct part *part)
{
    struct stream *stream = part->stream;
    struct source *source = stream->source;
    struct dv_error err = DV_ERROR_INIT;
    int64_t now = dv_clock_wall_ns(dv_clock_real());
    if (part->dropped) {
        char note[96];
        snprintf(note, sizeof(note), "davit: %llu lines were dropped, the log buffer was full",
                 (unsigned long long)part->dropped);
        /* The end of a line that was begun may be among the dropped ones. */
        (void)!dv_lines_end(&stream->lines, &disk->records, NULL);
        (void)!dv_lines_note(&stream->lines, note, now, &disk->records, NULL);
    }
    if (part->len &&
        dv_lines_add(&stream->lines, disk->chunk, part->len, now, &disk->records, &err) < 0)
        dv_log(DV_LOG_ERROR, "log of container '%s': %s", source->id, err.text);
    if (part->is_last)
        (void)!dv_lines_end(&stream->lines, &disk->records, NULL);
    if (disk->records.len &&
        dv_logfile_write(source->file, disk->records.data, disk->records.len, &err) < 0 &&
        dv_log_allow(&source->complaints, 60, NULL))
        dv_log(DV_LOG_ERROR, "log of container '%s', output is lost: %s", source->id, err.text);
    dv_buf_clear(&disk->records);
}

/* -- the thread ----------------------------------------------------------------------------- */

/* Takes the next part out of a stream; false if there is none. Under the lock. */
static bool take_part(struct log_disk *disk, struct stream *stream, struct part *ret)
{
    size_t len = stream->buffer.len < LOG_READ_BYTES ? stream->buffer.len : LOG_READ_BYTES;
    bool is_last = stream->is_ended && !stream->is_finished && len == stream->buffer.len;
    if (!len && !stream->dropped && !is_last)
        return false;
    if (len)
        memcpy(disk->chunk, stream->buffer.data, len);
    *ret = (struct part){stream, len, stream->dropped, is_last};
    stream->dropped = 0;
    stream->is_finished |= is_last;
    if (len < stream->buffer.len) {
        dv_buf_consume(&stream->buffer, len);
    } else {
        /* Most containers are quiet most of the time: they keep no buffer. */
        dv_buf_done(&stream->buffer);
    }
    return true;
}

/* One turn of a source. Under the lock, which is given up for the writing. */
static void serve(struct log_disk *disk, struct source *source)
{
    bool has_more = false;
    for (size_t i = 0; i < 2; i++) {
        struct stream *stream = &source->streams[i];
        struct part part;
        if (!take_part(disk, stream, &part))
            continue;
        pthread_mutex_unlock(&disk->lock);
        write_part(disk, &part);
        pthread_mutex_lock(&disk->lock);
        has_more |= stream->buffer.len > 0 || (stream->is_ended && !stream->is_finished);
        if (stream->is_full && !source->is_closed && stream->buffer.len < LOG_READ_BYTES) {
            stream->is_full = false;
            tell_written(disk, source);
        }
    }
    if (has_more)
        enqueue(disk, source);
    if (source->is_queued)
        return;
    if (source->is_closed) {
        pthread_mutex_unlock(&disk->lock);
        log_source_free(source);
        pthread_mutex_lock(&disk->lock);
    }
}

static void *run(void *ctx)
{
    struct log_disk *disk = ctx;
    pthread_mutex_lock(&disk->lock);
    while (disk->first || !disk->must_stop) {
        if (disk->first) {
            disk->is_busy = true;
            serve(disk, dequeue(disk));
            disk->is_busy = false;
        } else {
            pthread_cond_signal(&disk->idle);
            pthread_cond_wait(&disk->more, &disk->lock);
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return NULL;
}

/* -- the log thread's side ------------------------------------------------------------------ */

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

bool log_disk_give(struct log_disk *disk, struct stream *stream, const char *bytes, size_t len)
{
    pthread_mutex_lock(&disk->lock);
    if (stream->source->buffer_max)
        drop_oldest(stream, len);
    if (dv_buf_append(&stream->buffer, bytes, len, NULL) < 0)
        stream->dropped++;
    bool is_full = !stream->source->buffer_max && stream->buffer.len >= LOG_READ_BYTES;
    stream->is_full |= is_full;
    enqueue(disk, stream->source);
    pthread_mutex_unlock(&disk->lock);
    return is_full;
}

void log_disk_end(struct log_disk *disk, struct stream *stream)
{
    pthread_mutex_lock(&disk->lock);
    stream->is_ended = true;
    enqueue(disk, stream->source);
    pthread_mutex_unlock(&disk->lock);
}

void log_disk_close(struct log_disk *disk, struct source *source)
{
    pthread_mutex_lock(&disk->lock);
    source->is_closed = true;
    forget_written(disk, source);
    enqueue(disk, source);
    pthread_mutex_unlock(&disk->lock);
}

struct source *log_disk_written(struct log_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    struct source *source = disk->written;
    if (source) {
        disk->written = source->next_written;
        source->is_written = false;
    }
    pthread_mutex_unlock(&disk->lock);
    return source;
}

bool log_disk_has_room(struct log_disk *disk, const struct stream *stream)
{
    pthread_mutex_lock(&disk->lock);
    bool has_room = stream->buffer.len < LOG_READ_BYTES;
    pthread_mutex_unlock(&disk->lock);
    return has_room;
}

bool log_disk_settle(struct log_disk *disk, int64_t until_ns)
{
    pthread_mutex_lock(&disk->lock);
    bool is_idle =
        log_wait_until(&disk->idle, &disk->lock, until_ns, !disk->first && !disk->is_busy);
    pthread_mutex_unlock(&disk->lock);
    return is_idle;
}

void log_source_free(struct source *source)
{
    if (!source)
        return;
    for (size_t i = 0; i < 2; i++) {
        dv_close(&source->streams[i].fd);
        dv_lines_done(&source->streams[i].lines);
        dv_buf_done(&source->streams[i].buffer);
    }
    dv_logfile_free(source->file);
    free(source);
}

static void free_disk(struct log_disk *disk)
{
    pthread_cond_destroy(&disk->more);
    pthread_cond_destroy(&disk->idle);
    pthread_mutex_destroy(&disk->lock);
    dv_buf_done(&disk->records);
    free(disk->chunk);
    free(disk);
}

int log_disk_start(struct log_disk **ret, int wake, struct dv_error *err)
{
    struct log_disk *disk = calloc(1, sizeof(*disk));
    if (!disk)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the thread that writes logs");
    disk->wake = wake;
    disk->records = DV_BUF_INIT(RECORDS_MAX);
    disk->chunk = malloc(LOG_READ_BYTES);
    pthread_mutex_init(&disk->lock, NULL);
    pthread_cond_init(&disk->more, NULL);
    log_condition_init(&disk->idle);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    bool is_started = disk->chunk && pthread_create(&disk->thread, &attributes, run, disk) == 0;
    pthread_attr_destroy(&attributes);
    if (!is_started) {
        free_disk(disk);
        return dv_error_set(err, DV_ERR_INTERNAL, "cannot start the thread that writes logs");
    }
    *ret = disk;
    return 0;
}

void log_disk_stop(struct log_disk *disk)
{
    if (!disk)
        return;
    pthread_mutex_lock(&disk->lock);
    disk->must_stop = true;
    pthread_cond_signal(&disk->more);
    pthread_mutex_unlock(&disk->lock);
    pthread_join(disk->thread, NULL);
    free_disk(disk);
}
