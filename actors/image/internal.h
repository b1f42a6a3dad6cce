/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the files of the image actor share. image.c takes requests, pulling.c leads pulls to their
 * end, progress.c tells how far they are, keeping.c removes what nobody needs. All on the cell's
 * thread.
 *
 * While a collection runs on a worker no pull starts a step: what is under way is named to the
 * collection, so it removes nothing that a pull counts on.
 */
#include "actors/env.h"
#include "actors/kit/cell.h"
#include "runtime/image/reference.h"
#include "runtime/image/registry.h"

#define NS_PER_MS     1000000
#define REFERENCE_MAX 1100
#define OWNER_SIZE    129
#define LONG_MS       (7LL * 24 * 3600 * 1000) /* for what ends by itself */

struct pull;

/* An ask on behalf of a pull. */
struct step {
    struct pull *pull;
    unsigned number;
    char *job;                   /* of a download, to cancel it */
    char digest[DV_DIGEST_SIZE]; /* of a blob that comes */
    int64_t bytes;               /* that came by now */
    struct step *next;
};

struct waiter {
    struct waiter *next;
    struct dv_request *request;
    char owner[OWNER_SIZE]; /* container; "": a person */
    struct dv_bytes keys;   /* its own; wiped when the waiter goes */
    bool is_own;            /* not those of the daemon */
};

struct pull {
    struct pull *next;
    struct state *state;
    char reference[REFERENCE_MAX]; /* canonical */
    struct waiter *waiters;
    unsigned waiter_count;
    struct dv_reference parsed;
    struct dv_pull *machine; /* NULL while the store is looked up */
    unsigned asks;           /* open ones that point here */
    size_t unpacking;        /* layers that are not unpacked yet */
    size_t layers;           /* that the image has, once that is known */
    int64_t begin_ns;        /* monotonic */
    int64_t progress_ns;     /* when progress was last told */
    const char *told_phase;  /* then; NULL: never */
    int64_t told_total;      /* then: 0 until the size is known */
    int64_t logged_ns;       /* when the log last had it */
    struct dv_error failure; /* of a layer, told when no unpack is under way any more */
    bool is_anew;            /* the registry is asked although the image may be stored */
    bool is_again;           /* for the second time, because a stored blob was damaged */
    bool is_held;            /* goes on when the collection is over */
    bool is_over;            /* answered; freed when the last ask is back */
};

/* The keys of all that wait, those of several once; the caller wipes it. */
int pull_keys(const struct pull *pull, struct dv_buf *out, struct dv_error *err);
void waiter_free(struct waiter *waiter);

/* An image that a container was told of and whose record does not name it yet. */
struct grant {
    struct grant *next;
    char owner[OWNER_SIZE];
    struct dv_arena *arena;
    struct dv_image_ready *ready;
};

/* A collection or a load: one at a time, in order. */
struct chore {
    struct chore *next;
    struct state *state;
    struct dv_request *request; /* NULL: nobody waits */
    struct dv_image_collect_job job;
    struct dv_image_load_cmd load;
    bool is_load;
    bool is_expiry;
    char *texts[2]; /* owned: what job and load point to */
};

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct pull *pulls;
    struct step *downloads; /* under way */
    unsigned pull_count;
    struct grant *grants;
    struct chore *chores; /* the first one is being done */
    unsigned chore_count;
    bool is_chore_begun;
    bool is_collecting; /* the worker is at it */
    uint64_t expiry_timer;
    int64_t expiry_due_ns;
};

/* progress.c */
/* Tells those that wait, and the log, how far it is: a new phase at once, within a phase at most
 * once a second, and only what has changed. */
void pull_tell(struct pull *pull);
void pull_tell_end(struct pull *pull);
const char *pull_phase(const struct pull *pull);
void pull_bytes(const struct pull *pull, int64_t *ret_done, int64_t *ret_total);
/* download_progress */
dv_handler_fn pull_on_progress;

/* pulling.c */
void pull_free(struct pull *pull);
/* Looks into the store, then into the registry; at once or when a collection is over. */
void pull_begin(struct pull *pull);
/* Ends one that nobody waits for any more. */
void pull_cancel(struct pull *pull);
/* After a collection. */
void pull_resume_all(struct state *s);

/* keeping.c */
/* The chore is taken. */
void keep_add(struct state *s, struct chore *chore);
struct chore *keep_new(struct state *s);
void keep_grant(struct state *s, const char *owner, const struct dv_image_ready *ready);
void keep_release(struct state *s, const char *owner);
/* An image was stored or a container went: sometime something may expire. */
void keep_expect(struct state *s, int64_t delay_ms);
void keep_stop(struct state *s);
