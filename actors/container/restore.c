/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A record after a start of the daemon: what the record says against what the machine knows. A
 * container that runs is never touched.
 */
#include "actors/container/internal.h"
#include "base/log.h"
#include "messages/codec.h"

#include <string.h>

static void on_stored(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error)
        task_failed(c, outcome->error);
    else
        task_done(c, NULL);
}

/* The user was promised an end of that container. */
static void go_on_removing(struct container *c)
{
    struct dv_error err = DV_ERROR_INIT;
    struct task *task = task_new(container_remove);
    if (task) {
        task->is_force = true;
        task->timeout_ms = c->settings->stop_timeout_ms;
    }
    if (!task || container_submit(c, &task, &err) < 0)
        dv_log(DV_LOG_ERROR, "container '%s': its remove was interrupted and cannot go on",
               c->name);
    task_free(task);
}

/* What the record still owes. */
static void go_on(struct container *c)
{
    if (c->is_removing) {
        go_on_removing(c);
    } else if (container_is_up(c)) {
        return;
    } else if (c->record->start_pending) {
        container_submit_internal(c, container_start, false);
    } else if (c->restart_timer) {
        return;
    } else if (c->record->restart_due_ns) {
        container_resume_restart(c);
    } else if (dv_restart_at_boot(c->record, !c->same_boot)) {
        c->record->restart_wait_ms = 0;
        c->record->manually_stopped = false;
        c->is_boot_start = !c->same_boot;
        container_ask_turn(c);
    }
}

static bool is_as_loaded(const struct container *c)
{
    const struct dv_buf *loaded = &c->current->loaded;
    DV_AUTO_IN_PLACE(dv_buf) now = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    return loaded->len && dv_encode(&dv_schema_container_record, c->record, &now, NULL) == 0 &&
           now.len == loaded->len && memcmp(now.data, loaded->data, now.len) == 0;
}

/* Tells everybody that the record is as it is now: roster and bridges wait for it. The commit is
 * left out before a remove, whose intent it would take back, and where the store has the same. */
static void finish(struct container *c)
{
    bool is_start_of_daemon = !c->is_restored;
    c->is_restored = true;
    container_publish(c, DV_CHANGE_SNAPSHOT, NULL);
    if (is_start_of_daemon)
        go_on(c);
    bool is_removing = c->is_removing;
    c->is_removing = false;
    if (is_removing || is_as_loaded(c))
        task_done(c, NULL);
    else
        container_commit(c, 0, on_stored, NULL);
}

static void take_network(struct container *c, const struct dv_outcome *outcome)
{
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_network_attached *attached = outcome->body;
    /* It may have ended since it was asked. */
    if (!container_is_up(c))
        ;
    else if (outcome->error)
        dv_log(DV_LOG_WARN, "container '%s' runs, but not in a network: %s; a restart connects it",
               c->name, outcome->error->text);
    else if (container_set_network(c, attached->settings, &err) < 0)
        dv_log(DV_LOG_ERROR, "%s", err.text);
    (void)container_take_ports(c); /* the snapshot shows them */
    finish(c);
}

static void on_connected(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (!dv_cell_is_ending(cell))
        take_network(dv_cell_state(cell), outcome);
}

static void on_network(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    /* Its start came through after it had been given up and its network taken away. */
    if (outcome->error && outcome->error->class == DV_ERR_NOT_FOUND && container_is_up(c))
        container_connect(c, c->record->state->pid, on_connected, NULL);
    else
        take_network(c, outcome);
}

static void on_watched(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error)
        dv_log(DV_LOG_ERROR, "container '%s' runs, but its end will not be seen: %s", c->name,
               outcome->error->text);
    if (container_is_up(c) && container_has_bridge(c))
        container_ask_network(c, on_network, NULL);
    else
        finish(c);
}

static void watch(struct container *c, int64_t start_ticks)
{
    c->start_ticks = start_ticks;
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell));
    /* Time stamps do not help: the wall clock may have been set since. */
    if (c->record->run_started_ns == 0 || c->record->run_started_ns > now_ns)
        c->record->run_started_ns = now_ns;
    c->record->run_ended_ns = 0;
    struct dv_exit_watch_cmd body = {
        .id = c->record->id,
        .pid = c->record->state->pid,
        .start_ticks = start_ticks,
    };
    dv_ask(c->cell, DV_ADDRESS_EXITS, DV_KIND_exit_watch_cmd, &body,
           c->settings->command_timeout_ms, on_watched, NULL);
}

/* It runs: the record follows, whatever it said. */
static void take_running(struct container *c, const struct dv_runtime_state *seen)
{
    struct dv_container_state *state = c->record->state;
    if (state->pid != seen->pid) {
        state->started_ns =
            seen->started_ns ? seen->started_ns : dv_clock_wall_ns(dv_cell_clock(c->cell));
        c->record->run_started_ns = 0;
    }
    container_move(c,
                   seen->status == DV_STATUS_PAUSED ? DV_EDGE_FOUND_PAUSED : DV_EDGE_FOUND_RUNNING);
    state->pid = seen->pid;
    state->exit_code = 0;
    container_set_error(c, NULL);
    c->record->started_before = true;
    c->record->start_pending = false;
    c->record->restart_due_ns = 0;
    watch(c, seen->start_ticks);
}

/* It ended, and nothing of this boot knows how. */
static void take_lost(struct container *c)
{
    struct dv_container_exited exit = {.id = c->record->id, .pid = c->record->state->pid};
    c->record->run_started_ns = 0; /* nor when */
    container_set_ended(c, DV_EDGE_EXITED, &exit);
    if (c->same_boot && !c->is_removing)
        container_consider_restart(c, false);
    container_submit_internal(c, container_release, false);
    finish(c);
}

static void on_state(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    const struct dv_runtime_state *seen = outcome->body;
    if (outcome->error) {
        container_look_later(c, outcome->error);
        container_publish(c, DV_CHANGE_SNAPSHOT, NULL);
        task_done(c, NULL);
        return;
    }
    bool is_running = seen->status == DV_STATUS_RUNNING || seen->status == DV_STATUS_PAUSED;
    if (is_running) {
        take_running(c, seen);
        return;
    }
    bool is_pid_known = c->record->state->pid > 0;
    if (container_is_up(c) && c->same_boot && is_pid_known && seen->status == DV_STATUS_EXITED) {
        /* It ended while no daemon looked. The exit source knows how and tells it like any end;
         * what is left on the machine has no process id any more. */
        watch(c, 0);
        return;
    }
    if (container_is_up(c)) {
        take_lost(c);
        return;
    }
    /* Made by the runtime and never started, or ended and not cleaned up. */
    if (seen->status != DV_STATUS_UNKNOWN) {
        container_disconnect(c);
        container_submit_internal(c, container_release, false);
    }
    finish(c);
}

void container_restore(struct container *c, struct task *task)
{
    (void)task;
    enum dv_status status = c->record->state->status;
    if (status == DV_STATUS_CREATING || status == DV_STATUS_UNKNOWN)
        container_move(c, DV_EDGE_FOUND_NEW);
    if (status == DV_STATUS_DEAD) {
        container_move(c, DV_EDGE_FOUND_REMOVING);
        c->is_removing = true;
    }
    struct dv_runtime_state_query body = {.id = c->record->id};
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_state_query, &body,
           c->settings->job_timeout_ms * 2, on_state, NULL);
}
