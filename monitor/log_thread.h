/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What log.c (sources of output), attach.c (clients of them) and log_disk.c (their files) share.
 * Private to them; everything but the queue of orders and what is said of the disk belongs to the
 * log thread. */
#include "base/buf.h"
#include "base/log.h"
#include "monitor/lines.h"
#include "monitor/log.h"
#include "monitor/logfile.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

struct source;

struct stream {
    struct source *source;
    int fd;                /* -1: ended, or the second one of a terminal */
    bool is_polled;        /* its descriptor is in the epoll set */
    bool is_waiting;       /* blocking mode: not read until the disk has what was read before */
    struct dv_lines lines; /* the disk thread's own */
    bool is_finished;      /* likewise: its last line is written */
    struct dv_buf buffer;  /* under the lock of the disk: read and not written */
    uint64_t dropped;      /* likewise: lines since the last note */
    bool is_full;          /* likewise: blocking mode, the log thread waits for room */
    bool is_ended;         /* likewise: nothing more comes */
};

struct source {
    struct stream streams[2];
    struct dv_logfile *file;        /* the disk thread's own; NULL: type none, or a session */
    int64_t buffer_max;             /* 0: blocking */
    struct dv_log_limit complaints; /* the disk thread's own */
    struct source *next_queued;     /* under the lock of the disk, as the next four */
    struct source *next_written;
    bool is_queued;
    bool is_written; /* in the list of those that may be read on */
    bool is_closed;  /* nobody else knows it: the disk thread frees it */
    char id[129];
    bool is_session; /* has one client and no log */
    bool is_over;    /* a session whose process has ended: what is there now is the rest */
    bool is_held;    /* not read, a client has too much to read already */
    bool is_dead;    /* to be freed at the end of the round */
    struct source *next;
    struct source *previous;
};

/* A client of a source's streams. */
struct attached {
    struct attached *next;
    struct source *source; /* NULL: its streams have ended */
    int fd;
    int input; /* -1: none, or closed */
    bool is_tty;
    bool takes_input;
    bool is_session;
    bool is_input_ended; /* to be closed when all is written */
    bool is_over;        /* the process has ended */
    bool is_code_known;
    bool is_told_end; /* nothing more is to be sent than what waits */
    bool is_dead;     /* to be freed at the end of the round */
    int exit_code;
    int64_t stalled_ns; /* monotonic; since when it takes nothing, 0: it takes all */
    struct dv_buf out;  /* records, each behind its length */
    struct dv_buf in;   /* typed and not written */
    char id[129];       /* of its source */
};

enum order_type {
    ORDER_ADD,
    ORDER_ATTACH,
    ORDER_RESTORE, /* a client of the source that is named, or of none any more */
    ORDER_ENDED,
};

struct order {
    struct order *next;
    enum order_type type;
    struct source *source;
    struct attached *client;
    bool is_code_known;
    int exit_code;
    char id[129];
};

struct dv_log_thread {
    pthread_t thread;
    int epoll;
    int wake;            /* eventfd */
    struct order *batch; /* the control thread's: orders that are given together */
    struct order *batch_last;
    bool is_batch;
    pthread_mutex_t lock; /* of the five below */
    pthread_cond_t turn;  /* of a pause: it begins, it ends */
    struct order *first;
    struct order *last;
    bool must_stop;
    bool must_rest;
    bool is_resting;          /* all that is its own may be read by the control thread */
    atomic_uint client_count; /* also of those that are ordered */
    struct source *sources;   /* the thread's own, as all below */
    struct attached *clients;
    struct log_disk *disk;
    unsigned waiting; /* streams that wait for the disk */
    char *chunk;
};

/* An epoll event carries the address of a stream, or of a client with one of these in its lowest
 * bits, so that a source without clients costs nothing more. NULL is the eventfd. */
#define TAG_CLIENT 1U
#define TAG_INPUT  2U
#define TAG_MASK   3U

/* log_disk.c: the thread that writes logs, alone with their files. It may hang as long as the disk
 * does; no function here waits for it but the stop. Log thread, all of them. */
#define LOG_READ_BYTES (64U << 10) /* of one read */

/* `wake` is written to when a source may be read on. */
__attribute__((warn_unused_result)) int
log_disk_start(struct log_disk **ret, int wake, struct dv_error *err);
/* Ends when all that was given is written and all sources are closed. NULL is allowed. */
void log_disk_stop(struct log_disk *disk);
/* Blocking mode: true when the buffer is full, and the stream is not to be read until it is
 * written. Non-blocking mode: the oldest lines are dropped then. */
bool log_disk_give(struct log_disk *disk, struct stream *stream, const char *bytes, size_t len);
void log_disk_end(struct log_disk *disk, struct stream *stream);
/* Takes over a source whose streams have ended. */
void log_disk_close(struct log_disk *disk, struct source *source);
/* The next source with a stream that was full and is not any more; NULL: none. */
struct source *log_disk_written(struct log_disk *disk);
bool log_disk_has_room(struct log_disk *disk, const struct stream *stream);
void log_source_free(struct source *source);
/* Waits until all that was given is written, false: not by then. Of the control thread, while the
 * log thread rests; until it goes on, nothing is written. */
bool log_disk_settle(struct log_disk *disk, int64_t until_ns);
/* A condition whose waits are timed by the monotonic clock. */
void log_condition_init(pthread_cond_t *condition);
/* Whether it came true by then, under the lock. */
#define log_wait_until(condition, lock, until_ns, truth)                                           \
    __extension__({                                                                                \
        const struct timespec until_ = {(until_ns) / 1000000000, (until_ns) % 1000000000};         \
        while (!(truth) && pthread_cond_timedwait((condition), (lock), &until_) == 0) {            \
        }                                                                                          \
        (truth);                                                                                   \
    })

/* log.c */
void log_watch(struct dv_log_thread *t, struct source *source); /* after is_held has changed */
void log_drain(struct dv_log_thread *t, struct source *source); /* reads the rest of a session */
void log_close(struct dv_log_thread *t, struct source *source); /* nobody reads a session now */
struct source *
log_source_new(const char *id, int out_fd, int err_fd, const struct dv_monitor_log *log);
/* Control thread: an order of the batch. */
void log_give(struct dv_log_thread *t, struct order *order);

/* attach.c */
struct attached *attach_new(const char *id, const struct dv_log_client *what);
void attach_free(struct attached *client);
void attach_begin(struct dv_log_thread *t, struct attached *client, struct source *source);
void attach_event(struct dv_log_thread *t, struct attached *client, uint32_t events);
void attach_input_event(struct dv_log_thread *t, struct attached *client);
/* Output of a stream for all of its clients; may hold the source. */
void attach_output(struct dv_log_thread *t, const struct stream *stream, const char *, size_t len);
void attach_source_ended(struct dv_log_thread *t, const struct source *source);
void attach_process_ended(struct dv_log_thread *t, const struct order *order);
/* Lets go of who takes nothing and of the dead; how long until the next look, -1: none is due. */
int attach_look(struct dv_log_thread *t);
