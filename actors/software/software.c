/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/software/software.h"

#include "actors/software/internal.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define LIST_RETRY_MS 1000

/* -- operations ----------------------------------------------------------------------------- */

const struct dv_software_module *software_module(const struct software *s)
{
    const struct dv_software_operation *body = s->current ? s->current->body : NULL;
    return body && s->index < body->modules.count ? &body->modules.items[s->index] : NULL;
}

static void go_on(struct software *s)
{
    if (s->current->body->is_remove)
        software_remove(s);
    else
        software_install(s);
}

void software_run(struct software *s)
{
    if (s->current || !s->queue || s->awaited)
        return;
    s->current = s->queue;
    s->queue = s->current->next;
    s->current->next = NULL;
    s->index = 0;
    s->attempts = 0;
    go_on(s);
}

void software_finish_operation(struct software *s)
{
    software_clear_module(s);
    struct operation *over = dv_steal(&s->current);
    s->index = 0;
    software_note_done(s, over->body->number);
    /* In this order: without the operation, what is kept of its progress is harmless. */
    software_forget_operation(s, over->slot);
    software_keep(s, NULL);
    software_free_operation(s, over);
    software_run(s);
}

void software_command(
    struct software *s, const char *id, const char *operation, const char *args, dv_outcome_fn *fn)
{
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, id);
    struct dv_command command = {
        .feature = address.text,
        .operation = (char *)operation,
        .args = (char *)args,
        .wants_reply = true,
    };
    dv_ask(s->cell, address.text, DV_KIND_command, &command, SOFTWARE_DAY_MS, fn, NULL);
}

/* -- start ---------------------------------------------------------------------------------- */

/* Containers that an interrupted module has made are undone, or taken over. */
static void resume(struct software *s)
{
    const struct dv_software_progress *kept = s->restored;
    struct operation **at = &s->queue;
    while (*at && (*at)->body->order != kept->order)
        at = &(*at)->next;
    if (!*at || !kept->order) {
        software_note_done(s, kept->number);
        return;
    }
    s->current = *at;
    *at = s->current->next;
    s->current->next = NULL;
    s->index = (size_t)kept->index;
    s->attempts = (unsigned)kept->attempts + 1;
    s->stage = kept->stage;
    for (size_t i = 0; i < kept->parts.count && i < SOFTWARE_PARTS_MAX; i++) {
        const struct dv_software_part *from = &kept->parts.items[i];
        struct part *part = &s->parts[s->part_count++];
        *part = (struct part){.was_running = from->was_running, .was_paused = from->was_paused};
        snprintf(part->id, sizeof(part->id), "%s", from->id);
        snprintf(part->name, sizeof(part->name), "%s", from->name);
        snprintf(part->replaces, sizeof(part->replaces), "%s",
                 from->replaces ? from->replaces : "");
    }
    dv_log(DV_LOG_INFO, "software: operation '%s' goes on",
           s->current->body->correlation_id ? s->current->body->correlation_id : "");
    if (s->current->body->is_remove) {
        s->is_begun = s->stage == DV_STAGE_MAKING;
        s->stage = DV_STAGE_NONE;
        software_remove(s);
    } else if (s->stage == DV_STAGE_SETTLING) {
        software_settle(s);
    } else if (s->stage == DV_STAGE_MAKING) {
        s->is_again = s->attempts < SOFTWARE_ATTEMPTS_MAX;
        software_undo(s, DV_SOFTWARE_FINISHED_ERROR,
                      "davitd ended each time it was installed; it is given up");
    } else {
        go_on(s);
    }
}

/* Everything that is needed to begin has come. */
static void begin(struct software *s)
{
    for (size_t i = 0; i < s->query_count; i++)
        software_answer_query(s, &s->queries[i]);
    s->query_count = 0;
    if (s->restored)
        resume(s);
    dv_arena_free(s->restored_arena);
    s->restored_arena = NULL;
    s->restored = NULL;
    software_run(s);
}

void software_arrived(struct software *s)
{
    if (--s->awaited == 0)
        begin(s);
}

static void ask_list(struct software *s);

static void on_list_again(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    ask_list(dv_cell_state(cell));
}

static void on_list(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct software *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error) {
        dv_log(DV_LOG_WARN, "software: list of containers, asked again: %s", outcome->error->text);
        (void)dv_timer_set(cell, LIST_RETRY_MS, on_list_again, NULL);
        return;
    }
    if (s->is_list_old) {
        s->is_list_old = false;
        ask_list(s);
        return;
    }
    const struct dv_container_list *list = outcome->body;
    for (size_t i = 0; i < list->containers.count; i++) {
        struct dv_error err = DV_ERROR_INIT;
        if (known_by_id(s->known, list->containers.items[i].id))
            continue; /* from an event, which is newer */
        if (known_put(s->known, &list->containers.items[i], &err) < 0)
            dv_log(DV_LOG_ERROR, "software: %s", err.text);
    }
    software_arrived(s);
}

static void ask_list(struct software *s)
{
    struct dv_container_list_query query = {0};
    dv_ask(s->cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
           s->env->settings->command_timeout_ms, on_list, NULL);
}

/* -- containers ----------------------------------------------------------------------------- */

static int
on_event(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    struct software *s = dv_cell_state(cell);
    const struct dv_container_event *event = body;
    int is_changed = 0;
    if (event->change == DV_CHANGE_REMOVED) {
        is_changed = known_drop(s->known, event->record->id);
        s->is_list_old = s->awaited > 0; /* the list that is on its way may still name it */
    } else {
        is_changed = known_put(s->known, event->record, err);
    }
    if (is_changed < 0)
        return is_changed;
    if (is_changed)
        software_dependencies_changed(s);
    software_watch(s, event->record);
    return 0;
}

/* What was missed is in the list; what the list does not name is gone. */
static void on_list_anew(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct software *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell) || outcome->error)
        return;
    const struct dv_container_list *list = outcome->body;
    struct known_set *fresh = known_new();
    struct dv_error err = DV_ERROR_INIT;
    for (size_t i = 0; fresh && i < list->containers.count; i++)
        if (known_put(fresh, &list->containers.items[i], &err) < 0) {
            known_free(fresh);
            fresh = NULL;
        }
    if (!fresh) {
        dv_log(DV_LOG_ERROR, "software: no memory for the list of containers");
        return;
    }
    known_free(s->known);
    s->known = fresh;
    software_dependencies_changed(s);
    for (size_t i = 0; i < list->containers.count; i++)
        software_watch(s, &list->containers.items[i]);
}

static int
on_missed(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)request;
    (void)err;
    struct software *s = dv_cell_state(cell);
    struct dv_container_list_query query = {0};
    dv_ask(cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
           s->env->settings->command_timeout_ms, on_list_anew, NULL);
    return 0;
}

static int
on_query(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    struct software *s = dv_cell_state(cell);
    if (!*request)
        return 0;
    if (!s->awaited) {
        software_answer_query(s, request);
        return 0;
    }
    if (s->query_count == SOFTWARE_QUERIES_MAX)
        return dv_error_set(err, DV_ERR_BUSY, "containers are being restored; ask again later");
    s->queries[s->query_count++] = dv_steal(request);
    return 0;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_command, software_on_command},
    {DV_KIND_feature_query, on_query},
    {DV_KIND_container_event, on_event},
    {DV_KIND_missed, on_missed},
    {DV_KIND_artifact_progress, software_on_artifact_progress},
    {DV_KIND_image_progress, software_on_image_progress},
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    struct software *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    s->next_order = 1;
    s->known = known_new();
    if (!s->known)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for software");
    dv_subscribe(cell, DV_KIND_container_event);
    s->awaited = 1;
    ask_list(s);
    software_ask_kept(s);
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct software *s = dv_cell_state(cell);
    software_clear_module(s);
    while (s->queue) {
        struct operation *operation = s->queue;
        s->queue = operation->next;
        software_free_operation(s, operation);
    }
    if (s->current)
        software_free_operation(s, s->current);
    known_free(s->known);
    dv_arena_free(s->restored_arena);
    free(s->last_operation);
    free(s->last_failed);
}

const struct dv_cell_type dv_software_cell = {
    .name = "SoftwareUpdatable",
    .state_size = sizeof(struct software),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
