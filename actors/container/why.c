/* SPDX-License-Identifier: Apache-2.0 */
/* The answer to "why": the record, the last ends, the task under way, the restart that is pending.
 */
#include "actors/container/internal.h"
#include "spec/record.h"

#include <stdio.h>

#define NS_PER_MS 1000000
#define STEP_MAX  1200

static int64_t ms_until(const struct container *c, int64_t due_ns)
{
    int64_t left_ns = due_ns - dv_clock_monotonic_ns(dv_cell_clock(c->cell));
    return left_ns > 0 ? left_ns / NS_PER_MS : 0;
}

static const char *name_of(const struct task *task)
{
    static const struct {
        task_fn *run;
        const char *name;
    } names[] = {
        {container_create, "create"},   {container_create_again, "create"},
        {container_start, "start"},     {container_stop, "stop"},
        {container_pause, "pause"},     {container_resume, "resume"},
        {container_rename, "rename"},   {container_update, "update"},
        {container_remove, "remove"},   {container_release, "clean up"},
        {container_restore, "look at"}, {container_limit, "limit again"},
    };
    if (task->is_automatic && task->run == container_start)
        return "restart";
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (names[i].run == task->run)
            return names[i].name;
    return "other";
}

static int64_t since_of(const struct dv_container_record *record)
{
    const struct dv_container_state *state = record->state;
    switch (state->status) {
    case DV_STATUS_RUNNING:
    case DV_STATUS_PAUSED:
        return state->started_ns;
    case DV_STATUS_STOPPED:
    case DV_STATUS_EXITED:
        return state->finished_ns;
    case DV_STATUS_CREATED:
        return record->created_ns;
    default:
        return 0;
    }
}

static void describe_task(const struct container *c, struct dv_container_why *why)
{
    const struct task *task = c->current;
    why->waiting = (int64_t)c->queued;
    if (!task)
        return;
    why->doing = (char *)name_of(task);
    why->doing_ms = (dv_clock_monotonic_ns(dv_cell_clock(c->cell)) - task->began_ns) / NS_PER_MS;
    if (c->stop_timer) {
        why->limit_ms = (struct dv_maybe){true, ms_until(c, c->stop_due_ns)};
        why->is_kill_next = task->is_force && !task->is_killing;
    }
}

/* What would follow an end with a failure now; a run that goes on may become a stable one yet. */
static void describe_next(const struct container *c, struct dv_container_why *why)
{
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell));
    struct dv_restart_limits limits = container_restart_limits(c);
    struct dv_restart_end end = {
        .exit_code = 1,
        .ran_ms = c->record->run_started_ns ? (now_ns - c->record->run_started_ns) / NS_PER_MS : -1,
        .restart_count = c->record->restart_count,
        .previous_ms = c->record->restart_wait_ms,
    };
    int64_t wait_ms;
    if (dv_restart_decide(c->record->spec->restart_policy, &limits, &end, &wait_ms))
        why->next_wait_ms = (struct dv_maybe){true, wait_ms};
}

int container_on_why_query(struct dv_cell *cell,
                           const void *body,
                           struct dv_request **request,
                           struct dv_error *err)
{
    (void)body;
    (void)err;
    struct container *c = dv_cell_state(cell);
    const struct dv_container_record *record = c->record;
    struct dv_container_why why = {
        .id = record->id,
        .name = record->name,
        .status = record->state->status,
        .since_ns = since_of(record),
        .for_ms = dv_record_state_ms(record, dv_clock_monotonic_ns(dv_cell_clock(c->cell))),
        .pid = record->state->pid,
        .error = record->state->error,
        .policy = record->spec->restart_policy,
        .restart_count = record->restart_count,
        .pattern = dv_ends_pattern(&c->ends),
        .pattern_count = c->ends.alike,
        .shortest_ms = c->ends.shortest_ms,
        .longest_ms = c->ends.longest_ms,
        .ends = {c->ends.last, c->ends.count},
        .has_log = record->spec->log->type != DV_LOG_TYPE_NONE,
        .warnings = record->warnings,
        .network = record->network,
    };
    char step[STEP_MAX + 1] = "";
    bool is_creating = c->current && c->current->run == container_create && c->progress[0];
    if (is_creating) {
        snprintf(step, sizeof(step), "%s", c->progress);
        why.step = step;
    }
    describe_task(c, &why);
    if (container_is_up(c))
        describe_next(c, &why);
    else if (container_restart_is_pending(c))
        why.restart_in_ms =
            (struct dv_maybe){true, c->restart_timer ? ms_until(c, record->restart_due_ns) : 0};
    else if (!c->current || c->current->run != container_start)
        why.rest = dv_restart_rest(record);
    struct dv_container_record at_boot = *record;
    struct dv_container_state state = *record->state;
    if (container_is_up(c))
        state.exit_code = 255; /* what a power cut makes of it */
    at_boot.state = &state;
    why.is_started_at_boot = dv_restart_at_boot(&at_boot, true);
    dv_answer(cell, request, DV_KIND_container_why, &why);
    return 0;
}
