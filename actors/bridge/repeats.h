/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Commands that are in progress or were answered lately, to give a repeat the same answer without a
 * second effect. A container's answer is forgotten as soon as anything else happens to its feature:
 * a client may use one id for start, stop, start. Creates are independent of each other and stay
 * for the whole window. Not thread-safe: the bridge cell owns one.
 */
#include "actors/kit/cell.h"
#include "base/cleanup.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_REPEAT_WAITERS_MAX 16

struct dv_repeats;

struct dv_repeats *dv_repeats_new(unsigned max, int64_t window_ns);
/* Requests that still wait stay with the kit, which fails them when the cell ends. */
void dv_repeats_free(struct dv_repeats *repeats);
DV_DEFINE_CLEANUP(dv_repeats, dv_repeats_free)

enum dv_repeat {
    DV_REPEAT_NEW,      /* run it; the entry is in progress now */
    DV_REPEAT_WAITING,  /* the request was taken: it waits for the first one's answer */
    DV_REPEAT_ANSWERED, /* *ret_reply is the answer, borrowed until the next call */
    DV_REPEAT_REFUSED,  /* no more can wait for the first one's answer */
};

/* Looks a command up; an empty key is always new and not remembered. A new one makes answers of the
 * same container feature stale. */
enum dv_repeat dv_repeats_take(struct dv_repeats *repeats,
                               const char *key,
                               const char *feature,
                               int64_t now_ns,
                               struct dv_request **request,
                               const struct dv_command_reply **ret_reply);

/* The answer of a command in progress. Calls `fn` for each repeat that waited. */
typedef void dv_repeat_waiter_fn(void *ctx, struct dv_request *request);
void dv_repeats_answer(struct dv_repeats *repeats,
                       const char *key,
                       const struct dv_command_reply *reply,
                       int64_t now_ns,
                       dv_repeat_waiter_fn *fn,
                       void *ctx);
/* How old an answer from before a restart is. Of this boot: by the monotonic clock. Of an earlier
 * one by time stamps, unless one of them was taken before the machine's clock was set: such an
 * answer, and one from the future, is as good as new, because a command that runs twice does more
 * harm than an answer that is remembered for longer. */
int64_t dv_repeats_age_ns(const struct dv_store_answered *answer,
                          int64_t boot,
                          int64_t now_ns,
                          int64_t wall_ns);
/* An answer from before a restart. */
void dv_repeats_restore(struct dv_repeats *repeats,
                        const char *key,
                        const struct dv_command_reply *reply,
                        int64_t now_ns);
/* The state of a feature changed: its answers are stale. */
void dv_repeats_touch(struct dv_repeats *repeats, const char *feature);
