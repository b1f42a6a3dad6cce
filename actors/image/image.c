/* SPDX-License-Identifier: Apache-2.0 */
/* What others ask of images. */
#include "actors/image/image.h"

#include "actors/addresses.h"
#include "actors/image/internal.h"
#include "base/arena.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define LIST_BYTES    (64U << 20)
#define FIRST_LOOK_MS 10000 /* after the start: not in the way of the restore */
#define RELEASED_MS   2000  /* many containers may go at once */

/* -- pulls ---------------------------------------------------------------------------------- */

static struct pull *find_pull(struct state *s, const char *reference)
{
    for (struct pull *pull = s->pulls; pull; pull = pull->next)
        if (!pull->is_over && strcmp(pull->reference, reference) == 0)
            return pull;
    return NULL;
}

static int new_pull(struct state *s,
                    const struct dv_reference *reference,
                    struct pull **ret,
                    struct dv_error *err)
{
    if (s->pull_count >= DV_PULLS_MAX)
        return dv_error_set(err, DV_ERR_BUSY,
                            "%u images are being pulled, the limit; try again later",
                            s->pull_count);
    struct pull *pull = calloc(1, sizeof(*pull));
    if (!pull)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a pull");
    pull->state = s;
    pull->parsed = *reference;
    snprintf(pull->reference, sizeof(pull->reference), "%s", reference->text);
    pull->next = s->pulls;
    s->pulls = pull;
    s->pull_count++;
    *ret = pull;
    return 0;
}

/* One pull serves all that want the same reference. */
static int want(struct state *s,
                const char *text,
                const char *owner,
                const struct dv_bytes *keys,
                bool is_own,
                bool is_anew,
                struct dv_request **request,
                struct dv_error *err)
{
    struct dv_reference reference;
    int r = dv_reference_parse(dv_str_of(text), &reference, err);
    if (r < 0)
        return r;
    struct pull *pull = find_pull(s, reference.text);
    bool is_first = !pull;
    struct waiter *waiter = calloc(1, sizeof(*waiter));
    if (waiter && keys->len)
        waiter->keys.data = malloc(keys->len);
    if (!waiter || (keys->len && !waiter->keys.data)) {
        free(waiter);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a pull");
    }
    if (keys->len)
        memcpy(waiter->keys.data, keys->data, keys->len);
    waiter->keys.len = keys->len;
    waiter->is_own = is_own;
    if (is_first && (r = new_pull(s, &reference, &pull, err)) < 0) {
        waiter_free(waiter);
        return r;
    }
    snprintf(waiter->owner, sizeof(waiter->owner), "%s", owner);
    waiter->request = dv_steal(request);
    waiter->next = pull->waiters;
    pull->waiters = waiter;
    pull->waiter_count++;
    if (!is_first)
        return 0;
    pull->is_anew = is_anew;
    pull_begin(pull);
    return 0;
}

static int
on_ensure(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    const struct dv_image_ensure_cmd *command = body;
    return want(dv_cell_state(cell), command->ref, command->owner, &command->keys, command->is_own,
                false, request, err);
}

static int
on_pull(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    const struct dv_image_pull_cmd *command = body;
    struct state *s = dv_cell_state(cell);
    const char *keys = s->env->settings->decryption;
    struct dv_bytes own = {(uint8_t *)(uintptr_t)keys, keys ? strlen(keys) : 0};
    return want(s, command->ref, "", &own, false, true, request, err);
}

/* -- keys of encrypted images ---------------------------------------------------------------- */

static void on_authorized(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_request *request = ctx;
    if (outcome->error)
        dv_answer_error(cell, &request, outcome->error);
    else
        dv_answer_done(cell, &request);
}

static int on_authorize(struct dv_cell *cell,
                        const void *body,
                        struct dv_request **request,
                        struct dv_error *err)
{
    const struct state *s = dv_cell_state(cell);
    const struct dv_image_authorize_cmd *command = body;
    struct dv_reference reference;
    int r = dv_reference_parse(dv_str_of(command->ref), &reference, err);
    if (r < 0)
        return r;
    struct dv_image_lookup_job job = {
        .ref = reference.text, .image_id = command->image_id, .keys = command->keys};
    dv_ask(cell, DV_ADDRESS_WORKERS, DV_KIND_image_lookup_job, &job,
           s->env->settings->job_timeout_ms * 2, on_authorized, dv_steal(request));
    return 0;
}

static void drop_waiter(struct pull *pull, const char *owner)
{
    struct waiter **at = &pull->waiters;
    struct dv_error gone = DV_ERROR_INIT;
    if (owner[0])
        dv_error_set(&gone, DV_ERR_CANCELED, "container '%s' is gone", owner);
    else
        dv_error_set(&gone, DV_ERR_CANCELED, "image '%s': the pull was canceled", pull->reference);
    while (*at) {
        struct waiter *waiter = *at;
        if (strcmp(waiter->owner, owner) != 0) {
            at = &waiter->next;
            continue;
        }
        *at = waiter->next;
        pull->waiter_count--;
        dv_answer_error(pull->state->cell, &waiter->request, &gone);
        waiter_free(waiter);
    }
}

static int on_released(struct dv_cell *cell,
                       const void *body,
                       struct dv_request **request,
                       struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_image_released *released = body;
    struct pull *next;
    for (struct pull *pull = s->pulls; pull; pull = next) {
        next = pull->next;
        if (pull->is_over)
            continue;
        drop_waiter(pull, released->owner);
        if (!pull->waiters)
            pull_cancel(pull);
    }
    keep_release(s, released->owner);
    keep_expect(s, RELEASED_MS);
    return 0;
}

/* Containers that wait for it keep it going. */
static int on_pull_cancel(struct dv_cell *cell,
                          const void *body,
                          struct dv_request **request,
                          struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_image_pull_cancel *cancel = body;
    struct dv_reference reference;
    int r = dv_reference_parse(dv_str_of(cancel->ref), &reference, err);
    if (r < 0)
        return r;
    struct pull *pull = find_pull(s, reference.text);
    if (!pull)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "image '%s' is not being pulled",
                            reference.text);
    drop_waiter(pull, "");
    if (!pull->waiters)
        pull_cancel(pull);
    if (*request)
        dv_answer_done(cell, request);
    return 0;
}

static int
on_pulls(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    const struct state *s = dv_cell_state(cell);
    DV_AUTO(dv_arena) arena = dv_arena_new(LIST_BYTES);
    struct dv_image_pulls answer = {0};
    if (!*request)
        return 0;
    if (arena)
        answer.pulls.items = dv_arena_array(arena, s->pull_count + 1, sizeof(*answer.pulls.items));
    if (!answer.pulls.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the list of pulls");
    for (struct pull *pull = s->pulls; pull; pull = pull->next) {
        if (pull->is_over)
            continue;
        struct dv_image_pull_note *note = &answer.pulls.items[answer.pulls.count++];
        *note = (struct dv_image_pull_note){.ref = pull->reference,
                                            .phase = (char *)(uintptr_t)pull_phase(pull),
                                            .layers_left = (int64_t)pull->unpacking,
                                            .waiting = pull->waiter_count};
        pull_bytes(pull, &note->bytes, &note->total);
    }
    dv_answer(cell, request, DV_KIND_image_pulls, &answer);
    return 0;
}

/* -- the list ------------------------------------------------------------------------------- */

/* A list in the making: who uses what, then what there is. */
struct listing {
    struct dv_request *request;
    struct dv_arena *arena;
    const struct dv_image_uses *uses;
};

static void free_listing(struct listing *listing)
{
    dv_arena_free(listing->arena);
    free(listing);
}

static void count_users(const struct dv_image_uses *uses, struct dv_image_summary *image)
{
    for (size_t i = 0; i < uses->uses.count; i++) {
        const struct dv_image_use *use = &uses->uses.items[i];
        struct dv_reference ref;
        bool is_same = use->image_id && use->image_id[0]
                           ? image->image_id && strcmp(use->image_id, image->image_id) == 0
                           : dv_reference_parse(dv_str_of(use->ref), &ref, NULL) == 0 &&
                                 strcmp(ref.text, image->ref) == 0;
        if (is_same)
            image->containers += use->containers;
    }
}

static void on_listed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct listing *listing = ctx;
    if (outcome->error) {
        dv_answer_error(cell, &listing->request, outcome->error);
        free_listing(listing);
        return;
    }
    struct dv_image_list list = *(const struct dv_image_list *)outcome->body;
    for (size_t i = 0; i < list.images.count; i++)
        count_users(listing->uses, &list.images.items[i]);
    dv_answer(cell, &listing->request, DV_KIND_image_list, &list);
    free_listing(listing);
}

static void on_list_uses(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    const struct state *s = dv_cell_state(cell);
    struct listing *listing = ctx;
    struct dv_error err = DV_ERROR_INIT;
    void *copy = NULL;
    if (outcome->error)
        err = *outcome->error;
    else
        (void)!dv_copy(&dv_schema_image_uses, outcome->body, listing->arena, &copy, &err);
    if (!copy) {
        dv_answer_error(cell, &listing->request, &err);
        free_listing(listing);
        return;
    }
    listing->uses = copy;
    struct dv_image_list_job job = {};
    dv_ask(cell, DV_ADDRESS_WORKERS, DV_KIND_image_list_job, &job, s->env->settings->job_timeout_ms,
           on_listed, listing);
}

static int
on_list(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    const struct state *s = dv_cell_state(cell);
    if (!*request)
        return 0;
    struct listing *listing = calloc(1, sizeof(*listing));
    if (listing)
        listing->arena = dv_arena_new(LIST_BYTES);
    if (!listing || !listing->arena) {
        free(listing);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the list of images");
    }
    listing->request = dv_steal(request);
    struct dv_image_uses_query query = {};
    dv_ask(cell, DV_ADDRESS_ROSTER, DV_KIND_image_uses_query, &query,
           s->env->settings->command_timeout_ms, on_list_uses, listing);
    return 0;
}

/* -- chores --------------------------------------------------------------------------------- */

static int begin_chore(struct state *s, struct chore **ret, struct dv_error *err)
{
    if (s->chore_count >= DV_CHORES_MAX)
        return dv_error_set(err, DV_ERR_BUSY,
                            "%u removals and loads of images wait already; try again later",
                            s->chore_count);
    *ret = keep_new(s);
    return *ret ? 0 : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a removal of images");
}

static int
on_remove(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_image_remove_cmd *command = body;
    struct dv_reference reference;
    struct chore *chore;
    int r = dv_reference_parse(dv_str_of(command->ref), &reference, err);
    if (r == 0)
        r = begin_chore(s, &chore, err);
    if (r < 0)
        return r;
    chore->texts[0] = chore->job.remove_ref = strdup(reference.text);
    if (!chore->texts[0]) {
        free(chore);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a removal of images");
    }
    chore->request = dv_steal(request);
    keep_add(s, chore);
    return 0;
}

static int
on_prune(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_image_prune_cmd *command = body;
    struct chore *chore;
    int r = begin_chore(s, &chore, err);
    if (r < 0)
        return r;
    chore->job.is_all = command->is_all;
    chore->request = dv_steal(request);
    keep_add(s, chore);
    return 0;
}

static int
on_load(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_image_load_cmd *command = body;
    struct chore *chore;
    int r = begin_chore(s, &chore, err);
    if (r < 0)
        return r;
    chore->is_load = true;
    chore->texts[0] = chore->load.path = strdup(command->path);
    chore->texts[1] = chore->load.name = command->name ? strdup(command->name) : NULL;
    if (!chore->texts[0] || (command->name && !chore->texts[1])) {
        free(chore->texts[0]);
        free(chore);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a load of images");
    }
    chore->request = dv_steal(request);
    keep_add(s, chore);
    return 0;
}

/* -- life ----------------------------------------------------------------------------------- */

static const struct dv_handler handlers[] = {
    {DV_KIND_image_ensure_cmd, on_ensure},       {DV_KIND_image_authorize_cmd, on_authorize},
    {DV_KIND_image_released, on_released},       {DV_KIND_image_pull_cmd, on_pull},
    {DV_KIND_image_pulls_query, on_pulls},       {DV_KIND_image_list_query, on_list},
    {DV_KIND_image_remove_cmd, on_remove},       {DV_KIND_image_prune_cmd, on_prune},
    {DV_KIND_image_load_cmd, on_load},           {DV_KIND_download_progress, pull_on_progress},
    {DV_KIND_image_pull_cancel, on_pull_cancel},
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    (void)err;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    keep_expect(s, FIRST_LOOK_MS);
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    keep_stop(s);
    while (s->pulls)
        pull_free(s->pulls);
}

const struct dv_cell_type dv_image_cell = {
    .name = "image",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
