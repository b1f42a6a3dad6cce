/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/deployment/deployment.h"

#include "actors/addresses.h"
#include "actors/deployment/item.h"
#include "actors/env.h"
#include "base/log.h"
#include "spec/deploy.h"
#include "spec/names.h"
#include "spec/record.h"
#include "spec/resources.h"
#include "spec/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define AT_ONCE          4 /* files in work */
#define ITEM_BYTES_MAX   (16U << 20)
#define UPDATE_BYTES_MAX 4096U
#define NEXT_SUFFIX      ".next"

struct state {
    const struct dv_deployment *deployment;
    size_t next; /* file */
    unsigned in_work;
    size_t failed;
};

static void go_on(struct dv_cell *cell);
static void look(struct dv_cell *cell, struct dv_deployment_item *item);

static const struct dv_deployment *deployment_of(struct dv_cell *cell)
{
    return ((const struct dv_actor_env *)dv_cell_env(cell))->deployment;
}

/* -- the end of an item --------------------------------------------------------------------- */

static void end_item(struct dv_cell *cell, struct dv_deployment_item *item)
{
    struct state *s = dv_cell_state(cell);
    dv_arena_free(item->arena);
    free(item);
    s->in_work--;
    if (!dv_cell_is_ending(cell))
        go_on(cell);
}

bool dv_deployment_is_canceled(struct dv_cell *cell, struct dv_deployment_item *item)
{
    if (!dv_cell_is_ending(cell))
        return false;
    end_item(cell, item);
    return true;
}

void dv_deployment_done(struct dv_cell *cell, struct dv_deployment_item *item, const char *what)
{
    dv_log(DV_LOG_INFO, "deployment: '%s': container '%s' %s", item->file->path, item->wanted->name,
           what);
    end_item(cell, item);
}

void dv_deployment_failed(struct dv_cell *cell,
                          struct dv_deployment_item *item,
                          const char *step,
                          const struct dv_error *error)
{
    struct state *s = dv_cell_state(cell);
    s->failed++;
    dv_log(DV_LOG_ERROR, "deployment: '%s': %s: %s", item->file->path, step, error->text);
    end_item(cell, item);
}

/* -- asking others -------------------------------------------------------------------------- */

void dv_deployment_order(struct dv_cell *cell,
                         struct dv_deployment_item *item,
                         const char *id,
                         const char *operation,
                         const char *args,
                         dv_outcome_fn *fn)
{
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, id);
    struct dv_command command = {
        .feature = address.text,
        .operation = (char *)operation,
        .args = (char *)args,
        .wants_reply = true,
    };
    dv_ask(cell, address.text, DV_KIND_command, &command, DV_DEPLOYMENT_STEP_MS, fn, item);
}

void dv_deployment_create(struct dv_cell *cell,
                          struct dv_deployment_item *item,
                          bool start,
                          dv_outcome_fn *fn)
{
    struct dv_container_create_cmd command = {.record = item->wanted, .start = start};
    dv_ask(cell, DV_ADDRESS_ROSTER, DV_KIND_container_create_cmd, &command, DV_DEPLOYMENT_STEP_MS,
           fn, item);
}

static void
ask_by_name(struct dv_cell *cell, struct dv_deployment_item *item, char *name, dv_outcome_fn *fn)
{
    struct dv_container_list_query query = {.name = name};
    dv_ask(cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query, DV_DEPLOYMENT_STEP_MS, fn,
           item);
}

/* The container of exactly that name in an answer of the roster, which also knows ids and their
 * beginnings. */
static const struct dv_container_record *found_in(const struct dv_outcome *outcome,
                                                  const char *name)
{
    if (outcome->error)
        return NULL;
    const struct dv_container_list *list = outcome->body;
    for (size_t i = 0; i < list->containers.count; i++)
        if (strcmp(list->containers.items[i].name, name) == 0)
            return &list->containers.items[i];
    return NULL;
}

/* -- a container that exists ---------------------------------------------------------------- */

static void ask_snapshot(struct dv_cell *cell, struct dv_deployment_item *item, dv_outcome_fn *fn)
{
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, item->now_id);
    struct dv_container_snapshot_query query;
    dv_ask(cell, address.text, DV_KIND_container_snapshot_query, &query, DV_DEPLOYMENT_STEP_MS, fn,
           item);
}

static void on_checked(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    struct dv_error error = DV_ERROR_INIT;
    if (dv_deployment_is_canceled(cell, item))
        return;
    const struct dv_container_event *event = outcome->body;
    if (!outcome->error && event->record->state->status == DV_STATUS_RUNNING) {
        dv_deployment_done(cell, item, "runs");
        return;
    }
    dv_error_set(&error, DV_ERR_FAILED, "%s", item->problem);
    dv_deployment_failed(cell, item, "start", &error);
}

static void on_running(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (!outcome->error) {
        dv_deployment_done(cell, item, "was started");
        return;
    }
    /* The restart policy may have been faster: then this start was refused. */
    snprintf(item->problem, sizeof(item->problem), "%s", outcome->error->text);
    ask_snapshot(cell, item, on_checked);
}

static void ensure_running(struct dv_cell *cell,
                           struct dv_deployment_item *item,
                           enum dv_status status,
                           const char *what)
{
    if (status == DV_STATUS_RUNNING)
        dv_deployment_done(cell, item, what);
    else
        dv_deployment_order(cell, item, item->now_id,
                            status == DV_STATUS_PAUSED ? "resume" : "start", NULL, on_running);
}

static void on_changed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    const struct dv_container_event *event = outcome->body;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error)
        dv_deployment_failed(cell, item, "look at it", outcome->error);
    else
        ensure_running(cell, item, event->record->state->status, "was changed in place");
}

static void on_updated(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error) {
        dv_deployment_failed(cell, item, "change it", outcome->error);
        return;
    }
    ask_snapshot(cell, item, on_changed);
}

static void update(struct dv_cell *cell, struct dv_deployment_item *item)
{
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(UPDATE_BYTES_MAX);
    struct dv_error err = DV_ERROR_INIT;
    if (dv_deploy_update_args(item->wanted, &args, &err) < 0)
        dv_deployment_failed(cell, item, "change it", &err);
    else
        dv_deployment_order(cell, item, item->now_id, "update", args.data, on_updated);
}

static void
meet(struct dv_cell *cell, struct dv_deployment_item *item, const struct dv_container_record *now)
{
    struct dv_error err = DV_ERROR_INIT;
    enum dv_deploy_difference difference;
    if (!deployment_of(cell)->is_update) {
        dv_deployment_done(cell, item, "exists");
        return;
    }
    if (dv_deploy_compare(now, item->wanted, item->arena, &difference, &err) < 0) {
        dv_deployment_failed(cell, item, "compare", &err);
        return;
    }
    enum dv_status status = now->state->status;
    item->is_up = status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED;
    if (difference == DV_DEPLOY_REPLACE)
        dv_deployment_replace(cell, item);
    else if (difference == DV_DEPLOY_IN_PLACE)
        update(cell, item);
    else
        ensure_running(cell, item, status, "is as described");
}

/* -- what there is -------------------------------------------------------------------------- */

static void on_made(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error)
        dv_deployment_failed(cell, item, "create", outcome->error);
    else
        dv_deployment_done(cell, item, "was created");
}

static void on_rest_renamed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error)
        dv_deployment_failed(cell, item, "finish its replacement", outcome->error);
    else
        look(cell, item);
}

static void on_rest_removed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error)
        dv_deployment_failed(cell, item, "remove a replacement left half done", outcome->error);
    else
        look(cell, item);
}

static void on_now(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    const struct dv_container_record *now = found_in(outcome, item->wanted->name);
    if (outcome->error && outcome->error->class != DV_ERR_NOT_FOUND &&
        outcome->error->class != DV_ERR_INVALID) {
        dv_deployment_failed(cell, item, "ask for it", outcome->error);
        return;
    }
    if (now)
        snprintf(item->now_id, sizeof(item->now_id), "%s", now->id);
    if (item->next_id[0] && now) {
        /* The crash came before the old one went. */
        dv_deployment_order(cell, item, item->next_id, "remove", "true", on_rest_removed);
    } else if (item->next_id[0]) {
        char args[300];
        snprintf(args, sizeof(args), "\"%s\"", item->wanted->name);
        dv_deployment_order(cell, item, item->next_id, "rename", args, on_rest_renamed);
    } else if (now) {
        meet(cell, item, now);
    } else {
        dv_deployment_create(cell, item, true, on_made);
    }
}

static void on_next(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    const struct dv_container_record *next = found_in(outcome, item->next_name);
    snprintf(item->next_id, sizeof(item->next_id), "%s", next ? next->id : "");
    ask_by_name(cell, item, item->wanted->name, on_now);
}

static void look(struct dv_cell *cell, struct dv_deployment_item *item)
{
    ask_by_name(cell, item, item->next_name, on_next);
}

/* -- one file after the other --------------------------------------------------------------- */

static int describe(struct dv_cell *cell, struct dv_deployment_item *item, struct dv_error *err)
{
    const struct dv_deployment_file *file = item->file;
    char id[DV_ID_MADE_SIZE];
    uint64_t high = dv_cell_random(cell);
    dv_id_make(high, dv_cell_random(cell), id);
    int r =
        dv_record_describe(file->bytes, file->len, id, file->name, item->arena, &item->wanted, err);
    const struct dv_actor_env *env = dv_cell_env(cell);
    if (r == 0)
        r = dv_spec_check_support(item->wanted, env->settings->has_ip6, err);
    if (r == 0)
        r = dv_resources_fit_machine(item->wanted->spec->resources, env->settings->limits, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < item->wanted->warnings.count; i++)
        dv_log(DV_LOG_WARN, "deployment: '%s': %s", file->path, item->wanted->warnings.items[i]);
    if (strlen(item->wanted->name) + strlen(NEXT_SUFFIX) > DV_NAME_MAX)
        return dv_error_set(err, DV_ERR_INVALID,
                            "container_name: '%.64s...' is too long for a container that can be "
                            "replaced (at most %zu characters)",
                            item->wanted->name, DV_NAME_MAX - strlen(NEXT_SUFFIX));
    item->next_name = dv_arena_printf(item->arena, "%s" NEXT_SUFFIX, item->wanted->name);
    return item->next_name ? 0 : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory");
}

static void begin(struct dv_cell *cell, const struct dv_deployment_file *file)
{
    struct state *s = dv_cell_state(cell);
    struct dv_error err = DV_ERROR_INIT;
    struct dv_deployment_item *item = calloc(1, sizeof(*item));
    struct dv_arena *arena = dv_arena_new(ITEM_BYTES_MAX);
    if (!item || !arena) {
        free(item);
        dv_arena_free(arena);
        s->failed++;
        dv_log(DV_LOG_ERROR, "deployment: '%s': no memory", file->path);
        return;
    }
    item->file = file;
    item->arena = arena;
    if (describe(cell, item, &err) < 0) {
        s->failed++;
        dv_log(DV_LOG_ERROR, "deployment: '%s' is left out: %s", file->path, err.text);
        dv_arena_free(arena);
        free(item);
        return;
    }
    s->in_work++;
    look(cell, item);
}

static void go_on(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_deployment *deployment = s->deployment;
    while (s->in_work < AT_ONCE && s->next < deployment->count)
        begin(cell, &deployment->files[s->next++]);
    if (s->in_work || s->next < deployment->count)
        return;
    if (deployment->count)
        dv_log(DV_LOG_INFO, "deployment: %zu files, %zu failed", deployment->count, s->failed);
    if (deployment->finish)
        deployment->finish(deployment->ctx);
    dv_cell_end(cell);
}

static void on_all(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell))
        return;
    const struct dv_container_list *list = outcome->body;
    if (outcome->error) {
        dv_log(DV_LOG_ERROR, "deployment: nothing is done, since it is not known what exists: %s",
               outcome->error->text);
        dv_cell_end(cell);
        return;
    }
    if (s->deployment->must_be_bare && list->containers.count) {
        dv_log(DV_LOG_INFO, "deployment: there are containers already, the mode init does nothing");
        s->next = s->deployment->count;
    }
    go_on(cell);
}

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    struct state *s = dv_cell_state(cell);
    s->deployment = deployment_of(cell);
    if (!s->deployment)
        return dv_error_set(err, DV_ERR_INTERNAL, "there is no deployment");
    struct dv_container_list_query query = {0};
    dv_ask(cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query, DV_DEPLOYMENT_STEP_MS,
           on_all, NULL);
    return 0;
}

const struct dv_cell_type dv_deployment_cell = {
    .name = "deployment",
    .state_size = sizeof(struct state),
    .is_service = true,
    .start = start_cell,
};
