/* SPDX-License-Identifier: Apache-2.0 */
/* What others ask the store: records and intents after a start, open commands, answers, values. */
#include "actors/store/internal.h"
#include "messages/codec.h"

#include <string.h>

#define LOAD_BYTES_MAX (1U << 20)

int store_on_load(struct dv_cell *cell,
                  const void *body,
                  struct dv_request **request,
                  struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    size_t from = (size_t)((const struct dv_store_load_query *)body)->from;
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct dv_store_loaded loaded = {0};
    const struct dv_records *records = dv_store_memory_records(s->memory);
    const struct dv_stored *stored;
    size_t count = 0;
    size_t bytes = 0;
    while ((stored = dv_records_at(records, from + count)) != NULL &&
           (count == 0 || bytes + stored->len <= LOAD_BYTES_MAX)) {
        bytes += stored->len;
        count++;
    }
    size_t intents = 0;
    while (dv_store_memory_intent(s->memory, intents))
        intents++;
    if (arena) {
        loaded.records.items = dv_arena_array(arena, count, sizeof(*loaded.records.items));
        loaded.intents.items = dv_arena_array(arena, intents, sizeof(*loaded.intents.items));
    }
    if (!loaded.records.items || !loaded.intents.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to load records");
    for (size_t i = 0; i < count; i++) {
        stored = dv_records_at(records, from + i);
        void *record;
        if (stored->is_removed)
            continue;
        int r = dv_decode(&dv_schema_container_record, stored->encoded, stored->len, arena, &record,
                          err);
        if (r < 0)
            return r;
        loaded.records.items[loaded.records.count++] = *(struct dv_container_record *)record;
    }
    for (size_t i = 0; i < intents; i++)
        loaded.intents.items[loaded.intents.count++] = *dv_store_memory_intent(s->memory, i);
    loaded.next = (int64_t)(from + count);
    loaded.more = dv_records_at(records, from + count) != NULL;
    s->is_loading = loaded.more;
    if (*request)
        dv_answer(cell, request, DV_KIND_store_loaded, &loaded);
    return 0;
}

/* Collects what one answer has room for. */
struct gather {
    struct state *state;
    struct dv_arena *arena;
    const char *bridge;
    struct dv_open_command *commands;
    struct dv_store_answered *answers;
    size_t count;
    size_t max;
    size_t bytes;
    bool more;
};

static bool has_room(struct gather *g, size_t len)
{
    if (g->count == g->max || (g->count && g->bytes + len > LOAD_BYTES_MAX)) {
        g->more = true;
        return false;
    }
    g->bytes += len;
    return true;
}

static int gather_open(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err)
{
    struct gather *g = ctx;
    if (g->more || entry->kind != DV_KIND_store_command ||
        dv_store_memory_open_after(g->state->memory, entry->sequence - 1) != entry->sequence)
        return 0;
    void *body;
    int r = dv_decode(&dv_schema_store_command, entry->payload, entry->len, g->arena, &body, err);
    if (r < 0)
        return r;
    const struct dv_store_command *command = body;
    if (strcmp(command->bridge, g->bridge) == 0 && has_room(g, entry->len))
        g->commands[g->count++] = (struct dv_open_command){
            .sequence = (int64_t)entry->sequence,
            .raw = command->raw,
            .done_id = (char *)dv_store_memory_done_id(g->state->memory, entry->sequence),
        };
    return 0;
}

static int gather_answer(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err)
{
    struct gather *g = ctx;
    if (g->more || entry->kind != DV_KIND_store_answered ||
        !dv_store_memory_keeps(g->state->memory, entry))
        return 0;
    void *body;
    int r = dv_decode(&dv_schema_store_answered, entry->payload, entry->len, g->arena, &body, err);
    if (r < 0)
        return r;
    struct dv_store_answered *answer = body;
    if (!answer->bridge || strcmp(answer->bridge, g->bridge) != 0 || !has_room(g, entry->len))
        return 0;
    /* The asker goes on behind this number, which must be the entry's own. */
    answer->sequence = (int64_t)entry->sequence;
    g->answers[g->count++] = *answer;
    return 0;
}

#define GATHER_MAX 4096

int store_on_open_query(struct dv_cell *cell,
                        const void *body,
                        struct dv_request **request,
                        struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_store_open_query *query = body;
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct gather g = {.state = s, .arena = arena, .bridge = query->bridge, .max = GATHER_MAX};
    if (arena)
        g.commands = dv_arena_array(arena, g.max, sizeof(*g.commands));
    if (!g.commands)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for open commands");
    int r = dv_journal_each(s->journal, (uint64_t)query->after, gather_open, &g, err);
    if (r < 0)
        return r;
    struct dv_store_open open = {.commands = {g.commands, g.count}, .more = g.more};
    if (*request)
        dv_answer(cell, request, DV_KIND_store_open, &open);
    return 0;
}

int store_on_repeats_query(struct dv_cell *cell,
                           const void *body,
                           struct dv_request **request,
                           struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_store_repeats_query *query = body;
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct gather g = {.state = s, .arena = arena, .bridge = query->bridge, .max = GATHER_MAX};
    if (arena)
        g.answers = dv_arena_array(arena, g.max, sizeof(*g.answers));
    if (!g.answers)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for remembered answers");
    int r = dv_journal_each(s->journal, (uint64_t)query->after, gather_answer, &g, err);
    if (r < 0)
        return r;
    struct dv_store_repeats repeats = {.answers = {g.answers, g.count}, .more = g.more};
    if (*request)
        dv_answer(cell, request, DV_KIND_store_repeats, &repeats);
    return 0;
}

int store_on_gone_query(struct dv_cell *cell,
                        const void *body,
                        struct dv_request **request,
                        struct dv_error *err)
{
    (void)body;
    (void)err;
    struct state *s = dv_cell_state(cell);
    struct dv_store_gone gone = {0};
    gone.ids.items = dv_store_memory_gone(s->memory, &gone.ids.count);
    if (*request)
        dv_answer(cell, request, DV_KIND_store_gone, &gone);
    return 0;
}

int store_on_value_query(struct dv_cell *cell,
                         const void *body,
                         struct dv_request **request,
                         struct dv_error *err)
{
    (void)err;
    const struct state *s = dv_cell_state(cell);
    const struct dv_store_value_query *query = body;
    struct dv_store_value value = {
        .name = query->name,
        .value = dv_store_memory_value(s->memory, query->name),
    };
    if (*request)
        dv_answer(cell, request, DV_KIND_store_value, &value);
    return 0;
}
