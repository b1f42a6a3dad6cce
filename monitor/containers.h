/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The containers that davit-monitor is the parent of, or was before it was started again: by pid,
 * and as a small file each (<run_dir>/containers/<id>/log) that a new monitor reads. Private to the
 * control thread.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct mon_container {
    struct mon_container *next; /* in its bucket */
    char id[129];
    bool is_tty;
    bool takes_input; /* of its terminal */
    pid_t pid;
    int64_t start_ticks;
    int pidfd;      /* of one that is no child of this monitor, else -1 */
    int console;    /* its terminal; -1: none, or davitd has not given it back yet */
    char *oom_path; /* file that counts kills for lack of memory; NULL: none */
};

struct mon_containers;

struct mon_containers *mon_containers_new(const char *run_dir);
void mon_containers_free(struct mon_containers *containers);

/* Remembers a container and writes its file. */
__attribute__((warn_unused_result)) int mon_containers_add(struct mon_containers *containers,
                                                           const struct dv_monitor_container *what,
                                                           int pidfd,
                                                           struct dv_error *err);
/* Remembers one whose file is there already; NULL when memory is short. */
struct mon_container *mon_containers_restore(struct mon_containers *containers,
                                             const struct dv_monitor_container *what,
                                             int pidfd);
struct mon_container *mon_containers_find(struct mon_containers *containers, pid_t pid);
struct mon_container *mon_containers_find_id(struct mon_containers *containers, const char *id);
void mon_containers_forget(struct mon_containers *containers, struct mon_container *container);

/* Calls `fn` for each file that an earlier monitor left. */
void mon_containers_load(struct mon_containers *containers,
                         void (*fn)(void *ctx, const struct dv_monitor_container *what),
                         void *ctx);
/* Calls `fn` with the file of one; not at all if it cannot be read. */
void mon_containers_load_one(const struct mon_containers *containers,
                             const char *id,
                             void (*fn)(void *ctx, const struct dv_monitor_container *what),
                             void *ctx);
/* Calls `fn` for each that is known. */
void mon_containers_each(const struct mon_containers *containers,
                         void (*fn)(void *ctx, const struct mon_container *container),
                         void *ctx);
