/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/gateway/halt.h"

#include "actors/addresses.h"
#include "actors/gateway/answer.h"
#include "base/arena.h"

#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (64U << 20)

struct halt {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct dv_request *request;
    struct dv_arena *arena;
    struct dv_daemon_halted result;
    int64_t timeout_ms;
    size_t open;
};

/* One container that was asked. */
struct asked {
    struct halt *halt;
    char *name;
    bool was_up;
};

static void halt_free(struct halt *h)
{
    dv_arena_free(h->arena);
    free(h);
}

static void finish(struct halt *h)
{
    if (--h->open)
        return;
    gateway_answer(h->cell, &h->request, &dv_schema_daemon_halted, &h->result);
    halt_free(h);
}

static void on_halted(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct asked *asked = ctx;
    struct halt *h = asked->halt;
    /* A container that was removed meanwhile is down as well. */
    bool is_failed = outcome->error && outcome->error->class != DV_ERR_UNDELIVERABLE;
    char *text =
        is_failed ? dv_arena_printf(h->arena, "%s: %s", asked->name, outcome->error->text) : NULL;
    if (is_failed)
        h->result.failures.items[h->result.failures.count++] = text ? text : asked->name;
    else
        h->result.halted += asked->was_up;
    finish(h);
}

static void ask(struct halt *h, const struct dv_container_record *record, struct asked *asked)
{
    enum dv_status status = record->state->status;
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, record->id);
    struct dv_container_halt_cmd body = {.timeout_ms = h->timeout_ms};
    int64_t timeout_ms = h->timeout_ms ? h->timeout_ms : h->env->settings->stop_timeout_ms;
    *asked = (struct asked){
        .halt = h,
        .name = dv_arena_strdup(h->arena, record->name),
        .was_up = status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED,
    };
    if (!asked->name)
        asked->name = (char *)"a container";
    h->open++;
    /* Two signals, and calls of the runtime before, between and behind them. */
    dv_ask(h->cell, address.text, DV_KIND_container_halt_cmd, &body,
           timeout_ms * 2 + h->env->settings->job_timeout_ms * 4, on_halted, asked);
}

static void on_list(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct halt *h = ctx;
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_list *list = outcome->error ? NULL : outcome->body;
    size_t count = list ? list->containers.count : 0;
    struct asked *asked = dv_arena_array(h->arena, count + 1, sizeof(*asked));
    h->result.failures.items = dv_arena_array(h->arena, count + 1, sizeof(char *));
    if (!list || !asked || !h->result.failures.items) {
        if (list)
            dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory to stop %zu containers", count);
        dv_answer_error(cell, &h->request, list ? &err : outcome->error);
        halt_free(h);
        return;
    }
    h->open = 1; /* until all are asked */
    for (size_t i = 0; i < count; i++)
        ask(h, &list->containers.items[i], &asked[i]);
    finish(h);
}

int gateway_halt(struct dv_cell *cell,
                 const struct dv_actor_env *env,
                 int64_t timeout_ms,
                 struct dv_request **request,
                 struct dv_error *err)
{
    struct halt *h = calloc(1, sizeof(*h));
    if (h)
        h->arena = dv_arena_new(ARENA_MAX);
    if (!h || !h->arena) {
        free(h);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to stop containers");
    }
    h->cell = cell;
    h->env = env;
    h->timeout_ms = timeout_ms;
    h->request = dv_steal(request);
    struct dv_container_list_query query = {0};
    dv_ask(cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
           env->settings->command_timeout_ms, on_list, h);
    return 0;
}
