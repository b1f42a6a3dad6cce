/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/roster/uses.h"

#include "base/arena.h"
#include "base/log.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define USES_MAX         4096
#define ARENA_BYTES      (64U << 20)
#define RECORD_BYTES_MAX (8U << 20)

struct gathering {
    struct dv_arena *arena;
    struct dv_image_uses uses;
    struct dv_error error; /* the first failure */
};

static struct dv_image_use *find(struct gathering *g, const char *ref, const char *image_id)
{
    for (size_t i = 0; i < g->uses.uses.count; i++) {
        struct dv_image_use *use = &g->uses.uses.items[i];
        if (strcmp(use->ref, ref) == 0 && strcmp(use->image_id ? use->image_id : "", image_id) == 0)
            return use;
    }
    return NULL;
}

static void fail(struct gathering *g, const struct dv_roster_entry *entry, const char *why)
{
    if (g->error.class == DV_ERR_NONE)
        dv_error_set(&g->error, DV_ERR_LIMIT, "images of containers: '%s': %s", entry->id, why);
}

static bool keep(struct gathering *g, const struct dv_container_record *record)
{
    struct dv_image_use *use = &g->uses.uses.items[g->uses.uses.count];
    *use = (struct dv_image_use){
        .ref = dv_arena_strdup(g->arena, record->spec->image_ref ? record->spec->image_ref : ""),
        .image_id = dv_arena_strdup(g->arena, record->image_id ? record->image_id : ""),
        .name = dv_arena_strdup(g->arena, record->name),
        .layers.items = dv_arena_array(g->arena, record->layers.count + 1, sizeof(char *)),
        .containers = 1,
    };
    if (!use->ref || !use->image_id || !use->name || !use->layers.items)
        return false;
    for (size_t i = 0; i < record->layers.count; i++) {
        use->layers.items[i] = dv_arena_strdup(g->arena, record->layers.items[i]);
        if (!use->layers.items[i])
            return false;
        use->layers.count++;
    }
    g->uses.uses.count++;
    return true;
}

static void gather(const struct dv_roster_entry *entry, void *ctx)
{
    struct gathering *g = ctx;
    if (!entry->snapshot_len || g->error.class != DV_ERR_NONE)
        return;
    DV_AUTO(dv_arena) arena = dv_arena_new(RECORD_BYTES_MAX);
    struct dv_error err = DV_ERROR_INIT;
    void *body;
    if (!arena || dv_decode(&dv_schema_container_record, entry->snapshot, entry->snapshot_len,
                            arena, &body, &err) < 0) {
        fail(g, entry, err.text);
        return;
    }
    const struct dv_container_record *record = body;
    struct dv_image_use *use = find(g, record->spec->image_ref ? record->spec->image_ref : "",
                                    record->image_id ? record->image_id : "");
    if (use)
        use->containers++;
    else if (g->uses.uses.count == USES_MAX)
        fail(g, entry, "too many different images");
    else if (!keep(g, record))
        fail(g, entry, "no memory");
    if (!record->image_id)
        return;
    char *id = dv_arena_strdup(g->arena, entry->id);
    if (id)
        g->uses.settled.items[g->uses.settled.count++] = id;
}

int roster_answer_uses(struct dv_cell *cell,
                       const struct dv_roster_table *table,
                       struct dv_request **request,
                       struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_BYTES);
    struct gathering g = {.arena = arena, .error = DV_ERROR_INIT};
    if (arena) {
        g.uses.uses.items = dv_arena_array(arena, USES_MAX, sizeof(struct dv_image_use));
        g.uses.settled.items =
            dv_arena_array(arena, dv_roster_table_count(table) + 1, sizeof(char *));
    }
    if (!g.uses.uses.items || !g.uses.settled.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the images of containers");
    dv_roster_table_each(table, gather, &g);
    if (g.error.class != DV_ERR_NONE) {
        *err = g.error;
        return -(int)g.error.class;
    }
    dv_answer(cell, request, DV_KIND_image_uses, &g.uses);
    return 0;
}
