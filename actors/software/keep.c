/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lasts over a restart of davitd: each accepted operation, in a slot of its own, and how far
 * the one in work is. Both are values in the journal.
 */
#include "actors/software/internal.h"
#include "base/log.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define PROGRESS_NAME "software"
#define VALUE_BYTES   262144U
#define ARENA_BYTES   (8U << 20)
#define REPORT_BYTES  65536U
#define RETRY_MS      1000

static void slot_name(unsigned slot, char name[24])
{
    snprintf(name, 24, PROGRESS_NAME "/%u", slot);
}

static void on_ignored(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (outcome->error && !dv_cell_is_ending(cell))
        dv_log(DV_LOG_ERROR, "software: progress is not kept: %s", outcome->error->text);
}

static void
put(struct software *s, const char *name, const struct dv_buf *value, dv_outcome_fn *fn, void *ctx)
{
    struct dv_store_value body = {.name = (char *)name};
    if (value)
        body.value = (struct dv_bytes){(uint8_t *)value->data, value->len};
    dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_value, &body,
           s->env->settings->command_timeout_ms, fn ? fn : on_ignored, ctx);
}

/* -- out ------------------------------------------------------------------------------------ */

static void fail(struct software *s, const struct dv_error *error, dv_outcome_fn *fn, void *ctx)
{
    struct dv_outcome outcome = {.error = error};
    fn(s->cell, ctx, &outcome);
}

void software_keep_operation(struct software *s, struct operation *operation, dv_outcome_fn *fn)
{
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(VALUE_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    char name[24];
    slot_name(operation->slot, name);
    if (dv_encode(&dv_schema_software_operation, operation->body, &value, &err) < 0)
        fail(s, &err, fn, operation);
    else
        put(s, name, &value, fn, operation);
}

void software_forget_operation(struct software *s, unsigned slot)
{
    char name[24];
    slot_name(slot, name);
    put(s, name, NULL, NULL, NULL);
}

static void fill_parts(const struct software *s, struct dv_software_part *parts)
{
    for (size_t i = 0; i < s->part_count; i++)
        parts[i] = (struct dv_software_part){
            .id = (char *)s->parts[i].id,
            .name = (char *)s->parts[i].name,
            .replaces = s->parts[i].replaces[0] ? (char *)s->parts[i].replaces : NULL,
            .was_running = s->parts[i].was_running,
            .was_paused = s->parts[i].was_paused,
        };
}

static struct dv_texts results_of(const struct software *s, char **texts)
{
    if (!s->results || !s->current)
        return (struct dv_texts){0};
    for (size_t i = 0; i < s->index; i++)
        texts[i] = s->results[i] ? s->results[i] : (char *)"";
    return (struct dv_texts){texts, s->index};
}

/* A report on very many dependencies is not kept. */
static char *kept_text(char *text)
{
    return text && strlen(text) <= REPORT_BYTES ? text : NULL;
}

void software_keep(struct software *s, dv_outcome_fn *fn)
{
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(VALUE_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    struct dv_software_part parts[SOFTWARE_PARTS_MAX];
    struct dv_software_done done[SOFTWARE_DONE_MAX];
    char *texts[DV_SOFTWARE_MODULES_MAX];
    fill_parts(s, parts);
    for (size_t i = 0; i < s->done_count; i++)
        done[i] = (struct dv_software_done){.number = s->done[i]};
    struct dv_software_progress progress = {
        .order = s->current ? s->current->body->order : 0,
        .number = s->current ? s->current->body->number : 0,
        .index = (int64_t)s->index,
        .attempts = s->attempts,
        .stage = s->stage,
        .parts = {parts, s->stage == DV_STAGE_NONE ? 0 : s->part_count},
        .results = results_of(s, texts),
        .last_operation = kept_text(s->last_operation),
        .last_failed = kept_text(s->last_failed),
        .done = {done, s->done_count},
    };
    if (dv_encode(&dv_schema_software_progress, &progress, &value, &err) < 0)
        fail(s, &err, fn ? fn : on_ignored, NULL);
    else
        put(s, PROGRESS_NAME, &value, fn, NULL);
}

void software_note_done(struct software *s, int64_t number)
{
    if (!number || software_is_done(s, number))
        return;
    if (s->done_count == SOFTWARE_DONE_MAX) {
        s->done_count--;
        memmove(s->done, s->done + 1, s->done_count * sizeof(s->done[0]));
    }
    s->done[s->done_count++] = number;
}

bool software_is_done(const struct software *s, int64_t number)
{
    for (size_t i = 0; i < s->done_count; i++)
        if (s->done[i] == number)
            return true;
    return false;
}

/* -- in ------------------------------------------------------------------------------------- */

static void take_operation(struct software *s, unsigned slot, struct dv_bytes value)
{
    struct dv_error err = DV_ERROR_INIT;
    struct operation *operation = calloc(1, sizeof(*operation));
    void *body = NULL;
    if (operation)
        operation->arena = dv_arena_new(ARENA_BYTES);
    if (!operation || !operation->arena)
        dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory");
    else if (dv_decode(&dv_schema_software_operation, value.data, value.len, operation->arena,
                       &body, &err) == 0) {
        operation->body = body;
        operation->slot = slot;
        s->slots[slot] = true;
        software_enqueue(s, operation);
        return;
    }
    dv_log(DV_LOG_ERROR, "software: an operation is left out: %s", err.text);
    if (operation)
        dv_arena_free(operation->arena);
    free(operation);
}

static void take_progress(struct software *s, struct dv_bytes value)
{
    struct dv_error err = DV_ERROR_INIT;
    void *body = NULL;
    s->restored_arena = dv_arena_new(ARENA_BYTES);
    if (!s->restored_arena)
        dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory");
    else if (dv_decode(&dv_schema_software_progress, value.data, value.len, s->restored_arena,
                       &body, &err) == 0) {
        s->restored = body;
        for (size_t i = 0; i < s->restored->done.count; i++)
            software_note_done(s, s->restored->done.items[i].number);
        if (s->restored->last_operation)
            s->last_operation = strdup(s->restored->last_operation);
        if (s->restored->last_failed)
            s->last_failed = strdup(s->restored->last_failed);
        return;
    }
    dv_log(DV_LOG_ERROR, "software: progress is left out: %s", err.text);
}

/* Slots are counted from 1 here; 0 is the progress. */
static void ask_kept(struct software *s, unsigned which);

static void on_kept_again(struct dv_cell *cell, void *ctx)
{
    ask_kept(dv_cell_state(cell), (unsigned)(uintptr_t)ctx);
}

static void on_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct software *s = dv_cell_state(cell);
    unsigned which = (unsigned)(uintptr_t)ctx;
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error) {
        dv_log(DV_LOG_WARN, "software: what is kept of operations, asked again: %s",
               outcome->error->text);
        (void)dv_timer_set(cell, RETRY_MS, on_kept_again, ctx);
        return;
    }
    struct dv_bytes value = ((const struct dv_store_value *)outcome->body)->value;
    if (value.len && which)
        take_operation(s, which - 1, value);
    else if (value.len)
        take_progress(s, value);
    software_arrived(s);
}

static void ask_kept(struct software *s, unsigned which)
{
    char name[24] = PROGRESS_NAME;
    if (which)
        slot_name(which - 1, name);
    struct dv_store_value_query query = {.name = name};
    dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_value_query, &query,
           s->env->settings->command_timeout_ms, on_kept, (void *)(uintptr_t)which);
}

void software_ask_kept(struct software *s)
{
    s->awaited += SOFTWARE_QUEUE_MAX + 1;
    for (unsigned i = 0; i <= SOFTWARE_QUEUE_MAX; i++)
        ask_kept(s, i);
}
