/* SPDX-License-Identifier: Apache-2.0 */
/* The order of work: one task at a time, answered exactly once. */
#include "actors/container/internal.h"
#include "base/log.h"

#include <stdlib.h>

struct task *task_new(task_fn *run)
{
    struct task *task = calloc(1, sizeof(*task));
    if (task) {
        task->run = run;
        task->loaded = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    }
    return task;
}

void task_free(struct task *task)
{
    if (!task)
        return;
    dv_buf_done(&task->loaded);
    free(task->args);
    free(task);
}

static void run_next(struct container *c)
{
    while (!c->current && c->queue) {
        struct task *task = c->queue;
        c->queue = task->next;
        task->next = NULL;
        c->queued--;
        c->current = task;
        task->began_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell));
        task->run(c, task);
    }
}

static void append(struct container *c, struct task *task)
{
    struct task **end = &c->queue;
    while (*end)
        end = &(*end)->next;
    *end = task;
    c->queued++;
    run_next(c);
}

int container_submit(struct container *c, struct task **task, struct dv_error *err)
{
    if (c->queued >= DV_CONTAINER_QUEUE_MAX)
        return dv_error_set(err, DV_ERR_BUSY,
                            "container '%s' has %u commands waiting already; try again later",
                            c->name, c->queued);
    append(c, dv_steal(task));
    return 0;
}

void container_submit_internal(struct container *c, task_fn *run, bool is_automatic)
{
    struct task *task = task_new(run);
    if (!task) {
        dv_log(DV_LOG_ERROR, "container '%s': no memory for internal work", c->name);
        return;
    }
    task->is_automatic = is_automatic;
    append(c, task);
}

/* A create with start is marked in the same way, but somebody waits for it. */
static bool is_restart(const struct task *task)
{
    return task->is_automatic && task->run == container_start;
}

static void finish(struct container *c)
{
    struct task *task = c->current;
    c->current = NULL;
    if (is_restart(task))
        container_give_turn_back(c);
    task_free(task);
    if (c->is_gone)
        dv_cell_end(c->cell);
    else
        run_next(c);
}

void task_done(struct container *c, const char *json_value)
{
    struct task *task = c->current;
    if (task->request) {
        struct dv_command_result result = {.value = (char *)json_value};
        dv_answer(c->cell, &task->request, DV_KIND_command_result, &result);
    }
    finish(c);
}

void task_failed(struct container *c, const struct dv_error *error)
{
    struct task *task = c->current;
    if (task->request)
        dv_answer_error(c->cell, &task->request, error);
    else
        dv_log(DV_LOG_WARN, "container '%s': %s", c->name, error->text);
    finish(c);
}

bool container_has_automatic(const struct container *c)
{
    for (const struct task *task = c->queue; task; task = task->next)
        if (is_restart(task))
            return true;
    return false;
}

bool container_drop_automatic(struct container *c)
{
    bool dropped = false;
    struct task **at = &c->queue;
    while (*at) {
        struct task *task = *at;
        if (!is_restart(task)) {
            at = &task->next;
            continue;
        }
        *at = task->next;
        c->queued--;
        task_free(task);
        dropped = true;
    }
    return dropped;
}

void container_drop_tasks(struct container *c)
{
    struct dv_error gone = DV_ERROR_INIT;
    dv_error_set(&gone, c->is_gone ? DV_ERR_NOT_FOUND : DV_ERR_CANCELED,
                 c->is_gone ? "container '%s' was removed" : "container '%s': davitd is stopping",
                 c->name);
    while (c->queue) {
        struct task *task = c->queue;
        c->queue = task->next;
        if (task->request)
            dv_answer_error(c->cell, &task->request, &gone);
        task_free(task);
    }
    if (c->current) {
        if (c->current->request)
            dv_answer_error(c->cell, &c->current->request, &gone);
        task_free(c->current);
        c->current = NULL;
    }
}
