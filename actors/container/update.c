/* SPDX-License-Identifier: Apache-2.0 */
/*
 * update: the description merged with what is given. Limits of a container that is up change first
 * in the kernel, then in the record, so that what a refused update shows is still true. The merge
 * is made again after that: the process may have ended meanwhile, and a record of before would take
 * its end back.
 */
#include "actors/container/internal.h"
#include "base/log.h"
#include "spec/operations.h"
#include "spec/resources.h"

#define RECORD_BYTES_MAX (4U << 20)

static void fail(struct container *c, const struct dv_error *cause)
{
    struct dv_error error = *cause;
    dv_error_prefix(&error, "update '%s': ", c->name);
    task_failed(c, &error);
}

static void on_stored(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error)
        fail(c, outcome->error);
    else
        task_done(c, NULL);
}

static bool is_same_policy(const struct dv_restart_policy *a, const struct dv_restart_policy *b)
{
    return a->type == b->type && a->max_retry_count == b->max_retry_count &&
           a->retry_timeout_ns == b->retry_timeout_ns;
}

static void take(struct container *c,
                 struct task *task,
                 const struct dv_container_record *changed,
                 bool is_changed)
{
    struct dv_error err = DV_ERROR_INIT;
    if (!is_changed) {
        task_done(c, NULL);
        return;
    }
    bool is_policy_new =
        !is_same_policy(c->record->spec->restart_policy, changed->spec->restart_policy);
    if (container_adopt_record(c, changed, &err) < 0) {
        fail(c, &err);
        return;
    }
    if (is_policy_new)
        container_reconsider_restart(c);
    container_publish(c, DV_CHANGE_CONFIG, NULL);
    container_commit(c, task->sequence, on_stored, task);
}

static int merge(struct container *c,
                 const struct task *task,
                 struct dv_arena *arena,
                 struct dv_container_record **ret,
                 bool *ret_changed,
                 struct dv_error *err)
{
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory");
    return dv_spec_update(dv_str_of(task->args), c->record, arena, ret, ret_changed, err);
}

/* -- limits of what runs -------------------------------------------------------------------- */

static int ask_limits(struct container *c,
                      const struct dv_resources *resources,
                      dv_outcome_fn *fn,
                      struct task *task,
                      struct dv_error *err)
{
    struct dv_memory_limits limits;
    int r = dv_resources_bytes(resources, &limits, err);
    if (r < 0)
        return r;
    struct dv_runtime_update_job body = {
        .id = c->record->id,
        .memory = limits.memory,
        .reservation = limits.reservation,
        .swap = limits.swap,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_update_job, &body,
           c->settings->job_timeout_ms * 2, fn, task);
    return 0;
}

static void on_limited_again(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error && container_is_up(c))
        dv_log(DV_LOG_ERROR, "container '%s' may have other limits than its twin shows: %s",
               c->name, outcome->error->text);
    task_done(c, NULL);
}

void container_limit(struct container *c, struct task *task)
{
    struct dv_error err = DV_ERROR_INIT;
    if (!container_is_up(c))
        task_done(c, NULL);
    else if (ask_limits(c, c->record->spec->resources, on_limited_again, task, &err) < 0)
        task_failed(c, &err);
}

static void report_unknown(const struct container *c, const struct dv_container_record *changed)
{
    for (size_t i = c->record->warnings.count; i < changed->warnings.count; i++)
        dv_log(DV_LOG_WARN, "update '%s': %s", c->name, changed->warnings.items[i]);
}

/* What was not answered in time may be done all the same, later. */
static bool is_unclear(const struct dv_error *error)
{
    return error->class == DV_ERR_TIMED_OUT || error->class == DV_ERR_UNAVAILABLE;
}

static void on_limited(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    struct dv_error err = DV_ERROR_INIT;
    /* Of one that has ended meanwhile the next run gets them. */
    if (outcome->error && container_is_up(c)) {
        if (is_unclear(outcome->error))
            container_submit_internal(c, container_limit, false);
        fail(c, outcome->error);
        return;
    }
    DV_AUTO(dv_arena) arena = dv_arena_new(RECORD_BYTES_MAX);
    struct dv_container_record *changed = NULL;
    bool is_changed = false;
    if (merge(c, task, arena, &changed, &is_changed, &err) < 0)
        fail(c, &err);
    else
        take(c, task, changed, is_changed);
}

void container_update(struct container *c, struct task *task)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_arena) arena = dv_arena_new(RECORD_BYTES_MAX);
    struct dv_container_record *changed = NULL;
    bool is_changed = false;
    int r = merge(c, task, arena, &changed, &is_changed, &err);
    if (r < 0) {
        fail(c, &err);
        return;
    }
    report_unknown(c, changed);
    const struct dv_resources *wanted = changed->spec->resources;
    if (dv_resources_are_same(c->record->spec->resources, wanted)) {
        take(c, task, changed, is_changed);
        return;
    }
    r = dv_resources_check_machine(wanted, c->settings->limits, &err);
    if (r == 0 && container_is_up(c))
        r = ask_limits(c, wanted, on_limited, task, &err);
    else if (r == 0)
        take(c, task, changed, is_changed);
    if (r < 0)
        fail(c, &err);
}
