/* SPDX-License-Identifier: Apache-2.0 */
/* create: whether the ports are free, image, then the record, then CREATED; the answer is the id.
 */
#include "actors/container/internal.h"
#include "base/fault.h"
#include "base/log.h"

#include <stdio.h>

/* Nothing of a container that was never committed stays: not its name, not its claim on the image.
 */
static void give_up(struct container *c, const struct dv_error *cause)
{
    struct dv_error error = *cause;
    dv_error_prefix(&error, "create '%s' from %s: ", c->name, c->record->spec->image_ref);
    struct dv_container_name_cmd gone = {.id = c->record->id};
    dv_post(c->cell, DV_ADDRESS_ROSTER, DV_KIND_container_name_cmd, &gone);
    struct dv_image_released released = {.owner = c->record->id, .ref = c->record->spec->image_ref};
    dv_post(c->cell, DV_ADDRESS_IMAGE, DV_KIND_image_released, &released);
    c->is_gone = true;
    task_failed(c, &error);
}

static void finish_create(struct container *c)
{
    /* Ids have no character that JSON would escape. */
    char value[160];
    snprintf(value, sizeof(value), "\"%s\"", c->record->id);
    task_done(c, value);
}

/* create with start: the same request goes on as a start that answers with the id. */
static void go_on(struct container *c, struct task *task)
{
    bool is_start_wanted = task->is_automatic;
    if (!is_start_wanted || c->record->started_before ||
        c->record->state->status != DV_STATUS_CREATED) {
        finish_create(c);
        return;
    }
    task->is_automatic = false;
    task->answers_create = true;
    container_start(c, task);
}

void container_create_again(struct container *c, struct task *task)
{
    go_on(c, task);
}

static void on_committed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    if (outcome->error) {
        /* It may be durable all the same, or become so: the store was late, or its last sync
         * failed.
         */
        struct dv_store_remove forget = {.id = c->record->id};
        dv_post(cell, DV_ADDRESS_STORE, DV_KIND_store_remove, &forget);
        give_up(c, outcome->error);
        return;
    }
    DV_FAULT(CREATE_COMMITTED);
    container_publish(c, DV_CHANGE_CREATED, NULL);
    go_on(c, task);
}

static int take_image(struct container *c,
                      const struct task *task,
                      const struct dv_image_ready *ready,
                      struct dv_error *err)
{
    /* The command is over with the record: a restart in between owes the start. */
    c->record->start_pending = task->is_automatic;
    c->record->image_id = ready->image_id;
    c->record->layers = ready->layers;
    c->record->is_image_encrypted = ready->is_encrypted;
    container_move(c, DV_EDGE_CREATED);
    c->record->state->pid = -1;
    c->record->created_ns = dv_clock_wall_ns(dv_cell_clock(c->cell));
    /* The answer is borrowed; the copy owns its texts. */
    return container_adopt_record(c, c->record, err);
}

static void on_image(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    struct dv_error err = DV_ERROR_INIT;
    if (outcome->error) {
        give_up(c, outcome->error);
        return;
    }
    if (take_image(c, task, outcome->body, &err) < 0) {
        give_up(c, &err);
        return;
    }
    DV_FAULT(CREATE_IMAGE);
    container_commit_created(c, task->sequence, on_committed, task);
}

/* An answer about the ports, and not that there is none. */
static bool is_refusal(const struct dv_error *error)
{
    return error && error->class != DV_ERR_TIMED_OUT && error->class != DV_ERR_UNDELIVERABLE &&
           error->class != DV_ERR_BUSY && error->class != DV_ERR_NO_MEMORY;
}

/* A container that is to start needs its ports now. Another one may wait for who has them to end:
 * that is how one takes the place of another. */
static void on_ports(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct container *c = dv_cell_state(cell);
    struct task *task = ctx;
    bool is_refused = is_refusal(outcome->error);
    if (is_refused && task->is_automatic) {
        give_up(c, outcome->error);
        return;
    }
    if (is_refused)
        dv_log(DV_LOG_INFO, "container '%s': a start would fail now: %s", c->name,
               outcome->error->text);
    container_ask_image(c, on_image, task);
}

void container_create(struct container *c, struct task *task)
{
    /* Before anything is pulled. */
    if (container_has_bridge(c) && c->record->spec->port_mappings.count)
        container_check_ports(c, on_ports, task);
    else
        container_ask_image(c, on_image, task);
}
