/* SPDX-License-Identifier: Apache-2.0 */
/* remove: stop if forced, DEAD, everything on disk, the record, then the twin's feature. */
#include "actors/container/internal.h"
#include "base/fault.h"
#include "base/log.h"

/* It stays a container like any other; a second remove goes on where this one ended. The record
 * takes the intent back: a restart must not remove what the user was told is still there. */
static void give_up(struct container *c, const struct dv_error *cause)
{
    container_move(c, DV_EDGE_REMOVE_FAILED);
    c->record->state->pid = -1;
    c->record->manually_stopped = true;
    container_set_error(c, cause->text);
    container_publish(c, DV_CHANGE_STATE, NULL);
    container_commit(c, 0, NULL, NULL);
    struct dv_error error = *cause;
    dv_error_prefix(&error, "remove '%s': ", c->name);
    task_failed(c, &error);
}

static void on_forgotten(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    (void)ctx;
    struct container *c = dv_cell_state(cell);
    if (outcome->error) {
        give_up(c, outcome->error);
        return;
    }
    DV_FAULT(REMOVE_FORGOTTEN);
    container_publish(c, DV_CHANGE_REMOVED, NULL);
    struct dv_container_name_cmd gone = {.id = c->record->id};
    dv_post(cell, DV_ADDRESS_ROSTER, DV_KIND_container_name_cmd, &gone);
    struct dv_image_released released = {.owner = c->record->id, .ref = c->record->spec->image_ref};
    dv_post(cell, DV_ADDRESS_IMAGE, DV_KIND_image_released, &released);
    c->is_gone = true;
    task_done(c, NULL);
}

static void on_removed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    if (outcome->error) {
        give_up(c, outcome->error);
        return;
    }
    DV_FAULT(REMOVE_REMOVED);
    struct dv_store_remove body = {.id = c->record->id, .command_sequence = task->sequence};
    dv_ask(cell, DV_ADDRESS_STORE, DV_KIND_store_remove, &body, c->settings->command_timeout_ms,
           on_forgotten, task);
}

static void on_intended(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    if (outcome->error) {
        give_up(c, outcome->error);
        return;
    }
    DV_FAULT(REMOVE_INTENDED);
    container_move(c, DV_EDGE_REMOVING);
    container_publish(c, DV_CHANGE_STATE, NULL);
    struct dv_runtime_remove_job body = {
        .record = c->record,
        .timeout_ms = c->settings->job_timeout_ms,
    };
    dv_ask(cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_remove_job, &body,
           c->settings->job_timeout_ms * 2, on_removed, ctx);
}

void container_remove_stopped(struct container *c, struct task *task)
{
    container_cancel_restart(c);
    /* From here on a crash finishes the remove at the next start instead of half undoing it. */
    struct dv_store_intent body = {
        .id = c->record->id,
        .work = (char *)"remove",
        .command_sequence = task->sequence,
    };
    dv_ask(c->cell, DV_ADDRESS_STORE, DV_KIND_store_intent, &body, c->settings->command_timeout_ms,
           on_intended, task);
}

void container_remove(struct container *c, struct task *task)
{
    struct dv_error err = DV_ERROR_INIT;
    enum dv_operation operation = task->is_force ? DV_OPERATION_REMOVE_FORCE : DV_OPERATION_REMOVE;
    if (dv_states_check(c->record->state->status, operation, false, c->name, &err) < 0) {
        task_failed(c, &err);
        return;
    }
    if (!container_is_up(c)) {
        container_remove_stopped(c, task);
        return;
    }
    task->is_removing = true;
    task->is_force = true;
    container_stop(c, task);
}
