/* SPDX-License-Identifier: Apache-2.0 */
/* pause, resume, rename: changes of a container that is there. */
#include "actors/container/internal.h"
#include "base/log.h"

#include <string.h>

static void fail(struct container *c, const char *what, const struct dv_error *cause)
{
    struct dv_error error = *cause;
    dv_error_prefix(&error, "%s '%s': ", what, c->name);
    task_failed(c, &error);
}

static void on_stored(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error)
        fail(c, "store the change of", outcome->error);
    else
        task_done(c, NULL);
}

static void on_frozen(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    bool is_resume = task->run == container_resume;
    if (outcome->error) {
        /* It may still happen: a job that is late is done all the same. */
        container_look_later(c, outcome->error);
        fail(c, is_resume ? "resume" : "pause", outcome->error);
        return;
    }
    if (!container_is_up(c)) {
        struct dv_error err = DV_ERROR_INIT;
        dv_error_set(&err, DV_ERR_STATE, "it ended meanwhile");
        fail(c, is_resume ? "resume" : "pause", &err);
        return;
    }
    container_move(c, is_resume ? DV_EDGE_RESUMED : DV_EDGE_PAUSED);
    container_publish(c, DV_CHANGE_STATE, NULL);
    container_commit(c, task->sequence, on_stored, task);
}

static void freeze(struct container *c, struct task *task, enum dv_operation operation)
{
    struct dv_error err = DV_ERROR_INIT;
    if (dv_states_check(c->record->state->status, operation, false, c->name, &err) < 0) {
        task_failed(c, &err);
        return;
    }
    struct dv_runtime_pause_job body = {
        .id = c->record->id,
        .is_resume = operation == DV_OPERATION_RESUME,
        .timeout_ms = c->settings->job_timeout_ms,
    };
    dv_ask(c->cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_pause_job, &body,
           c->settings->job_timeout_ms * 2, on_frozen, task);
}

void container_pause(struct container *c, struct task *task)
{
    freeze(c, task, DV_OPERATION_PAUSE);
}

void container_resume(struct container *c, struct task *task)
{
    freeze(c, task, DV_OPERATION_RESUME);
}

static void on_name_reserved(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    struct dv_error err = DV_ERROR_INIT;
    if (outcome->error) {
        fail(c, "rename", outcome->error);
        return;
    }
    /* The task kept the wanted name in the place of its arguments. */
    if (container_set_name(c, task->args, &err) < 0) {
        fail(c, "rename", &err);
        return;
    }
    container_publish(c, DV_CHANGE_NAME, NULL);
    container_commit(c, task->sequence, on_stored, task);
}

void container_rename(struct container *c, struct task *task)
{
    if (!task->args[0] || strcmp(task->args, c->name) == 0) {
        task_done(c, NULL);
        return;
    }
    struct dv_container_name_cmd body = {.id = c->record->id, .name = task->args};
    dv_ask(c->cell, DV_ADDRESS_ROSTER, DV_KIND_container_name_cmd, &body,
           c->settings->command_timeout_ms, on_name_reserved, task);
}
