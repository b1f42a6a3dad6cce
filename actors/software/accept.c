/* SPDX-License-Identifier: Apache-2.0 */
/* Commands: read, kept, answered, queued by weight. */
#include "actors/software/internal.h"
#include "base/log.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define OPERATION_BYTES (8U << 20)

void software_free_operation(struct software *s, struct operation *operation)
{
    if (!operation)
        return;
    s->slots[operation->slot] = false;
    dv_arena_free(operation->arena);
    free(operation);
}

/* The heaviest first, in the order of acceptance. */
void software_enqueue(struct software *s, struct operation *operation)
{
    struct operation **at = &s->queue;
    const struct dv_software_operation *body = operation->body;
    while (*at && ((*at)->body->weight > body->weight ||
                   ((*at)->body->weight == body->weight && (*at)->body->order < body->order)))
        at = &(*at)->next;
    operation->next = *at;
    *at = operation;
    if (body->order >= s->next_order)
        s->next_order = body->order + 1;
}

static bool is_queued(const struct software *s, int64_t number)
{
    if (s->current && s->current->body->number == number)
        return true;
    for (const struct operation *at = s->queue; at; at = at->next)
        if (at->body->number == number)
            return true;
    return false;
}

static int find_slot(const struct software *s, unsigned *ret, struct dv_error *err)
{
    for (unsigned i = 0; i < SOFTWARE_QUEUE_MAX; i++) {
        if (s->slots[i])
            continue;
        *ret = i;
        return 0;
    }
    return dv_error_set(err, DV_ERR_BUSY,
                        "%d operations wait or run, the limit; send it again later",
                        SOFTWARE_QUEUE_MAX);
}

static int
read_command(const struct dv_command *command, struct operation *operation, struct dv_error *err)
{
    struct dv_str args = dv_str_of(command->args ? command->args : "");
    struct dv_software_operation *body = operation->body;
    struct dv_spec_notes notes = {.count = 0};
    int r = strcmp(command->operation, "remove") == 0
                ? dv_software_remove(args, operation->arena, body, &notes, err)
                : dv_software_install(args, operation->arena, body, &notes, err);
    for (size_t i = 0; i < notes.count; i++)
        dv_log(DV_LOG_WARN, "software: %s '%.128s': %s", command->operation,
               body->correlation_id ? body->correlation_id : "", notes.texts[i]);
    return r;
}

static struct operation *new_operation(void)
{
    struct operation *operation = calloc(1, sizeof(*operation));
    if (!operation)
        return NULL;
    operation->arena = dv_arena_new(OPERATION_BYTES);
    if (operation->arena)
        operation->body = dv_arena_alloc(operation->arena, sizeof(*operation->body));
    if (operation->body)
        return operation;
    dv_arena_free(operation->arena);
    free(operation);
    return NULL;
}

static void answer(struct software *s, struct dv_request **request)
{
    struct dv_command_result none = {0};
    if (*request)
        dv_answer(s->cell, request, DV_KIND_command_result, &none);
}

static void on_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct software *s = dv_cell_state(cell);
    struct operation *operation = ctx;
    if (outcome->error) {
        struct dv_error error = *outcome->error;
        dv_error_prefix(&error, "the operation cannot be kept: ");
        if (operation->request)
            dv_answer_error(cell, &operation->request, &error);
        software_free_operation(s, operation);
        return;
    }
    answer(s, &operation->request);
    software_enqueue(s, operation);
    software_run(s);
}

/* Takes the operation on success. */
static int accept(struct software *s,
                  const struct dv_command *command,
                  struct operation *operation,
                  struct dv_request **request,
                  struct dv_error *err)
{
    int r = read_command(command, operation, err);
    if (r == -DV_ERR_INVALID || r == -DV_ERR_LIMIT)
        software_report_refusal(s, operation->body, err->text);
    if (r < 0)
        return r;
    r = find_slot(s, &operation->slot, err);
    if (r < 0)
        return r;
    operation->body->number = command->sequence;
    operation->body->order = s->next_order++;
    s->slots[operation->slot] = true;
    operation->request = dv_steal(request);
    software_keep_operation(s, operation, on_kept);
    return 0;
}

int software_on_command(struct dv_cell *cell,
                        const void *body,
                        struct dv_request **request,
                        struct dv_error *err)
{
    struct software *s = dv_cell_state(cell);
    const struct dv_command *command = body;
    if (strcmp(command->operation, "install") != 0 && strcmp(command->operation, "remove") != 0)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "feature '%s' has no operation '%s'",
                            command->feature, command->operation);
    if (s->awaited)
        return dv_error_set(err, DV_ERR_BUSY, "containers are being restored; send it again later");
    /* From before a restart: it was accepted, and only its answer did not go out. */
    if (command->sequence &&
        (is_queued(s, command->sequence) || software_is_done(s, command->sequence))) {
        answer(s, request);
        return 0;
    }
    struct operation *operation = new_operation();
    if (!operation)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for an operation on software");
    int r = accept(s, command, operation, request, err);
    if (r < 0) {
        dv_arena_free(operation->arena);
        free(operation);
    }
    return r;
}
