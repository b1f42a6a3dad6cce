/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/gateway/status.h"

#include "actors/addresses.h"
#include "actors/gateway/answer.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PART_TIMEOUT_MS 2000
#define BRIDGES_MAX     16
#define ARENA_MAX       (64U << 20)
#define NS_PER_S        1000000000LL

/* One status in the making; lives until the last part has answered or timed out. */
struct gathering {
    struct dv_cell *cell;
    struct dv_request *request;
    struct dv_arena *arena;
    struct dv_daemon_status status;
    struct dv_bridge_note bridges[BRIDGES_MAX];
    unsigned open;
};

static void finish(struct gathering *g)
{
    if (--g->open)
        return;
    g->status.bridges.items = g->bridges;
    gateway_answer(g->cell, &g->request, &dv_schema_daemon_status, &g->status);
    dv_arena_free(g->arena);
    free(g);
}

/* A copy of an answer that lives as long as the gathering; NULL if there is none. */
static const void *
keep(struct gathering *g, const struct dv_outcome *outcome, const struct dv_schema *schema)
{
    void *copy;
    if (outcome->error || outcome->kind != schema->kind ||
        dv_copy(schema, outcome->body, g->arena, &copy, NULL) < 0)
        return NULL;
    return copy;
}

static void on_containers(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct gathering *g = ctx;
    const struct dv_container_list *list = outcome->error ? NULL : outcome->body;
    for (size_t i = 0; list && i < list->containers.count; i++) {
        enum dv_status status = list->containers.items[i].state->status;
        g->status.containers++;
        g->status.running += status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED;
    }
    finish(g);
}

static void on_exits(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct gathering *g = ctx;
    const struct dv_exits_note *note = keep(g, outcome, &dv_schema_exits_note);
    if (note) {
        g->status.monitor = note->is_connected;
        g->status.monitor_version = note->program;
        g->status.exits_offered = note->offered;
    }
    finish(g);
}

static void on_runtime(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct gathering *g = ctx;
    const struct dv_runtime_description *description =
        keep(g, outcome, &dv_schema_runtime_description);
    if (description)
        g->status.runtime = description->text;
    finish(g);
}

static void on_bridge(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct gathering *g = ctx;
    const struct dv_bridge_note *note = keep(g, outcome, &dv_schema_bridge_note);
    if (note && g->status.bridges.count < BRIDGES_MAX)
        g->bridges[g->status.bridges.count++] = *note;
    finish(g);
}

static void on_network(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct gathering *g = ctx;
    const struct dv_network_description *description =
        keep(g, outcome, &dv_schema_network_description);
    if (description)
        g->status.network = description->text;
    finish(g);
}

static void on_figures(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)cell;
    struct gathering *g = ctx;
    const struct dv_kit_figures *figures = keep(g, outcome, &dv_schema_kit_figures);
    g->status.figures = (struct dv_kit_figures *)figures;
    finish(g);
}

static void ask(struct gathering *g, const char *to, uint16_t kind, dv_outcome_fn *fn)
{
    /* Queries have no members: any zeroed body encodes as one. */
    static const struct dv_container_list_query query;
    g->open++;
    dv_ask(g->cell, to, kind, &query, PART_TIMEOUT_MS, fn, g);
}

int gateway_status(struct dv_cell *cell,
                   const struct dv_actor_env *env,
                   int64_t started_ns,
                   struct dv_request **request,
                   struct dv_error *err)
{
    struct gathering *g = calloc(1, sizeof(*g));
    if (g)
        g->arena = dv_arena_new(ARENA_MAX);
    if (!g || !g->arena) {
        free(g);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a status");
    }
    g->cell = cell;
    g->request = dv_steal(request);
    g->status.version = (char *)env->settings->version;
    g->status.pid = getpid();
    g->status.uptime_s = (dv_clock_monotonic_ns(dv_cell_clock(cell)) - started_ns) / NS_PER_S;
    g->status.home_dir = (char *)env->home_dir;
    g->open = 1; /* until all asks are out */
    ask(g, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, on_containers);
    ask(g, DV_ADDRESS_EXITS, DV_KIND_exits_query, on_exits);
    ask(g, DV_ADDRESS_WORKERS, DV_KIND_runtime_describe_query, on_runtime);
    ask(g, DV_ADDRESS_NETWORK, DV_KIND_network_describe_query, on_network);
    ask(g, DV_BUS_ADDRESS, DV_KIND_kit_figures_query, on_figures);
    for (const struct dv_bridge_setup *setup = env->bridges; setup->name; setup++) {
        struct dv_address address = dv_address_of("bridge/", setup->name);
        ask(g, address.text, DV_KIND_bridge_query, on_bridge);
    }
    finish(g);
    return 0;
}
