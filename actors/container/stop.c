/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stop: a signal now and a timer here; the end arrives as container_exited. SIGKILL goes to all
 * processes, any other signal to init alone.
 */
#include "actors/container/internal.h"
#include "base/fault.h"
#include "base/log.h"

#include <signal.h>
#include <stdio.h>

#define NS_PER_MS 1000000

static void send_signal(struct container *c, struct task *task, int number);

static void fail_stop(struct container *c, const struct dv_error *cause)
{
    if (c->stop_timer)
        dv_timer_cancel(c->cell, c->stop_timer);
    c->stop_timer = 0;
    if (c->current->is_thawed && container_is_up(c)) {
        container_publish(c, DV_CHANGE_STATE, NULL);
        container_commit(c, 0, NULL, NULL);
    }
    struct dv_error error = *cause;
    dv_error_prefix(&error, "%s '%s': ", c->current->is_removing ? "remove" : "stop", c->name);
    task_failed(c, &error);
}

static void on_time_over(struct dv_cell *cell, void *ctx)
{
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    c->stop_timer = 0;
    if (task->is_force && !task->is_killing) {
        send_signal(c, task, SIGKILL);
        return;
    }
    struct dv_error err = DV_ERROR_INIT;
    dv_error_set(&err, DV_ERR_FAILED, "still running %lld s after signal %d; %s",
                 (long long)(task->timeout_ms / 1000), task->is_killing ? SIGKILL : task->signal,
                 task->is_killing ? "a process that SIGKILL does not end waits in the kernel"
                                  : "use force, or a longer timeout");
    fail_stop(c, &err);
}

/* Told only if the stop fails. */
static void note_thawed(struct container *c)
{
    container_move(c, DV_EDGE_RESUMED);
    c->current->is_thawed = true;
}

static void on_signalled(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    DV_FAULT(STOP_SIGNALLED);
    /* The end may have been faster than this answer; then the task is over and the timer gone. */
    if (!c->stop_timer)
        return;
    if (outcome->error)
        fail_stop(c, outcome->error);
    else if (c->current->is_killing && c->record->state->status == DV_STATUS_PAUSED)
        note_thawed(c);
}

static void set_timer(struct container *c, struct task *task, int64_t ms)
{
    c->stop_due_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell)) + ms * NS_PER_MS;
    c->stop_timer = dv_timer_set(c->cell, ms, on_time_over, task);
}

static void send_signal(struct container *c, struct task *task, int number)
{
    task->is_killing = number == SIGKILL;
    set_timer(c, task, task->timeout_ms);
    struct dv_runtime_signal_job body = {
        .id = c->record->id,
        .pid = c->record->state->pid,
        .start_ticks = c->start_ticks,
        .signal = number,
        .to_all = task->is_killing,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_signal_job, &body,
           c->settings->job_timeout_ms, on_signalled, NULL);
}

static void on_thawed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    if (c->record->state->status != DV_STATUS_PAUSED || c->current != task)
        return; /* it ended meanwhile, and the end has finished this task */
    if (outcome->error) {
        /* It may still happen: a job that is late is done all the same. */
        container_look_later(c, outcome->error);
        fail_stop(c, outcome->error);
        return;
    }
    dv_timer_cancel(cell, c->stop_timer);
    note_thawed(c);
    send_signal(c, task, task->signal);
}

/* A frozen process gets no signal: it is thawed first. */
static void thaw(struct container *c, struct task *task)
{
    set_timer(c, task, task->timeout_ms + c->settings->job_timeout_ms);
    struct dv_runtime_pause_job body = {
        .id = c->record->id,
        .is_resume = true,
        .timeout_ms = c->settings->job_timeout_ms,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_pause_job, &body,
           c->settings->job_timeout_ms, on_thawed, task);
}

static void on_committed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error) {
        struct dv_error error = *outcome->error;
        dv_error_prefix(&error,
                        "stop '%s': it is stopped, but the record is not stored: ", c->name);
        task_failed(c, &error);
        return;
    }
    task_done(c, NULL);
}

static void on_released(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    if (outcome->error)
        container_look_later(c, outcome->error);
    DV_FAULT(STOP_RELEASED);
    if (task->is_removing)
        container_remove_stopped(c, task);
    else
        container_commit(c, task->sequence, on_committed, task);
}

void container_stop_finished(struct container *c, const struct dv_container_exited *exit)
{
    struct task *task = c->current;
    DV_FAULT(STOP_ENDED);
    dv_timer_cancel(c->cell, c->stop_timer);
    c->stop_timer = 0;
    if (task->is_removing) {
        /* Its last state is DEAD, which is told with the remove; the rest stays as it was. */
        container_move(c, DV_EDGE_REMOVING);
        container_disconnect(c);
    } else {
        container_set_ended(c, DV_EDGE_STOPPED, exit);
        c->record->manually_stopped = !task->is_halting;
        container_publish(c, DV_CHANGE_STATE, NULL);
    }
    struct dv_runtime_release_job body = {
        .id = c->record->id,
        .timeout_ms = c->settings->job_timeout_ms,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_release_job, &body,
           c->settings->job_timeout_ms * 2, on_released, task);
}

/* It waits for its restart: there is nothing to signal. */
static void stop_waiting(struct container *c, struct task *task)
{
    container_cancel_restart(c);
    container_move(c, DV_EDGE_RESTART_CANCELED);
    c->record->manually_stopped = true;
    container_publish(c, DV_CHANGE_STATE, NULL);
    container_commit(c, task->sequence, on_committed, task);
}

void container_stop(struct container *c, struct task *task)
{
    struct dv_error err = DV_ERROR_INIT;
    if (!task->is_removing && dv_states_check(c->record->state->status, DV_OPERATION_STOP,
                                              container_restart_is_pending(c), c->name, &err) < 0) {
        task_failed(c, &err);
        return;
    }
    if (!task->signal)
        task->signal = c->stop_signal ? c->stop_signal : SIGTERM;
    if (!container_is_up(c))
        stop_waiting(c, task);
    else if (c->record->state->status == DV_STATUS_PAUSED && task->signal != SIGKILL)
        thaw(c, task);
    else
        send_signal(c, task, task->signal);
}

void container_halt(struct container *c, struct task *task)
{
    container_suspend_restart(c);
    task->is_halting = true;
    task->is_force = true;
    if (container_is_up(c))
        container_stop(c, task);
    else
        task_done(c, NULL);
}
