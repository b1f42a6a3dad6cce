/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The log thread of davit-monitor: reads the output of all containers, writes it to their logs and
 * to whoever is attached, and writes what they type. It may block for the disk as long as it likes;
 * the control thread only puts orders into its queue, which are carried out one after the other.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_LOG_CLIENTS_MAX 128 /* attached at a time, to all containers */

struct dv_log_thread;

__attribute__((warn_unused_result)) int dv_log_thread_start(struct dv_log_thread **ret,
                                                            struct dv_error *err);
/* Ends after what is there now has been written, within some seconds; what is not read by then
 * stays in the FIFOs. */
void dv_log_thread_stop(struct dv_log_thread *thread);

/* The thread stops to read when it has carried out its orders, and what it has read gets written;
 * everything else stays where it is. TIMED_OUT when the disk is not ready by `until_ns`
 * (monotonic); then the thread goes on. */
__attribute__((warn_unused_result)) int
dv_log_thread_rest(struct dv_log_thread *thread, int64_t until_ns, struct dv_error *err);
void dv_log_thread_go_on(struct dv_log_thread *thread);

struct mon_state_writer;
/* Streams and clients of a thread that rests. */
void dv_log_thread_save(const struct dv_log_thread *thread, struct mon_state_writer *writer);

/* What dv_log_thread_restore() remembers from one frame of a state to the next; zeroed before. */
struct dv_log_restore {
    struct source **sources;
    size_t count;
    size_t room;
    struct attached *client; /* the latest */
};

/* Takes over what a frame tells; other kinds are left alone. After the last one the orders are
 * committed by dv_log_thread_commit(), then `restore` is freed. */
__attribute__((warn_unused_result)) int dv_log_thread_restore(struct dv_log_thread *thread,
                                                              struct dv_log_restore *restore,
                                                              uint16_t kind,
                                                              const void *body,
                                                              struct dv_error *err);

/* Begins to read the streams of a container; both descriptors become the thread's, also when this
 * fails. `err_fd` -1: `out_fd` is the terminal of both. `log` is copied, NULL: output is read and
 * dropped. Control thread, as all that follow. */
__attribute__((warn_unused_result)) int dv_log_thread_add(struct dv_log_thread *thread,
                                                          const char *id,
                                                          int out_fd,
                                                          int err_fd,
                                                          const struct dv_monitor_log *log,
                                                          struct dv_error *err);

/* A client of streams, which has been told that it is attached. Both descriptors become the
 * thread's, also when this fails. */
struct dv_log_client {
    int fd;    /* its connection, non-blocking */
    int input; /* terminal, FIFO or pipe, non-blocking; -1: none */
    bool is_tty;
    bool takes_input;
};

/* Orders between the two are carried out together: who is attached to what is added in the same
 * batch misses nothing of it. */
void dv_log_thread_begin(struct dv_log_thread *thread);
void dv_log_thread_commit(struct dv_log_thread *thread);

bool dv_log_thread_has_room(const struct dv_log_thread *thread); /* for one more client */

/* The streams of a container that was added before, from now on until it has ended. */
__attribute__((warn_unused_result)) int dv_log_thread_attach(struct dv_log_thread *thread,
                                                             const char *id,
                                                             const struct dv_log_client *client,
                                                             struct dv_error *err);
/* Streams of a process that has this one client: without it they are closed, and where it does not
 * read, the process waits. `id` is none of a container. */
__attribute__((warn_unused_result)) int
dv_log_thread_add_session(struct dv_log_thread *thread,
                          const char *id,
                          int out_fd,
                          int err_fd,
                          const struct dv_log_client *client,
                          struct dv_error *err);
/* A container or the process of a session has ended: who is attached is told after the output. */
void dv_log_thread_ended(struct dv_log_thread *thread, const char *id, bool is_known, int code);
