/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start: create in the runtime, watch the process, connect its network, let it run. The process is
 * watched before it runs, so that no end of it is lost; an end that arrives before the start is
 * reported is kept until RUNNING was said.
 */
#include "actors/container/internal.h"
#include "base/fault.h"
#include "base/log.h"
#include "spec/resources.h"
#include "spec/rules.h"
#include "spec/signals.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static void finish_start(struct container *c)
{
    struct task *task = c->current;
    if (task->answers_create) {
        char value[160];
        snprintf(value, sizeof(value), "\"%s\"", c->record->id);
        task_done(c, value);
    } else {
        task_done(c, NULL);
    }
}

/* A create is over when it is answered. */
static int64_t completed_command(const struct task *task)
{
    return task->answers_create ? 0 : task->sequence;
}

/* STOPPED with the reason in the twin; what the runtime made is taken away. */
static void fail_start(struct container *c, const struct dv_error *cause)
{
    struct task *task = c->current;
    struct dv_error error = *cause;
    dv_error_prefix(&error, "start '%s': ", c->name);
    c->created_pid = 0;
    c->record->start_pending = false;
    struct dv_container_state *state = c->record->state;
    container_move(c, DV_EDGE_START_FAILED);
    state->pid = -1;
    state->finished_ns = dv_clock_wall_ns(dv_cell_clock(c->cell));
    c->record->run_started_ns = 0;
    c->record->run_ended_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell));
    container_set_error(c, error.text);
    dv_ends_add(&c->ends, &(struct dv_container_end){.ran_ms = -1,
                                                     .finished_ns = state->finished_ns,
                                                     .is_failed_start = true});

    container_disconnect(c);
    container_submit_internal(c, container_release, false);
    if (task->is_automatic)
        container_consider_restart(c, true);
    /* A start that failed took no effect, and a create is over when it is answered. */
    container_commit(c, 0, NULL, NULL);
    container_settle_early_exit(c);
    container_publish(c, DV_CHANGE_STATE, error.text);
    if (task->answers_create) {
        dv_log(DV_LOG_WARN, "container '%s' was created but does not run: %s", c->name, error.text);
        finish_start(c);
        return;
    }
    task_failed(c, &error);
}

static void on_committed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error)
        dv_log(DV_LOG_ERROR, "container '%s' runs, but its record could not be stored: %s", c->name,
               outcome->error->text);
    DV_FAULT(START_COMMITTED);
    finish_start(c);
    /* The process may have ended before anybody could know that it ran. */
    container_settle_early_exit(c);
}

static void on_started(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    if (outcome->error) {
        fail_start(c, outcome->error);
        return;
    }
    DV_FAULT(START_STARTED);
    struct dv_container_state *state = c->record->state;
    container_move(c, DV_EDGE_STARTED);
    state->pid = c->created_pid;
    state->started_ns = dv_clock_wall_ns(dv_cell_clock(cell));
    state->exit_code = 0;
    state->is_oom_killed = false;
    container_set_error(c, NULL);
    c->created_pid = 0;
    c->record->run_started_ns = dv_clock_monotonic_ns(dv_cell_clock(cell));
    c->record->run_ended_ns = 0;
    c->record->started_before = true;
    c->record->start_pending = false;
    bool has_new_ports = container_take_ports(c);
    container_publish(c, DV_CHANGE_STATE, NULL);
    if (has_new_ports)
        container_publish(c, DV_CHANGE_CONFIG, NULL);
    container_commit(c, completed_command(task), on_committed, task);
}

static void let_run(struct container *c, struct task *task)
{
    struct dv_runtime_start_job body = {
        .id = c->record->id,
        .timeout_ms = c->settings->job_timeout_ms,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_start_job, &body,
           c->settings->job_timeout_ms * 2, on_started, task);
}

static void on_connected(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct dv_error err = DV_ERROR_INIT;
    if (outcome->error) {
        fail_start(c, outcome->error);
        return;
    }
    const struct dv_network_attached *attached = outcome->body;
    if (container_set_network(c, attached->settings, &err) < 0)
        fail_start(c, &err);
    else
        let_run(c, ctx);
}

static void on_watched(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    DV_FAULT(START_WATCHED);
    if (outcome->error)
        fail_start(c, outcome->error);
    else if (container_has_bridge(c))
        container_connect(c, c->created_pid, on_connected, ctx);
    else
        let_run(c, ctx);
}

static void create_in_runtime(struct container *c, struct task *task);

/* The record takes what the image is made of here. */
static int take_image(struct container *c, const struct dv_image_ready *ready, struct dv_error *err)
{
    struct dv_container_record copy = *c->record;
    copy.image_id = ready->image_id;
    copy.layers = ready->layers;
    copy.is_image_encrypted = ready->is_encrypted;
    /* The answer is borrowed; the copy owns its texts. */
    return container_adopt_record(c, &copy, err);
}

static void on_repaired(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    const struct dv_image_ready *ready = outcome->body;
    struct dv_error err = DV_ERROR_INIT;
    if (outcome->error) {
        err = *outcome->error;
        dv_error_prefix(&err, "its image is damaged and could not be repaired: ");
        fail_start(c, &err);
    } else if (strcmp(ready->image_id, c->record->image_id) != 0) {
        dv_error_set(&err, DV_ERR_CORRUPT,
                     "its image is damaged, and '%s' names another one by now, which a container "
                     "that exists does not take: create it again",
                     c->record->spec->image_ref);
        fail_start(c, &err);
    } else if (take_image(c, ready, &err) < 0) {
        fail_start(c, &err);
    } else {
        dv_log(DV_LOG_WARN, "container '%s': its image is whole again", c->name);
        create_in_runtime(c, ctx);
    }
}

/* What is missing of its image is unpacked again, or fetched, once. */
static bool repair(struct container *c, struct task *task, const struct dv_error *cause)
{
    if (cause->class != DV_ERR_CORRUPT || task->is_repaired || !c->record->image_id)
        return false;
    dv_log(DV_LOG_WARN, "container '%s': %s: its image is repaired", c->name, cause->text);
    task->is_repaired = true;
    container_ask_image(c, on_repaired, task);
    return true;
}

static void on_created(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    if (outcome->error && repair(c, ctx, outcome->error))
        return;
    if (outcome->error) {
        fail_start(c, outcome->error);
        return;
    }
    const struct dv_runtime_created *created = outcome->body;
    DV_FAULT(START_CREATED);
    c->created_pid = created->pid;
    c->start_ticks = created->start_ticks;
    c->stop_signal = SIGTERM;
    if (created->stop_signal)
        (void)dv_signal_parse(created->stop_signal, &c->stop_signal);
    struct dv_exit_watch_cmd body = {
        .id = c->record->id,
        .pid = created->pid,
        .start_ticks = created->start_ticks,
    };
    dv_ask(cell, DV_ADDRESS_EXITS, DV_KIND_exit_watch_cmd, &body, c->settings->command_timeout_ms,
           on_watched, ctx);
}

static void create_in_runtime(struct container *c, struct task *task)
{
    struct dv_runtime_create_job body = {
        .record = c->record,
        .timeout_ms = c->settings->job_timeout_ms,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_create_job, &body,
           c->settings->job_timeout_ms * 2, on_created, task);
}

static void on_image(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct dv_error err = DV_ERROR_INIT;
    if (outcome->error) {
        fail_start(c, outcome->error);
        return;
    }
    if (take_image(c, outcome->body, &err) < 0) {
        fail_start(c, &err);
        return;
    }
    dv_log(DV_LOG_WARN,
           "container '%s' was made by another container manager: its image is here now, but "
           "what it had written outside of its mounts stayed there",
           c->name);
    create_in_runtime(c, ctx);
}

/* A record that davit has not made knows nothing of images here. */
static void fetch_image(struct container *c, struct task *task)
{
    container_ask_image(c, on_image, task);
}

static void on_authorized(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    if (outcome->error)
        fail_start(c, outcome->error);
    else
        create_in_runtime(c, ctx);
}

void container_start(struct container *c, struct task *task)
{
    struct dv_error err = DV_ERROR_INIT;
    if (dv_states_check(c->record->state->status, DV_OPERATION_START, false, c->name, &err) < 0) {
        task_failed(c, &err);
        return;
    }
    container_cancel_restart(c);
    if (task->is_automatic && c->is_boot_start) {
        c->record->restart_count = 0;
    } else if (task->is_automatic) {
        c->record->restart_count++;
    } else {
        c->record->restart_count = 0;
        c->record->restart_wait_ms = 0;
        dv_ends_begin(&c->ends);
        c->record->manually_stopped = false;
    }
    c->is_boot_start = false;
    c->has_early_exit = false;
    /* A create has been asked this already; a record from elsewhere has not. */
    if (dv_spec_check_support(c->record, c->settings->has_ip6, &err) < 0 ||
        dv_resources_check_machine(c->record->spec->resources, c->settings->limits, &err) < 0)
        fail_start(c, &err);
    else if (!c->record->image_id)
        fetch_image(c, task);
    else if (c->record->is_image_encrypted)
        container_ask_authorization(c, on_authorized, task);
    else
        create_in_runtime(c, task);
}
