/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/twin_check.h"

#include "actors/addresses.h"
#include "base/log.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (8U << 20)

/* What the other side holds, while the containers are listed. */
struct comparison {
    struct dv_twin_check *check;
    struct dv_arena *arena;
    const struct dv_twin_seen *seen;
};

static void on_time(struct dv_cell *cell, void *ctx)
{
    struct dv_twin_check *check = ctx;
    struct dv_twin_check_cmd question;
    check->timer = 0;
    if (!dv_publisher_is_complete(check->publisher) || dv_publisher_depth(check->publisher))
        check->timer = dv_timer_set(cell, check->delay_ms, on_time, check);
    else
        dv_post(cell, check->session, DV_KIND_twin_check_cmd, &question);
}

void dv_twin_check_link(struct dv_twin_check *check, bool is_up, int64_t number)
{
    dv_timer_cancel(check->cell, check->timer);
    check->timer = 0;
    check->link = number;
    check->is_repaired = false;
    if (is_up && check->delay_ms)
        check->timer = dv_timer_set(check->cell, check->delay_ms, on_time, check);
}

static bool holds(const struct dv_twin_seen *seen, const char *prefix, const char *id)
{
    size_t len = strlen(prefix);
    for (size_t i = 0; i < seen->features.count; i++) {
        const char *feature = seen->features.items[i];
        if (strncmp(feature, prefix, len) == 0 && strcmp(feature + len, id) == 0)
            return true;
    }
    return false;
}

static bool is_listed(const struct dv_container_list *list, const char *id)
{
    for (size_t i = 0; i < list->containers.count; i++)
        if (strcmp(list->containers.items[i].id, id) == 0)
            return true;
    return false;
}

static void delete_surplus(struct dv_twin_check *check,
                           const struct dv_twin_seen *seen,
                           const struct dv_container_list *list)
{
    size_t len = strlen(DV_CONTAINER_PREFIX);
    for (size_t i = 0; i < seen->features.count; i++) {
        const char *feature = seen->features.items[i];
        if (strncmp(feature, DV_CONTAINER_PREFIX, len) != 0 || is_listed(list, feature + len))
            continue;
        dv_log(DV_LOG_WARN, "bridge %s: the twin shows %s, which is gone: deleted there",
               check->bridge, feature);
        dv_publisher_owe_delete(check->publisher, feature + len);
    }
}

static void replace_missing(struct dv_twin_check *check,
                            const struct dv_twin_seen *seen,
                            const struct dv_container_list *list)
{
    size_t missing = !holds(seen, "", DV_ADDRESS_FACTORY);
    for (size_t i = 0; i < list->containers.count; i++)
        missing += !holds(seen, DV_CONTAINER_PREFIX, list->containers.items[i].id);
    if (!missing || check->is_repaired)
        return;
    dv_log(DV_LOG_WARN, "bridge %s: the twin lacks %zu features: all are published again",
           check->bridge, missing);
    check->is_repaired = true;
    dv_publisher_again(check->publisher);
}

static void on_list(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct comparison *c = ctx;
    struct dv_twin_check *check = c->check;
    bool is_current = !dv_cell_is_ending(cell) && c->seen->link == check->link;
    if (is_current && !outcome->error && dv_publisher_is_complete(check->publisher)) {
        delete_surplus(check, c->seen, outcome->body);
        replace_missing(check, c->seen, outcome->body);
        check->changed(cell);
    }
    dv_arena_free(c->arena);
    free(c);
}

void dv_twin_check_seen(struct dv_twin_check *check, const struct dv_twin_seen *seen)
{
    void *copy;
    struct comparison *c = calloc(1, sizeof(*c));
    struct dv_arena *arena = dv_arena_new(ARENA_MAX);
    if (!c || !arena || dv_copy(&dv_schema_twin_seen, seen, arena, &copy, NULL) < 0) {
        dv_arena_free(arena);
        free(c);
        return;
    }
    *c = (struct comparison){check, arena, copy};
    struct dv_container_list_query query = {0};
    dv_ask(check->cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query, check->timeout_ms,
           on_list, c);
}
