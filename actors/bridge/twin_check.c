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

/* Whether a thing exists is told by nobody else: changes of a missing one are refused in silence.
 */
static void warn_of_silence(const struct dv_twin_check *check)
{
    for (unsigned i = 0; check->answered && i < check->things; i++)
        if (!(check->answered >> i & 1))
            dv_log(
                DV_LOG_WARN,
                "bridge %s: the cloud answers for other things, but not for thing %u of %u: does "
                "it exist there? Its containers may not be shown",
                check->bridge, i + 1, check->things);
}

static void on_time(struct dv_cell *cell, void *ctx)
{
    struct dv_twin_check *check = ctx;
    struct dv_twin_check_cmd question = {.thing = check->asked};
    int64_t next_ms = check->delay_ms;
    check->timer = 0;
    if (check->asked == check->things) {
        warn_of_silence(check);
        return;
    }
    if (dv_publisher_is_complete(check->publisher) && !dv_publisher_depth(check->publisher)) {
        dv_post(cell, check->session, DV_KIND_twin_check_cmd, &question);
        next_ms = check->timeout_ms;
        if (++check->asked == 1 && check->things == 1)
            return;
    }
    check->timer = dv_timer_set(cell, next_ms, on_time, check);
}

/* The next one need not wait for the time that the answer to this one had. */
static void ask_next(struct dv_twin_check *check, int64_t answered)
{
    if (answered + 1 != check->asked || !check->timer)
        return;
    dv_timer_cancel(check->cell, check->timer);
    check->timer = dv_timer_set(check->cell, 0, on_time, check);
}

void dv_twin_check_link(struct dv_twin_check *check, bool is_up, int64_t number)
{
    dv_timer_cancel(check->cell, check->timer);
    check->timer = 0;
    check->link = number;
    check->asked = 0;
    check->answered = 0;
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

static bool is_on(const struct dv_twin_check *check, const char *id, int64_t thing)
{
    return dv_things_of(dv_publisher_things(check->publisher), id) == thing;
}

static void delete_surplus(struct dv_twin_check *check,
                           const struct dv_twin_seen *seen,
                           const struct dv_container_list *list)
{
    size_t len = strlen(DV_CONTAINER_PREFIX);
    for (size_t i = 0; i < seen->features.count; i++) {
        const char *feature = seen->features.items[i];
        if (strncmp(feature, DV_CONTAINER_PREFIX, len) != 0)
            continue;
        const char *id = feature + len;
        bool is_known = is_listed(list, id);
        if (is_known && is_on(check, id, seen->thing))
            continue;
        dv_log(DV_LOG_WARN, "bridge %s: the twin shows %s, which is %s: deleted there",
               check->bridge, feature, is_known ? "on another thing" : "gone");
        dv_publisher_delete_from(check->publisher, id, (unsigned)seen->thing);
    }
}

static void replace_missing(struct dv_twin_check *check,
                            const struct dv_twin_seen *seen,
                            const struct dv_container_list *list)
{
    size_t missing = seen->thing == 0 && !holds(seen, "", DV_ADDRESS_FACTORY);
    for (size_t i = 0; i < list->containers.count; i++) {
        const char *id = list->containers.items[i].id;
        missing += is_on(check, id, seen->thing) && !holds(seen, DV_CONTAINER_PREFIX, id);
    }
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
    if (is_current) {
        check->answered |= UINT64_C(1) << c->seen->thing;
        ask_next(check, c->seen->thing);
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
