/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/exits/exits.h"

#include "actors/addresses.h"
#include "actors/env.h"
#include "base/log.h"
#include "runtime/exits.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define OFFER_INTERVAL_MS 500
#define NS_PER_MS         1000000

/* An exit that its container has not taken over yet. */
struct offer {
    struct offer *next;
    struct dv_container_exited exit;
    char id[129];
    unsigned offers;
};

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct dv_exit_source *source;
    struct offer *offers;
    uint64_t timer;
};

static void drain(struct state *s);

static void forget(struct state *s, struct offer *offer)
{
    struct offer **at = &s->offers;
    while (*at != offer)
        at = &(*at)->next;
    *at = offer->next;
    free(offer);
}

static void offer_exit(struct state *s, struct offer *offer);

static void on_again(struct dv_cell *cell, void *ctx)
{
    offer_exit(dv_cell_state(cell), ctx);
}

static void on_taken(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    struct offer *offer = ctx;
    if (dv_cell_is_ending(cell))
        return; /* freed with the state */
    if (outcome->error && offer->offers < DV_EXIT_OFFERS) {
        dv_timer_set(cell, OFFER_INTERVAL_MS, on_again, offer);
        return;
    }
    if (outcome->error)
        dv_log(DV_LOG_WARN,
               "exits: nobody takes the exit of container '%s' (pid %lld, code %lld), dropped: %s",
               offer->id, (long long)offer->exit.pid, (long long)offer->exit.exit_code,
               outcome->error->text);
    s->source->acknowledge(s->source, &offer->exit);
    forget(s, offer);
}

static void offer_exit(struct state *s, struct offer *offer)
{
    offer->offers++;
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, offer->id);
    dv_ask(s->cell, address.text, DV_KIND_container_exited, &offer->exit,
           s->env->settings->command_timeout_ms, on_taken, offer);
}

static void take_exit(struct state *s, const struct dv_container_exited *exit)
{
    struct offer *offer = calloc(1, sizeof(*offer));
    if (!offer) {
        dv_log(DV_LOG_ERROR, "exits: no memory for the exit of container '%s'", exit->id);
        return;
    }
    offer->exit = *exit;
    snprintf(offer->id, sizeof(offer->id), "%s", exit->id);
    offer->exit.id = offer->id;
    offer->next = s->offers;
    s->offers = offer;
    offer_exit(s, offer);
}

static void on_deadline(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->timer = 0;
    drain(s);
}

static void arm(struct state *s)
{
    dv_timer_cancel(s->cell, s->timer);
    s->timer = 0;
    int64_t deadline = s->source->deadline_ns(s->source);
    if (deadline == INT64_MAX)
        return;
    int64_t wait = deadline - dv_clock_monotonic_ns(dv_cell_clock(s->cell));
    s->timer =
        dv_timer_set(s->cell, wait > 0 ? (wait + NS_PER_MS - 1) / NS_PER_MS : 0, on_deadline, NULL);
}

static void drain(struct state *s)
{
    for (;;) {
        DV_AUTO(dv_arena) arena = dv_arena_new(64U << 10);
        if (!arena)
            break;
        struct dv_error err = DV_ERROR_INIT;
        struct dv_container_exited exit = {0};
        int r = s->source->next(s->source, arena, &exit, &err);
        if (r < 0)
            dv_log(DV_LOG_WARN, "exits: %s", err.text);
        if (r <= 0)
            break;
        take_exit(s, &exit);
    }
    arm(s);
}

static void on_readable(struct dv_cell *cell, int fd, short events, void *ctx)
{
    (void)fd;
    (void)events;
    (void)ctx;
    drain(dv_cell_state(cell));
}

static int
on_watch(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    int r = s->source->watch(s->source, body, err);
    if (r < 0)
        return r;
    if (*request)
        dv_answer_done(cell, request);
    arm(s);
    return 0;
}

static int
on_query(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)err;
    struct state *s = dv_cell_state(cell);
    struct dv_exits_note note = {.is_connected = s->source->is_connected(s->source),
                                 .program = (char *)s->source->program(s->source)};
    for (const struct offer *offer = s->offers; offer; offer = offer->next)
        note.offered++;
    if (*request)
        dv_answer(cell, request, DV_KIND_exits_note, &note);
    return 0;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_exit_watch_cmd, on_watch},
    {DV_KIND_exits_query, on_query},
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    int r = s->env->exits_open(s->env->ports, &s->source, err);
    if (r < 0)
        return r;
    r = dv_watch(cell, s->source->fd(s->source), POLLIN, on_readable, NULL, err);
    if (r == 0)
        arm(s);
    return r;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    while (s->offers)
        forget(s, s->offers);
    if (s->source)
        s->source->free(s->source);
}

const struct dv_cell_type dv_exits_cell = {
    .name = "exits",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
