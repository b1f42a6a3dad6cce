/* SPDX-License-Identifier: Apache-2.0 */
/* What stays and what goes: collections, expiry, loads; one at a time. */
#include "actors/addresses.h"
#include "actors/image/internal.h"
#include "base/arena.h"
#include "base/log.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define JOB_BYTES     (64U << 20)
#define GRANT_BYTES   (64U << 10)
#define TEXTS_MAX     65536
#define LOOK_LEAST_MS 1000
#define LOOK_MOST_MS  (3600 * 1000)                    /* the wall clock may be set meanwhile */
#define ORPHAN_NS     (24LL * 3600 * 1000 * NS_PER_MS) /* what a broken pull left for the next try */

static void do_next(struct state *s);

/* -- grants --------------------------------------------------------------------------------- */

static void free_grant(struct grant *grant)
{
    dv_arena_free(grant->arena);
    free(grant);
}

void keep_grant(struct state *s, const char *owner, const struct dv_image_ready *ready)
{
    struct grant *grant = calloc(1, sizeof(*grant));
    void *copy = NULL;
    if (grant)
        grant->arena = dv_arena_new(GRANT_BYTES);
    if (!grant || !grant->arena ||
        dv_copy(&dv_schema_image_ready, ready, grant->arena, &copy, NULL) < 0) {
        /* Without it a collection within the next milliseconds could take the layers. */
        dv_log(DV_LOG_WARN, "image: no memory to remember what '%s' was given", owner);
        if (grant)
            free_grant(grant);
        return;
    }
    snprintf(grant->owner, sizeof(grant->owner), "%s", owner);
    grant->ready = copy;
    grant->next = s->grants;
    s->grants = grant;
}

static void drop_grants(struct state *s, bool (*is_over)(const char *, void *), void *ctx)
{
    struct grant **at = &s->grants;
    while (*at) {
        struct grant *grant = *at;
        if (!is_over(grant->owner, ctx)) {
            at = &grant->next;
            continue;
        }
        *at = grant->next;
        free_grant(grant);
    }
}

static bool is_owner(const char *owner, void *ctx)
{
    return strcmp(owner, ctx) == 0;
}

void keep_release(struct state *s, const char *owner)
{
    drop_grants(s, is_owner, (void *)(uintptr_t)owner);
}

static bool is_settled(const char *owner, void *ctx)
{
    const struct dv_texts *settled = ctx;
    for (size_t i = 0; i < settled->count; i++)
        if (strcmp(settled->items[i], owner) == 0)
            return true;
    return false;
}

/* -- what a collection must know ------------------------------------------------------------ */

/* Texts are borrowed from what outlives the sending of the job. */
static int add(struct dv_arena *arena, struct dv_texts *texts, const char *text)
{
    if (!text || !text[0])
        return 0;
    if (texts->count == TEXTS_MAX)
        return -DV_ERR_LIMIT;
    if ((texts->count & (texts->count - 1)) == 0) {
        size_t room = texts->count ? 2 * texts->count : 1;
        char **items = dv_arena_array(arena, room, sizeof(*items));
        if (!items)
            return -DV_ERR_NO_MEMORY;
        if (texts->count)
            memcpy(items, texts->items, texts->count * sizeof(*items));
        texts->items = items;
    }
    texts->items[texts->count++] = (char *)(uintptr_t)text;
    return 0;
}

struct filling {
    struct dv_arena *arena;
    struct dv_image_collect_job *job;
    int r;
};

static void hold(struct filling *f, struct dv_texts *texts, const char *text)
{
    if (f->r == 0)
        f->r = add(f->arena, texts, text);
}

static void hold_pull(const char *digest, bool is_diff_id, void *ctx)
{
    struct filling *f = ctx;
    hold(f, is_diff_id ? &f->job->held_diff_ids : &f->job->held_blobs, digest);
}

static void hold_layers(struct filling *f, const struct dv_texts *layers)
{
    for (size_t i = 0; i < layers->count; i++)
        hold(f, &f->job->used_layers, layers->items[i]);
}

static void hold_use(struct filling *f, const struct dv_image_use *use)
{
    struct dv_reference ref;
    bool is_sound = dv_reference_parse(dv_str_of(use->ref), &ref, NULL) == 0;
    hold(f, &f->job->used_refs, is_sound ? dv_arena_strdup(f->arena, ref.text) : use->ref);
    hold(f, &f->job->used_images, use->image_id);
    hold_layers(f, &use->layers);
}

static int fill_job(struct state *s,
                    const struct dv_image_uses *uses,
                    struct dv_image_collect_job *job,
                    struct dv_arena *arena,
                    struct dv_error *err)
{
    struct filling f = {.arena = arena, .job = job};
    for (size_t i = 0; i < uses->uses.count; i++)
        hold_use(&f, &uses->uses.items[i]);
    for (struct grant *grant = s->grants; grant; grant = grant->next) {
        hold(&f, &job->used_images, grant->ready->image_id);
        hold_layers(&f, &grant->ready->layers);
    }
    for (struct pull *pull = s->pulls; pull; pull = pull->next) {
        hold(&f, &job->used_refs, pull->reference);
        if (pull->machine)
            dv_pull_each_digest(pull->machine, hold_pull, &f);
    }
    if (f.r == -DV_ERR_LIMIT)
        return dv_error_set(err, DV_ERR_LIMIT,
                            "more than %d layers are in use: images are not collected", TEXTS_MAX);
    return f.r < 0 ? dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a collection of images")
                   : 0;
}

/* -- chores --------------------------------------------------------------------------------- */

struct chore *keep_new(struct state *s)
{
    struct chore *chore = calloc(1, sizeof(*chore));
    if (chore)
        chore->state = s;
    return chore;
}

static void free_chore(struct chore *chore)
{
    free(chore->texts[0]);
    free(chore->texts[1]);
    free(chore);
}

void keep_add(struct state *s, struct chore *chore)
{
    struct chore **at = &s->chores;
    while (*at)
        at = &(*at)->next;
    *at = chore;
    s->chore_count++;
    do_next(s);
}

static void end_chore(struct chore *chore, uint16_t kind, const struct dv_outcome *outcome)
{
    struct state *s = chore->state;
    if (outcome->error && outcome->error->class != DV_ERR_CANCELED)
        dv_log(DV_LOG_WARN, "images: %s", outcome->error->text);
    /* Tried again later: what expired is no harm until then. */
    if (outcome->error && chore->is_expiry && !dv_cell_is_ending(s->cell))
        keep_expect(s, LOOK_MOST_MS);
    if (chore->request && outcome->error)
        dv_answer_error(s->cell, &chore->request, outcome->error);
    else if (chore->request)
        dv_answer(s->cell, &chore->request, kind, outcome->body);
    s->chores = chore->next;
    s->chore_count--;
    s->is_chore_begun = false;
    free_chore(chore);
    if (!dv_cell_is_ending(s->cell))
        do_next(s);
}

static void on_swept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    (void)ctx;
    if (outcome->error && outcome->error->class != DV_ERR_CANCELED)
        dv_log(DV_LOG_WARN, "images: delete layers: %s; the next start does it",
               outcome->error->text);
}

static void plan_expiry(struct state *s, int64_t oldest_ns)
{
    int64_t expiry_ms = s->env->settings->image_expiry_ms;
    if (oldest_ns && expiry_ms > 0)
        keep_expect(s, (oldest_ns - dv_clock_wall_ns(dv_cell_clock(s->cell))) / NS_PER_MS +
                           expiry_ms + LOOK_LEAST_MS);
}

static void on_collected(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct chore *chore = ctx;
    struct state *s = chore->state;
    s->is_collecting = false;
    const struct dv_image_collected *collected = outcome->error ? NULL : outcome->body;
    if (collected) {
        if (collected->jump_ns)
            dv_log(DV_LOG_WARN,
                   "images: the clock has moved by %lld h since the last look, it was set or the "
                   "machine was off; ages of images go on from there",
                   (long long)(collected->jump_ns / NS_PER_MS / 3600000));
        for (size_t i = 0; i < collected->images.count; i++)
            dv_log(DV_LOG_INFO, "image %s: %s", collected->images.items[i],
                   chore->is_expiry ? "not used and expired, removed" : "removed");
        if (collected->layers || collected->blobs)
            dv_log(DV_LOG_INFO, "images: removed %lld layers and %lld blobs of %lld bytes",
                   (long long)collected->layers, (long long)collected->blobs,
                   (long long)collected->bytes);
        if (collected->layers) {
            struct dv_image_sweep_job sweep = {};
            dv_ask(cell, DV_ADDRESS_WORKERS, DV_KIND_image_sweep_job, &sweep, LONG_MS, on_swept,
                   NULL);
        }
        plan_expiry(s, collected->oldest_ns);
    }
    if (!dv_cell_is_ending(cell))
        pull_resume_all(s);
    end_chore(chore, DV_KIND_image_collected, outcome);
}

static void on_uses(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct chore *chore = ctx;
    struct state *s = chore->state;
    DV_AUTO(dv_arena) arena = dv_arena_new(JOB_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    struct dv_image_collect_job job = chore->job;
    struct dv_outcome failure = {.error = &err};
    if (outcome->error) {
        end_chore(chore, 0, outcome);
        return;
    }
    struct dv_image_uses uses = *(const struct dv_image_uses *)outcome->body;
    drop_grants(s, is_settled, &uses.settled);
    if (!arena)
        dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for a collection of images");
    if (!arena || fill_job(s, &uses, &job, arena, &err) < 0) {
        end_chore(chore, 0, &failure);
        return;
    }
    int64_t now_ns = dv_clock_wall_ns(dv_cell_clock(cell));
    int64_t expiry_ns = s->env->settings->image_expiry_ms * NS_PER_MS;
    /* By a clock that nobody has set nothing is old. */
    if (chore->is_expiry && !dv_time_is_set(now_ns)) {
        job.orphans_before_ns = 1;
    } else if (chore->is_expiry) {
        job.now_ns = now_ns;
        job.before_ns = now_ns > expiry_ns ? now_ns - expiry_ns : 0;
        job.orphans_before_ns = now_ns - (expiry_ns < ORPHAN_NS ? expiry_ns : ORPHAN_NS);
    }
    s->is_collecting = true;
    dv_ask(cell, DV_ADDRESS_WORKERS, DV_KIND_image_collect_job, &job, LONG_MS, on_collected, chore);
}

static void on_loaded(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct chore *chore = ctx;
    struct state *s = chore->state;
    const struct dv_image_loaded *loaded = outcome->error ? NULL : outcome->body;
    for (size_t i = 0; loaded && i < loaded->images.count; i++)
        dv_log(DV_LOG_INFO, "image %s: loaded from '%s'", loaded->images.items[i],
               chore->load.path);
    if (loaded && !dv_cell_is_ending(cell))
        keep_expect(s, s->env->settings->image_expiry_ms);
    end_chore(chore, DV_KIND_image_loaded, outcome);
}

static void do_next(struct state *s)
{
    struct chore *chore = s->chores;
    if (!chore || s->is_chore_begun)
        return;
    s->is_chore_begun = true;
    if (chore->is_load) {
        dv_ask(s->cell, DV_ADDRESS_WORKERS, DV_KIND_image_load_cmd, &chore->load, LONG_MS,
               on_loaded, chore);
        return;
    }
    struct dv_image_uses_query query = {};
    dv_ask(s->cell, DV_ADDRESS_ROSTER, DV_KIND_image_uses_query, &query,
           s->env->settings->command_timeout_ms, on_uses, chore);
}

/* -- expiry --------------------------------------------------------------------------------- */

static void on_due(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->expiry_timer = 0;
    struct chore *chore = keep_new(s);
    if (!chore) {
        keep_expect(s, LOOK_MOST_MS);
        return;
    }
    chore->is_expiry = true;
    keep_add(s, chore);
}

void keep_expect(struct state *s, int64_t delay_ms)
{
    if (s->env->settings->image_expiry_ms <= 0)
        return;
    if (delay_ms < LOOK_LEAST_MS)
        delay_ms = LOOK_LEAST_MS;
    if (delay_ms > LOOK_MOST_MS)
        delay_ms = LOOK_MOST_MS;
    int64_t due_ns = dv_clock_monotonic_ns(dv_cell_clock(s->cell)) + delay_ms * NS_PER_MS;
    if (s->expiry_timer && s->expiry_due_ns <= due_ns)
        return;
    dv_timer_cancel(s->cell, s->expiry_timer);
    s->expiry_due_ns = due_ns;
    s->expiry_timer = dv_timer_set(s->cell, delay_ms, on_due, NULL);
}

void keep_stop(struct state *s)
{
    while (s->grants) {
        struct grant *grant = s->grants;
        s->grants = grant->next;
        free_grant(grant);
    }
    while (s->chores) {
        struct chore *chore = s->chores;
        s->chores = chore->next;
        free_chore(chore);
    }
}
