/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/sampler/sampler.h"

#include "actors/addresses.h"
#include "actors/env.h"
#include "actors/sampler/targets.h"
#include "base/arena.h"
#include "base/log.h"
#include "runtime/counters.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS    1000000
#define WAITERS_MAX  64U
#define PAGE_MAX     512U /* about 80 KB */
#define PASS_BYTES   (32U << 20)
#define KEEP_MS_MAX  60000 /* who asks less often gets everything opened anew */
#define KEEP_MS_MORE 5000

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct dv_counter_source *source; /* NULL: nobody asks */
    struct dv_targets targets;
    bool is_listed;      /* the targets are all there are */
    bool is_behind;      /* something about containers was lost */
    int64_t list_number; /* of the list that is on its way; an older answer is late */
    struct dv_request *waiters[WAITERS_MAX]; /* for the list */
    size_t waiter_count;
    int64_t keep_until_ns;
    uint64_t timer;

    /* The newest pass. */
    int64_t pass;
    int64_t pass_wall_ns;
    int64_t cpu_total_ns;
    struct dv_arena *arena;
    struct dv_sample host;
    struct dv_sample *samples;
    size_t sample_count;
};

/* -- a pass --------------------------------------------------------------------------------- */

static struct dv_maybe maybe(bool has, int64_t value)
{
    return (struct dv_maybe){has && value >= 0, has && value >= 0 ? value : 0};
}

static bool fill(struct dv_sample *sample, const struct dv_counters *c)
{
    sample->cpu_ns = maybe(c->has_cpu, c->cpu_ns);
    sample->memory_used = maybe(c->has_memory, c->memory_used);
    sample->memory_total = maybe(c->has_memory, c->memory_total);
    sample->io_read = maybe(c->has_io, c->io_read);
    sample->io_write = maybe(c->has_io, c->io_write);
    sample->net_read = maybe(c->has_net, c->net_read);
    sample->net_write = maybe(c->has_net, c->net_write);
    sample->tasks = maybe(c->has_tasks, c->tasks);
    return c->has_cpu || c->has_memory || c->has_io || c->has_net || c->has_tasks;
}

/* A container that has gone meanwhile is no error: its event is on the way. */
static bool read_target(struct state *s, struct dv_target *target, struct dv_counters *ret)
{
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_counter_target what = {
        .id = target->id,
        .pid = target->pid,
        .is_host_network = target->is_host_network,
        .interface = target->interface,
    };
    int r = target->set ? 0 : s->source->open(s->source, &what, &target->set, &err);
    if (r == 0)
        r = s->source->read(s->source, target->set, ret, &err);
    if (r == 0)
        return true;
    if (target->set)
        s->source->close(s->source, target->set);
    target->set = NULL;
    if (r != -DV_ERR_NOT_FOUND)
        dv_log(DV_LOG_DEBUG, "sampler: container '%s' is left out: %s", target->id, err.text);
    return false;
}

static int make_pass(struct state *s, struct dv_error *err)
{
    struct dv_counter_pass pass = {0};
    dv_arena_free(s->arena);
    s->samples = NULL;
    s->sample_count = 0;
    s->pass++;
    s->arena = dv_arena_new(PASS_BYTES);
    if (s->arena)
        s->samples = dv_arena_array(s->arena, s->targets.count + 1, sizeof(*s->samples));
    if (!s->samples)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to measure %zu containers",
                            s->targets.count);
    int r = s->source->begin(s->source, &pass, err);
    if (r < 0)
        return r;
    s->pass_wall_ns = dv_clock_wall_ns(dv_cell_clock(s->cell));
    s->cpu_total_ns = pass.cpu_total_ns;
    s->host = (struct dv_sample){0};
    (void)fill(&s->host, &pass.host);
    for (size_t i = 0; i < s->targets.count; i++) {
        struct dv_target *target = s->targets.items[i];
        struct dv_sample *sample = &s->samples[s->sample_count];
        struct dv_counters counters = {0};
        if (!target->is_running || !read_target(s, target, &counters) || !fill(sample, &counters))
            continue;
        sample->id = dv_arena_strdup(s->arena, target->id);
        sample->name = dv_arena_strdup(s->arena, target->name);
        sample->pid = target->pid;
        if (!sample->id || !sample->name)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to measure %zu containers",
                                s->targets.count);
        s->sample_count++;
    }
    return 0;
}

static void answer_page(struct state *s, struct dv_request **request, size_t from)
{
    size_t count = from < s->sample_count ? s->sample_count - from : 0;
    if (count > PAGE_MAX)
        count = PAGE_MAX;
    struct dv_samples page = {
        .pass = s->pass,
        .wall_ns = s->pass_wall_ns,
        .cpu_total_ns = s->cpu_total_ns,
        .host = from == 0 ? &s->host : NULL,
        .containers = {s->samples + from, count},
        .more = from + count < s->sample_count,
        .next = (int64_t)(from + count),
    };
    if (*request)
        dv_answer(s->cell, request, DV_KIND_samples, &page);
}

/* -- who runs ------------------------------------------------------------------------------- */

static void close_set(void *ctx, struct dv_counter_set *set)
{
    struct state *s = ctx;
    s->source->close(s->source, set);
}

static void answer_waiters(struct state *s, const struct dv_error *error)
{
    struct dv_error err = DV_ERROR_INIT;
    if (!error && s->waiter_count && make_pass(s, &err) < 0)
        error = &err;
    for (size_t i = 0; i < s->waiter_count; i++) {
        if (error)
            dv_answer_error(s->cell, &s->waiters[i], error);
        else
            answer_page(s, &s->waiters[i], 0);
    }
    s->waiter_count = 0;
}

static void release(struct state *s)
{
    if (!s->source)
        return;
    dv_timer_cancel(s->cell, s->timer);
    s->timer = 0;
    dv_unsubscribe(s->cell, DV_KIND_container_event);
    dv_targets_done(&s->targets);
    s->source->free(s->source);
    s->source = NULL;
    s->is_listed = false;
    s->list_number++;
    dv_arena_free(s->arena);
    s->arena = NULL;
    s->samples = NULL;
    s->sample_count = 0;
}

static void on_list(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell) || !s->source || (int64_t)(intptr_t)ctx != s->list_number)
        return;
    if (outcome->error) {
        dv_log(DV_LOG_WARN, "sampler: list of containers: %s", outcome->error->text);
        answer_waiters(s, outcome->error);
        release(s);
        return;
    }
    s->is_behind = !dv_targets_list(&s->targets, outcome->body);
    s->is_listed = true;
    if (s->is_behind)
        dv_log(DV_LOG_WARN, "sampler: more containers than can be measured, or no memory");
    answer_waiters(s, NULL);
}

static void ask_list(struct state *s)
{
    struct dv_container_list_query query = {0};
    dv_targets_expect(&s->targets);
    s->is_behind = false;
    dv_ask(s->cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
           s->env->settings->command_timeout_ms, on_list, (void *)(intptr_t)++s->list_number);
}

static int
on_event(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    if (s->source)
        s->is_behind |= !dv_targets_event(&s->targets, body);
    return 0;
}

static int
on_missed(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    s->is_behind = true;
    return 0;
}

/* -- queries -------------------------------------------------------------------------------- */

static void on_idle(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->timer = 0;
    release(s);
}

/* Everything is kept until well after the next pass is due. */
static void keep_on(struct state *s, int64_t again_ms)
{
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(s->cell));
    int64_t keep_ms = KEEP_MS_MORE + (again_ms <= KEEP_MS_MAX ? again_ms : 0);
    if (now_ns + keep_ms * NS_PER_MS > s->keep_until_ns)
        s->keep_until_ns = now_ns + keep_ms * NS_PER_MS;
    dv_timer_cancel(s->cell, s->timer);
    s->timer = dv_timer_set(s->cell, (s->keep_until_ns - now_ns) / NS_PER_MS, on_idle, NULL);
}

static int
on_query(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_samples_query *query = body;
    if (query->pass) {
        if (!s->source || query->pass != s->pass || !s->samples)
            return dv_error_set(err, DV_ERR_STATE, "pass %lld is over, %lld was made since",
                                (long long)query->pass, (long long)s->pass);
        answer_page(s, request, (size_t)query->from);
        return 0;
    }
    if (!s->source) {
        int r = s->env->counters_open(s->env->ports, &s->source, err);
        if (r < 0)
            return r;
        dv_subscribe(cell, DV_KIND_container_event);
        ask_list(s);
    } else if (s->is_behind && s->is_listed) {
        s->is_listed = false;
        ask_list(s);
    }
    keep_on(s, query->again_ms);
    if (!s->is_listed) {
        if (s->waiter_count == WAITERS_MAX)
            return dv_error_set(err, DV_ERR_BUSY, "%u wait to be told what containers use",
                                WAITERS_MAX);
        s->waiters[s->waiter_count++] = dv_steal(request);
        return 0;
    }
    int r = make_pass(s, err);
    if (r == 0)
        answer_page(s, request, 0);
    return r;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_samples_query, on_query},
    {DV_KIND_container_event, on_event},
    {DV_KIND_missed, on_missed},
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    (void)err;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    s->targets.close = close_set;
    s->targets.ctx = s;
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    if (s->source) {
        dv_targets_done(&s->targets);
        s->source->free(s->source);
    }
    dv_arena_free(s->arena);
}

const struct dv_cell_type dv_sampler_cell = {
    .name = "sampler",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .may_block = true,
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
