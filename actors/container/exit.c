/* SPDX-License-Identifier: Apache-2.0 */
/* The end of the process: the new state, the release of what it used, the restart policy. */
#include "actors/container/internal.h"
#include "base/fault.h"
#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>

#define NS_PER_MS     1000000
#define LOOK_AGAIN_MS 5000
#define TURN_AGAIN_MS 1000
#define TURN_MS       (24LL * 3600 * 1000)

void container_suspend_restart(struct container *c)
{
    if (container_drop_automatic(c))
        container_give_turn_back(c);
    dv_timer_cancel(c->cell, c->restart_timer);
    c->restart_timer = 0;
    c->is_turn_wanted = false;
}

void container_cancel_restart(struct container *c)
{
    container_suspend_restart(c);
    c->record->restart_due_ns = 0;
}

bool container_restart_is_pending(const struct container *c)
{
    return c->restart_timer || c->is_turn_wanted || container_has_automatic(c);
}

static void on_restart_due(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    c->restart_timer = 0;
    container_ask_turn(c);
}

static void on_turn(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    c->is_turn_asked = false;
    if (outcome->error && !c->is_turn_wanted)
        return;
    if (outcome->error) {
        dv_log(DV_LOG_WARN, "container '%s': its restart waits: %s", c->name, outcome->error->text);
        c->is_turn_wanted = false;
        c->restart_timer = dv_timer_set(cell, TURN_AGAIN_MS, on_restart_due, NULL);
        return;
    }
    c->has_turn = true;
    if (!c->is_turn_wanted) {
        container_give_turn_back(c);
        return;
    }
    c->is_turn_wanted = false;
    container_submit_internal(c, container_start, true);
}

void container_ask_turn(struct container *c)
{
    c->is_turn_wanted = true;
    if (c->is_turn_asked)
        return;
    c->is_turn_asked = true;
    struct dv_container_launch_cmd body = {.id = c->record->id};
    dv_ask(c->cell, DV_ADDRESS_ROSTER, DV_KIND_container_launch_cmd, &body, TURN_MS, on_turn, NULL);
}

void container_give_turn_back(struct container *c)
{
    if (!c->has_turn)
        return;
    c->has_turn = false;
    struct dv_container_launched body = {.id = c->record->id};
    dv_post(c->cell, DV_ADDRESS_ROSTER, DV_KIND_container_launched, &body);
}

void container_resume_restart(struct container *c)
{
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell));
    int64_t left_ms = (c->record->restart_due_ns - now_ns) / NS_PER_MS;
    if (left_ms > c->record->restart_wait_ms)
        left_ms = c->record->restart_wait_ms;
    if (left_ms <= 0)
        container_ask_turn(c);
    else
        c->restart_timer = dv_timer_set(c->cell, left_ms, on_restart_due, NULL);
}

struct dv_restart_limits container_restart_limits(const struct container *c)
{
    return (struct dv_restart_limits){
        .first_ms = c->settings->restart_first_ms,
        .max_ms = c->settings->restart_max_ms,
        .stable_ms = c->settings->restart_stable_ms,
    };
}

static bool decide_restart(const struct container *c,
                           bool is_failed_start,
                           int64_t ran_ms,
                           int64_t *ret_wait_ms)
{
    struct dv_restart_limits limits = container_restart_limits(c);
    struct dv_restart_end end = {
        .exit_code = c->record->state->exit_code,
        .ran_ms = ran_ms,
        .restart_count = c->record->restart_count,
        .previous_ms = c->record->restart_wait_ms,
        .manually_stopped = c->record->manually_stopped,
        .is_failed_start = is_failed_start,
    };
    return dv_restart_decide(c->record->spec->restart_policy, &limits, &end, ret_wait_ms);
}

void container_consider_restart(struct container *c, bool is_failed_start)
{
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell));
    int64_t wait_ms;
    if (!decide_restart(c, is_failed_start, is_failed_start ? -1 : c->ran_ms, &wait_ms))
        return;
    c->record->restart_wait_ms = wait_ms;
    wait_ms = dv_restart_spread(wait_ms, dv_cell_random(c->cell));
    c->record->restart_due_ns = now_ns + wait_ms * NS_PER_MS;
    c->restart_timer = dv_timer_set(c->cell, wait_ms, on_restart_due, NULL);
}

void container_reconsider_restart(struct container *c)
{
    bool is_failed_start = c->record->state->status == DV_STATUS_STOPPED;
    int64_t wait_ms;
    if (container_restart_is_pending(c) && !decide_restart(c, is_failed_start, -1, &wait_ms))
        container_cancel_restart(c);
}

/* An end that nobody asked for, and what the policy makes of it. */
static void self_exit(struct container *c, const struct dv_container_exited *exit)
{
    container_set_ended(c, DV_EDGE_EXITED, exit);
    container_consider_restart(c, false);
    char note[96] = "";
    if (c->restart_timer)
        snprintf(
            note, sizeof(note), "restart %lld in %lld ms", (long long)c->record->restart_count + 1,
            (long long)(c->record->restart_due_ns - dv_clock_monotonic_ns(dv_cell_clock(c->cell))) /
                NS_PER_MS);
    container_publish(c, DV_CHANGE_STATE, note[0] ? note : NULL);
    /* Before a restart that comes at once: tasks run in order. */
    container_submit_internal(c, container_release, false);
}

/* The exit record may go only when the end is durable here. */
static void on_exit_committed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct dv_request *request = ctx;
    DV_FAULT(EXIT_COMMITTED);
    if (outcome->error)
        dv_answer_error(cell, &request, outcome->error);
    else
        dv_answer_done(cell, &request);
}

/* The process of the record has ended. */
void container_take_exit(struct container *c, const struct dv_container_exited *exit)
{
    DV_FAULT(EXIT_TAKEN);
    if (c->stop_timer)
        container_stop_finished(c, exit);
    else
        self_exit(c, exit);
}

/* It comes before the start of that process has been reported: the start takes it up, and only then
 * may its record go. */
static void
keep_early(struct container *c, const struct dv_container_exited *exit, struct dv_request **request)
{
    c->has_early_exit = true;
    c->early_exit = *exit;
    c->early_exit.id = c->record->id;
    if (c->early_request)
        dv_answer_done(c->cell, &c->early_request); /* an offer that was repeated */
    c->early_request = dv_steal(request);
}

void container_settle_early_exit(struct container *c)
{
    if (!c->has_early_exit)
        return;
    c->has_early_exit = false;
    if (container_is_up(c) && c->early_exit.pid == c->record->state->pid)
        container_take_exit(c, &c->early_exit);
    struct dv_request *request = dv_steal(&c->early_request);
    container_commit(c, 0, request ? on_exit_committed : NULL, request);
}

int container_on_exited(struct dv_cell *cell,
                        const void *body,
                        struct dv_request **request,
                        struct dv_error *err)
{
    (void)err;
    struct container *c = dv_cell_state(cell);
    const struct dv_container_exited *exit = body;
    bool is_of_record = container_is_up(c) && exit->pid == c->record->state->pid;
    bool is_starting = c->current && c->current->run == container_start;
    if ((c->created_pid && exit->pid == c->created_pid) || (is_of_record && is_starting)) {
        keep_early(c, exit, request);
        return 0;
    }
    if (is_of_record)
        container_take_exit(c, exit);
    if (!*request)
        return 0;
    struct dv_request *kept = dv_steal(request);
    container_commit(c, 0, on_exit_committed, kept);
    return 0;
}

static void on_look(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    c->look_timer = 0;
    container_submit_internal(c, container_restore, false);
}

void container_look_later(struct container *c, const struct dv_error *why)
{
    if (c->look_timer)
        return;
    dv_log(DV_LOG_WARN, "container '%s': what the machine has of it is looked at again in %d s: %s",
           c->name, LOOK_AGAIN_MS / 1000, why->text);
    c->look_timer = dv_timer_set(c->cell, LOOK_AGAIN_MS, on_look, NULL);
}

static void on_released(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error)
        container_look_later(c, outcome->error);
    task_done(c, NULL);
}

void container_release(struct container *c, struct task *task)
{
    if (container_is_up(c)) {
        task_done(c, NULL);
        return;
    }
    struct dv_runtime_release_job body = {
        .id = c->record->id,
        .timeout_ms = c->settings->job_timeout_ms,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_release_job, &body,
           c->settings->job_timeout_ms * 2, on_released, task);
}
