/* SPDX-License-Identifier: Apache-2.0 */
/* From a reference to an unpacked image: the machine of runtime/image says what to do next. */
#include "actors/addresses.h"
#include "actors/image/internal.h"
#include "base/buf.h"
#include "base/log.h"
#include "runtime/image/manifest.h"

#include <stdlib.h>
#include <string.h>

#define KEYS_MAX (300U << 10) /* of all that wait for one image */

static void advance(struct pull *pull);
static void ask_login(struct pull *pull);

/* -- keys ----------------------------------------------------------------------------------- */

void waiter_free(struct waiter *waiter)
{
    if (waiter->keys.data)
        explicit_bzero(waiter->keys.data, waiter->keys.len);
    free(waiter->keys.data);
    free(waiter);
}

/* Most that wait have the keys of the daemon. */
static bool is_repeated(const struct pull *pull, const struct waiter *waiter)
{
    for (const struct waiter *other = pull->waiters; other != waiter; other = other->next)
        if (other->keys.len == waiter->keys.len &&
            (!waiter->keys.len ||
             memcmp(other->keys.data, waiter->keys.data, waiter->keys.len) == 0))
            return true;
    return false;
}

int pull_keys(const struct pull *pull, struct dv_buf *out, struct dv_error *err)
{
    int r = 0;
    for (const struct waiter *waiter = pull->waiters; r == 0 && waiter; waiter = waiter->next)
        if (!is_repeated(pull, waiter))
            r = dv_buf_append(out, waiter->keys.data ? (char *)waiter->keys.data : "",
                              waiter->keys.len, err);
    return r;
}

/* One container that has still to show that its keys open what others pulled. */
struct proof {
    struct state *state;
    struct dv_request *request;
    char owner[OWNER_SIZE];
};

static void on_proved(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct proof *proof = ctx;
    if (outcome->error) {
        keep_release(proof->state, proof->owner);
        dv_answer_error(cell, &proof->request, outcome->error);
    } else {
        dv_answer(cell, &proof->request, DV_KIND_image_ready, outcome->body);
    }
    free(proof);
}

/* Answers that waiter, now or later. */
static void ask_proof(struct pull *pull, struct waiter *waiter)
{
    struct state *s = pull->state;
    struct proof *proof = calloc(1, sizeof(*proof));
    if (!proof) {
        struct dv_error err = DV_ERROR_INIT;
        dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory to try decryption keys");
        dv_answer_error(s->cell, &waiter->request, &err);
        return;
    }
    proof->state = s;
    proof->request = dv_steal(&waiter->request);
    snprintf(proof->owner, sizeof(proof->owner), "%s", waiter->owner);
    struct dv_image_lookup_job job = {
        .ref = pull->reference, .keys = waiter->keys, .is_own = waiter->is_own};
    dv_ask(s->cell, DV_ADDRESS_WORKERS, DV_KIND_image_lookup_job, &job,
           s->env->settings->job_timeout_ms * 2, on_proved, proof);
}

/* -- life of a pull ------------------------------------------------------------------------- */

void pull_free(struct pull *pull)
{
    struct state *s = pull->state;
    struct pull **at = &s->pulls;
    while (*at != pull)
        at = &(*at)->next;
    *at = pull->next;
    s->pull_count--;
    while (pull->waiters) {
        struct waiter *waiter = pull->waiters;
        pull->waiters = waiter->next;
        waiter_free(waiter);
    }
    dv_pull_free(pull->machine);
    free(pull);
}

static void release(struct pull *pull)
{
    if (pull->is_over && pull->asks == 0)
        pull_free(pull);
}

static void cancel_downloads(struct pull *pull)
{
    for (struct step *step = pull->state->downloads; step; step = step->next) {
        if (step->pull != pull)
            continue;
        struct dv_download_cancel cancel = {.job = step->job};
        dv_post(pull->state->cell, DV_ADDRESS_DOWNLOADER, DV_KIND_download_cancel, &cancel);
    }
}

/* Answers all that wait: with the image, or with the error. */
static void
finish(struct pull *pull, const struct dv_image_ready *ready, const struct dv_error *error)
{
    struct dv_cell *cell = pull->state->cell;
    if (error)
        dv_log(DV_LOG_WARN, "image %s: %s", pull->reference, error->text);
    while (pull->waiters) {
        struct waiter *waiter = pull->waiters;
        pull->waiters = waiter->next;
        if (!error && waiter->owner[0])
            keep_grant(pull->state, waiter->owner, ready);
        if (error)
            dv_answer_error(cell, &waiter->request, error);
        else if (ready->is_encrypted || waiter->is_own)
            ask_proof(pull, waiter);
        else
            dv_answer(cell, &waiter->request, DV_KIND_image_ready, ready);
        waiter_free(waiter);
    }
    pull->waiter_count = 0;
    pull->is_over = true;
    if (error)
        cancel_downloads(pull);
}

static void fail(struct pull *pull, const struct dv_error *error)
{
    if (!pull->is_over)
        finish(pull, NULL, error);
}

/* -- unpack and commit ---------------------------------------------------------------------- */

static void on_committed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct pull *pull = ctx;
    pull->asks--;
    if (outcome->error)
        fail(pull, outcome->error);
    else if (!pull->is_over) {
        pull_tell_end(pull);
        finish(pull, outcome->body, NULL);
        keep_expect(pull->state, pull->state->env->settings->image_expiry_ms);
    }
    release(pull);
}

static void commit(struct pull *pull)
{
    const struct dv_pull_result *result = dv_pull_result(pull->machine);
    struct dv_image_commit_job job = {
        .ref = (char *)result->reference,
        .digest = (char *)result->manifest.digest,
        .media_type = (char *)result->manifest.media_type,
        .size = result->manifest.size,
    };
    struct dv_buf keys = DV_BUF_INIT(KEYS_MAX);
    struct dv_error err = DV_ERROR_INIT;
    if (pull_keys(pull, &keys, &err) < 0) {
        dv_buf_wipe(&keys);
        fail(pull, &err);
        return;
    }
    job.keys = (struct dv_bytes){(uint8_t *)keys.data, keys.len};
    pull->asks++;
    dv_ask(pull->state->cell, DV_ADDRESS_WORKERS, DV_KIND_image_commit_job, &job,
           pull->state->env->settings->job_timeout_ms * 2, on_committed, pull);
    dv_buf_wipe(&keys);
}

static void start_again(struct pull *pull)
{
    dv_log(DV_LOG_WARN, "image %s: %s: it is fetched again", pull->reference, pull->failure.text);
    pull->failure = DV_ERROR_INIT;
    pull->is_again = true;
    dv_pull_free(pull->machine);
    pull->machine = NULL;
    ask_login(pull);
}

static void on_unpacked(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct pull *pull = ctx;
    pull->asks--;
    pull->unpacking--;
    if (outcome->error && pull->failure.class == DV_ERR_NONE)
        pull->failure = *outcome->error;
    /* Who is told that it failed finds nothing half done. A blob that was damaged on disk is gone
     * by now, so a second pull fetches it. */
    if (pull->unpacking == 0 && pull->failure.class == DV_ERR_CORRUPT && !pull->is_again &&
        !pull->is_over)
        start_again(pull);
    else if (pull->unpacking == 0 && pull->failure.class != DV_ERR_NONE)
        fail(pull, &pull->failure);
    else if (pull->unpacking == 0 && !pull->is_over)
        commit(pull);
    else if (!pull->is_over)
        pull_tell(pull);
    release(pull);
}

static void unpack(struct pull *pull)
{
    const struct dv_pull_result *result = dv_pull_result(pull->machine);
    const struct dv_actor_settings *settings = pull->state->env->settings;
    pull->layers = pull->unpacking = result->layer_count;
    pull_tell(pull);
    if (!result->layer_count) {
        commit(pull);
        return;
    }
    struct dv_buf keys = DV_BUF_INIT(KEYS_MAX);
    struct dv_error err = DV_ERROR_INIT;
    if (pull_keys(pull, &keys, &err) < 0) {
        dv_buf_wipe(&keys);
        fail(pull, &err);
        return;
    }
    for (size_t i = 0; i < result->layer_count; i++) {
        struct dv_unpack_job job = {
            .digest = (char *)result->layers[i].digest,
            .media_type = (char *)result->layers[i].media_type,
            .diff_id = (char *)result->layers[i].diff_id,
            .timeout_ms = settings->unpack_timeout_ms,
        };
        if (dv_layer_is_encrypted(job.media_type)) {
            job.manifest = (char *)result->manifest.digest;
            job.number = (int64_t)i;
            job.keys = (struct dv_bytes){(uint8_t *)keys.data, keys.len};
        }
        pull->asks++;
        dv_ask(pull->state->cell, DV_ADDRESS_WORKERS, DV_KIND_unpack_job, &job,
               settings->unpack_timeout_ms * 4, on_unpacked, pull);
    }
    dv_buf_wipe(&keys);
}

/* -- download ------------------------------------------------------------------------------- */

static void end_step(struct step *step)
{
    struct step **at = &step->pull->state->downloads;
    while (*at && *at != step)
        at = &(*at)->next;
    if (*at)
        *at = step->next;
    free(step->job);
    free(step);
}

static void on_step(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct step *step = ctx;
    struct pull *pull = step->pull;
    struct dv_error err = DV_ERROR_INIT;
    unsigned number = step->number;
    end_step(step);
    pull->asks--;
    if (!pull->is_over) {
        int r;
        if (outcome->error)
            r = dv_pull_failed(pull->machine, number, outcome->error, &err);
        else if (outcome->kind == DV_KIND_download_result)
            r = dv_pull_downloaded(pull->machine, number, outcome->body, &err);
        else
            r = dv_pull_succeeded(pull->machine, number, &err);
        if (r < 0)
            fail(pull, &err);
        else
            advance(pull);
    }
    release(pull);
}

static int start_step(struct pull *pull, const struct dv_pull_step *todo, struct dv_error *err)
{
    struct state *s = pull->state;
    bool is_download = todo->kind == DV_KIND_download_cmd;
    struct step *step = calloc(1, sizeof(*step));
    if (step && is_download)
        step->job = strdup(((const struct dv_download_cmd *)todo->body)->job);
    if (!step || (is_download && !step->job)) {
        free(step);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a pull");
    }
    step->pull = pull;
    step->number = todo->number;
    if (is_download) {
        const struct dv_download_cmd *command = todo->body;
        if (command->file && command->digest)
            snprintf(step->digest, sizeof(step->digest), "%s", command->digest);
        step->next = s->downloads;
        s->downloads = step;
    }
    pull->asks++;
    dv_ask(s->cell, is_download ? DV_ADDRESS_DOWNLOADER : DV_ADDRESS_WORKERS, todo->kind,
           todo->body, is_download ? LONG_MS : s->env->settings->job_timeout_ms * 2, on_step, step);
    return 0;
}

static void advance(struct pull *pull)
{
    if (pull->state->is_collecting) {
        pull->is_held = true;
        return;
    }
    for (;;) {
        struct dv_error err = DV_ERROR_INIT;
        struct dv_pull_step todo;
        int r = dv_pull_next(pull->machine, &todo, &err);
        if (r > 0)
            r = start_step(pull, &todo, &err) < 0 ? -(int)err.class : 1;
        if (r < 0) {
            fail(pull, &err);
            return;
        }
        if (r == 0)
            break;
    }
    if (dv_pull_result(pull->machine))
        unpack(pull);
    else
        pull_tell(pull);
}

static void begin_download(struct pull *pull, const struct dv_registry_login *login)
{
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_actor_env *env = pull->state->env;
    struct dv_pull_options options = {
        .reference = &pull->parsed,
        .settings = env->registries,
        .login = login,
        .platform = dv_platform_host(),
        .ingest_dir = env->ingest_dir,
        .stall_ms = env->settings->pull_stall_ms,
    };
    if (dv_pull_new(&options, &pull->machine, &err) < 0) {
        fail(pull, &err);
        return;
    }
    pull->begin_ns = dv_clock_monotonic_ns(dv_cell_clock(pull->state->cell));
    dv_log(DV_LOG_INFO, "image %s: pulling", pull->reference);
    advance(pull);
}

/* Without an answer the pull goes on without credentials: most need none. */
static void on_login(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct pull *pull = ctx;
    const struct dv_registry_login *login = outcome->error ? NULL : outcome->body;
    pull->asks--;
    if (outcome->error)
        dv_log(DV_LOG_WARN, "image %s: credentials: %s", pull->reference, outcome->error->text);
    else if (login->note)
        dv_log(DV_LOG_WARN, "image %s: %s", pull->reference, login->note);
    if (!pull->is_over)
        begin_download(pull, login);
    release(pull);
}

static void ask_login(struct pull *pull)
{
    const struct dv_actor_env *env = pull->state->env;
    const struct dv_registry *registry =
        env->registries ? dv_registry_find(env->registries, pull->parsed.host) : NULL;
    if (registry && registry->user) {
        begin_download(pull, NULL);
        return;
    }
    struct dv_registry_login_query query = {.ref = pull->reference};
    pull->asks++;
    dv_ask(pull->state->cell, DV_ADDRESS_WORKERS, DV_KIND_registry_login_query, &query,
           env->settings->job_timeout_ms, on_login, pull);
}

static void on_looked_up(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct pull *pull = ctx;
    pull->asks--;
    if (!pull->is_over && !outcome->error)
        finish(pull, outcome->body, NULL);
    else if (!pull->is_over && outcome->error->class == DV_ERR_NOT_FOUND)
        ask_login(pull);
    else if (!pull->is_over)
        fail(pull, outcome->error);
    release(pull);
}

void pull_begin(struct pull *pull)
{
    struct state *s = pull->state;
    if (s->is_collecting) {
        pull->is_held = true;
        return;
    }
    if (pull->is_anew) {
        ask_login(pull);
        return;
    }
    /* For the first that waits; the others show their keys when it is there. */
    struct dv_image_lookup_job job = {.ref = pull->reference};
    if (pull->waiters)
        job.keys = pull->waiters->keys;
    pull->asks++;
    dv_ask(s->cell, DV_ADDRESS_WORKERS, DV_KIND_image_lookup_job, &job,
           s->env->settings->job_timeout_ms * 2, on_looked_up, pull);
}

void pull_cancel(struct pull *pull)
{
    dv_log(DV_LOG_INFO, "image %s: nobody needs it any more, canceled", pull->reference);
    pull->is_over = true;
    cancel_downloads(pull);
    release(pull);
}

void pull_resume_all(struct state *s)
{
    struct pull *next;
    for (struct pull *pull = s->pulls; pull; pull = next) {
        next = pull->next;
        if (!pull->is_held)
            continue;
        pull->is_held = false;
        if (!pull->is_over && pull->machine)
            advance(pull);
        else if (!pull->is_over)
            pull_begin(pull);
    }
}
