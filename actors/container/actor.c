/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/actor.h"

#include "actors/container/internal.h"
#include "base/log.h"
#include "messages/codec.h"
#include "spec/operations.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One row an operation of the feature: how its arguments become a task. */
struct operation {
    const char *name;
    task_fn *run;
    int (*parse)(struct container *c, struct task *task, struct dv_error *err);
};

static dv_handler_fn on_command;
static dv_handler_fn on_create_again;
static dv_handler_fn on_snapshot_query;
static dv_handler_fn on_progress;
static dv_handler_fn on_halt;
static dv_handler_fn on_retry;

static int parse_stop(struct container *c, struct task *task, struct dv_error *err)
{
    (void)err;
    task->timeout_ms = c->settings->stop_timeout_ms;
    task->is_force = true;
    return 0;
}

static int parse_stop_options(struct container *c, struct task *task, struct dv_error *err)
{
    struct dv_stop_options options;
    int r = dv_spec_stop_options(dv_str_of(task->args), &options, err);
    if (r < 0)
        return r;
    if (options.unknown[0])
        dv_log(DV_LOG_WARN, "stopWithOptions '%s': %s", c->name, options.unknown);
    task->signal = options.signal;
    task->is_force = options.is_force;
    task->timeout_ms =
        options.timeout_s > 0 ? options.timeout_s * 1000 : c->settings->stop_timeout_ms;
    return 0;
}

static int parse_remove(struct container *c, struct task *task, struct dv_error *err)
{
    task->timeout_ms = c->settings->stop_timeout_ms;
    return dv_spec_remove(dv_str_of(task->args), &task->is_force, err);
}

static int parse_rename(struct container *c, struct task *task, struct dv_error *err)
{
    (void)c;
    char *name = NULL;
    int r = dv_spec_rename(dv_str_of(task->args), &name, err);
    if (r < 0)
        return r;
    free(task->args);
    task->args = name;
    return 0;
}

static const struct operation operations[] = {
    {"start", container_start, NULL},
    {"stop", container_stop, parse_stop},
    {"stopWithOptions", container_stop, parse_stop_options},
    {"pause", container_pause, NULL},
    {"resume", container_resume, NULL},
    {"rename", container_rename, parse_rename},
    {"update", container_update, NULL},
    {"remove", container_remove, parse_remove},
};

static const struct dv_handler handlers[] = {
    {DV_KIND_command, on_command},
    {DV_KIND_container_create_cmd, on_create_again},
    {DV_KIND_container_exited, container_on_exited},
    {DV_KIND_container_snapshot_query, on_snapshot_query},
    {DV_KIND_container_why_query, container_on_why_query},
    {DV_KIND_image_progress, on_progress},
    {DV_KIND_container_halt_cmd, on_halt},
    {DV_KIND_container_retry_cmd, on_retry},
};

static const struct operation *operation_of(const char *name)
{
    for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        if (strcmp(operations[i].name, name) == 0)
            return &operations[i];
    return NULL;
}

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    const struct dv_container_start_args *args = start;
    const struct dv_actor_env *env = dv_cell_env(cell);
    struct container *c = dv_cell_state(cell);
    c->cell = cell;
    c->settings = env->settings;
    dv_ends_begin(&c->ends);
    /* Of a new one nothing is older than this daemon. */
    c->same_boot = args->is_new || args->same_boot;
    c->is_restored = args->is_new;
    c->is_removing = args->is_removing;
    int r = container_adopt_record(c, args->record, err);
    if (r < 0)
        return r;
    c->record->network = NULL; /* as told by the actor of that, not by a record */
    if (!args->is_new)
        container_note_last_end(c);
    if (!c->same_boot) {
        /* Of a clock that begins anew. */
        c->record->restart_due_ns = 0;
        c->record->restart_wait_ms = 0;
        c->record->run_started_ns = 0;
        c->record->run_ended_ns = 0;
    }
    struct task *task = task_new(args->is_new ? container_create : container_restore);
    if (!task)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for container '%s'", c->name);
    task->is_automatic = args->start; /* create: goes on with a start */
    task->sequence = args->command_sequence;
    /* Without it the record counts as changed. */
    if (!args->is_new &&
        dv_encode(&dv_schema_container_record, args->record, &task->loaded, NULL) < 0)
        dv_buf_clear(&task->loaded);
    if (args->reply_to)
        task->request =
            dv_request_adopt(cell, args->reply_to, args->correlation, args->deadline_ns);
    r = container_submit(c, &task, err);
    task_free(task);
    return r;
}

static void stop_cell(struct dv_cell *cell)
{
    struct container *c = dv_cell_state(cell);
    container_drop_tasks(c);
    dv_arena_free(c->arena);
    dv_arena_free(c->network_arena);
    free(c->name);
    free(c->error_text);
}

const struct dv_cell_type dv_container_cell = {
    .name = "container",
    .state_size = sizeof(struct container),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .start_kind = DV_KIND_container_start_args,
    .start = start_cell,
    .stop = stop_cell,
};

/* From the roster: the create that made this container was taken before the last start of davitd
 * and is not answered. */
static int on_create_again(struct dv_cell *cell,
                           const void *body,
                           struct dv_request **request,
                           struct dv_error *err)
{
    (void)request;
    struct container *c = dv_cell_state(cell);
    const struct dv_container_create_cmd *command = body;
    struct task *task = task_new(container_create_again);
    if (!task)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for container '%s'", c->name);
    task->is_automatic = command->start;
    task->sequence = command->command_sequence;
    if (command->reply_to)
        task->request =
            dv_request_adopt(cell, command->reply_to, command->correlation, command->deadline_ns);
    int r = container_submit(c, &task, err);
    if (r < 0 && task->request)
        dv_answer_error(cell, &task->request, err);
    task_free(task);
    return 0;
}

static int on_command(struct dv_cell *cell,
                      const void *body,
                      struct dv_request **request,
                      struct dv_error *err)
{
    struct container *c = dv_cell_state(cell);
    const struct dv_command *command = body;
    const struct operation *operation = operation_of(command->operation);
    if (!operation)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "feature '%s' has no operation '%s'",
                            command->feature, command->operation);
    struct task *task = task_new(operation->run);
    if (task)
        task->args = strdup(command->args ? command->args : "");
    if (!task || !task->args) {
        task_free(task);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a command to '%s'", c->name);
    }
    task->sequence = command->sequence;
    int r = operation->parse ? operation->parse(c, task, err) : 0;
    if (r == 0) {
        task->request = *request;
        r = container_submit(c, &task, err);
        if (r == 0)
            *request = NULL;
    }
    task_free(task);
    return r;
}

static int on_snapshot_query(struct dv_cell *cell,
                             const void *body,
                             struct dv_request **request,
                             struct dv_error *err)
{
    (void)body;
    (void)err;
    struct container *c = dv_cell_state(cell);
    struct dv_container_event event = {.change = DV_CHANGE_SNAPSHOT, .record = c->record};
    dv_answer(cell, request, DV_KIND_container_event, &event);
    return 0;
}

static int on_progress(struct dv_cell *cell,
                       const void *body,
                       struct dv_request **request,
                       struct dv_error *err)
{
    (void)request;
    (void)err;
    struct container *c = dv_cell_state(cell);
    const struct dv_image_progress *progress = body;
    snprintf(c->progress, sizeof(c->progress), "%s %s, %lld of %lld bytes", progress->phase,
             progress->ref, (long long)progress->bytes, (long long)progress->total);
    dv_log(DV_LOG_DEBUG, "container '%s': %s", c->name, c->progress);
    if (c->record->module_name) {
        struct dv_image_progress copy = *progress;
        copy.owner = c->record->id;
        dv_post(cell, DV_ADDRESS_SOFTWARE, DV_KIND_image_progress, &copy);
    }
    return 0;
}

static int
on_retry(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)err;
    struct container *c = dv_cell_state(cell);
    if (!container_is_up(c) && !c->restart_timer && !container_has_automatic(c)) {
        container_consider_restart(c, true);
        container_commit(c, 0, NULL, NULL);
    }
    if (*request)
        dv_answer_done(cell, request);
    return 0;
}

static int
on_halt(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    struct container *c = dv_cell_state(cell);
    const struct dv_container_halt_cmd *command = body;
    struct task *task = task_new(container_halt);
    if (!task)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a command to '%s'", c->name);
    task->timeout_ms = command->timeout_ms ? command->timeout_ms : c->settings->stop_timeout_ms;
    task->request = *request;
    int r = container_submit(c, &task, err);
    if (r == 0)
        *request = NULL;
    task_free(task);
    return r;
}
