/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/network/network.h"

#include "actors/env.h"
#include "runtime/network.h"

#define ANSWER_BYTES_MAX (1U << 20)

struct state {
    struct dv_network *network;
};

static int answer_attached(struct dv_cell *cell,
                           struct dv_request **request,
                           struct dv_network_settings *settings)
{
    struct dv_network_attached result = {.settings = settings};
    if (*request)
        dv_answer(cell, request, DV_KIND_network_attached, &result);
    return 0;
}

static int
on_attach(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    DV_AUTO(dv_arena) arena = dv_arena_new(ANSWER_BYTES_MAX);
    struct dv_network_settings settings = {0};
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a network connection");
    int r = s->network->attach(s->network, body, arena, &settings, err);
    return r < 0 ? r : answer_attached(cell, request, &settings);
}

static int
on_check(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    int r = s->network->check(s->network, body, err);
    if (r == 0 && *request)
        dv_answer_done(cell, request);
    return r;
}

static int
on_query(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_network_query *query = body;
    DV_AUTO(dv_arena) arena = dv_arena_new(ANSWER_BYTES_MAX);
    struct dv_network_settings settings = {0};
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a network connection");
    int r = s->network->find(s->network, query->id, arena, &settings, err);
    return r < 0 ? r : answer_attached(cell, request, &settings);
}

static int
on_detach(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_network_detach_cmd *cmd = body;
    int r = s->network->detach(s->network, cmd->id, err);
    if (r == 0 && *request)
        dv_answer_done(cell, request);
    return r;
}

static int on_describe(struct dv_cell *cell,
                       const void *body,
                       struct dv_request **request,
                       struct dv_error *err)
{
    (void)body;
    (void)err;
    struct state *s = dv_cell_state(cell);
    struct dv_network_description result = {.text = (char *)s->network->describe(s->network)};
    if (*request)
        dv_answer(cell, request, DV_KIND_network_description, &result);
    return 0;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_network_attach_cmd, on_attach},       {DV_KIND_network_check_query, on_check},
    {DV_KIND_network_detach_cmd, on_detach},       {DV_KIND_network_query, on_query},
    {DV_KIND_network_describe_query, on_describe},
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    const struct dv_actor_env *env = dv_cell_env(cell);
    struct state *s = dv_cell_state(cell);
    return env->network_open(env->ports, &s->network, err);
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    if (s->network)
        s->network->free(s->network);
}

const struct dv_cell_type dv_network_cell = {
    .name = "network",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .may_block = true,
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
