/* SPDX-License-Identifier: Apache-2.0 */
/* The queue in front of the pool: jobs in order of arrival, each to the first idle worker. */
#include "actors/addresses.h"
#include "actors/env.h"
#include "actors/worker/worker.h"
#include "base/log.h"
#include "messages/catalog.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define WORKERS_MAX     64
#define JOB_DEADLINE_MS (48LL * 3600 * 1000) /* the job's own timeout ends it earlier */

struct job {
    struct job *next;
    struct dv_request *request;
    struct dv_arena *arena; /* of body */
    void *body;
    uint16_t kind;
};

struct state {
    struct dv_cell *cell;
    unsigned workers;
    bool is_busy[WORKERS_MAX];
    struct job *first;
    struct job *last;
    unsigned waiting;
};

struct running {
    struct dv_request *request;
    unsigned worker;
};

static void give_out(struct state *s);

static void on_worker_spawned(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    unsigned worker = (unsigned)(uintptr_t)ctx;
    if (outcome->error) {
        if (outcome->error->class != DV_ERR_CANCELED)
            dv_log(DV_LOG_ERROR, "worker %u does not start: %s", worker, outcome->error->text);
        return;
    }
    s->is_busy[worker] = false;
    give_out(s);
}

static void on_job_over(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    struct running *running = ctx;
    if (running->request) {
        if (outcome->error)
            dv_answer_error(cell, &running->request, outcome->error);
        else
            dv_answer(cell, &running->request, outcome->kind, outcome->body);
    }
    s->is_busy[running->worker] = false;
    free(running);
    if (!dv_cell_is_ending(cell))
        give_out(s);
}

static bool idle_worker(const struct state *s, unsigned *ret)
{
    for (unsigned i = 0; i < s->workers; i++) {
        if (s->is_busy[i])
            continue;
        *ret = i;
        return true;
    }
    return false;
}

static void
run(struct state *s, unsigned worker, struct dv_request *request, uint16_t kind, const void *body)
{
    struct running *running = calloc(1, sizeof(*running));
    if (!running) {
        struct dv_error err = DV_ERROR_INIT;
        dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for a job");
        if (request)
            dv_answer_error(s->cell, &request, &err);
        return;
    }
    running->request = request;
    running->worker = worker;
    s->is_busy[worker] = true;
    char number[16];
    snprintf(number, sizeof(number), "%u", worker);
    struct dv_address address = dv_address_of("worker/", number);
    dv_ask(s->cell, address.text, kind, body, JOB_DEADLINE_MS, on_job_over, running);
}

static void free_job(struct job *job)
{
    dv_arena_free(job->arena);
    free(job);
}

static void give_out(struct state *s)
{
    unsigned worker;
    while (s->first && idle_worker(s, &worker)) {
        struct job *job = s->first;
        s->first = job->next;
        if (!s->first)
            s->last = NULL;
        s->waiting--;
        run(s, worker, job->request, job->kind, job->body);
        free_job(job);
    }
}

static int queue_job(struct state *s,
                     const struct dv_schema *schema,
                     const void *body,
                     struct dv_request **request,
                     struct dv_error *err)
{
    if (s->waiting >= DV_JOBS_MAX)
        return dv_error_set(err, DV_ERR_BUSY, "%u jobs wait already; try again later", s->waiting);
    struct job *job = calloc(1, sizeof(*job));
    int r = 0;
    if (job)
        job->arena = dv_arena_new(8U << 20);
    if (!job || !job->arena)
        r = dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a job");
    else
        r = dv_copy(schema, body, job->arena, &job->body, err);
    if (r < 0) {
        if (job)
            free_job(job);
        return r;
    }
    job->kind = schema->kind;
    job->request = dv_steal(request);
    *(s->last ? &s->last->next : &s->first) = job;
    s->last = job;
    s->waiting++;
    return 0;
}

static int on_job(struct dv_cell *cell,
                  const struct dv_schema *schema,
                  const void *body,
                  struct dv_request **request,
                  struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    unsigned worker;
    if (!s->first && idle_worker(s, &worker)) {
        run(s, worker, dv_steal(request), schema->kind, body);
        return 0;
    }
    return queue_job(s, schema, body, request, err);
}

/* One handler a kind, because a body does not say its kind. */
#define JOB(name)                                                                                  \
    static int on_##name(struct dv_cell *cell, const void *body, struct dv_request **request,      \
                         struct dv_error *err)                                                     \
    {                                                                                              \
        return on_job(cell, &dv_schema_##name, body, request, err);                                \
    }
#include "actors/worker/jobs.def"
#undef JOB

static const struct dv_handler handlers[] = {
#define JOB(name) {DV_KIND_##name, on_##name},
#include "actors/worker/jobs.def"
#undef JOB
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_actor_env *env = dv_cell_env(cell);
    s->cell = cell;
    s->workers = env->settings->workers;
    if (s->workers < 1)
        s->workers = 1;
    if (s->workers > WORKERS_MAX)
        s->workers = WORKERS_MAX;
    for (unsigned i = 0; i < s->workers; i++) {
        s->is_busy[i] = true; /* until it has started */
        char number[16];
        snprintf(number, sizeof(number), "%u", i);
        struct dv_address address = dv_address_of("worker/", number);
        struct dv_worker_start_args args = {.number = i};
        dv_spawn(cell, address.text, "worker", &args, env->settings->job_timeout_ms,
                 on_worker_spawned, (void *)(uintptr_t)i);
    }
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    struct job *next;
    for (struct job *job = s->first; job; job = next) {
        next = job->next;
        free_job(job);
    }
}

const struct dv_cell_type dv_workers_cell = {
    .name = "workers",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
