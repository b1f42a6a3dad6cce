/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/factory/factory.h"

#include "actors/addresses.h"
#include "actors/env.h"
#include "base/log.h"
#include "spec/create.h"
#include "spec/names.h"
#include "spec/rules.h"

#include <string.h>

#define ARGS_BYTES_MAX (8U << 20)
#define DAY_MS         (24LL * 3600 * 1000)

/* The answer of the container cell, or of the roster when it refuses. */
static void on_created(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_request *request = ctx;
    if (!request)
        return;
    if (outcome->error)
        dv_answer_error(cell, &request, outcome->error);
    else
        dv_answer(cell, &request, outcome->kind, outcome->body);
}

static int on_command(struct dv_cell *cell,
                      const void *body,
                      struct dv_request **request,
                      struct dv_error *err)
{
    const struct dv_command *command = body;
    const struct dv_actor_env *env = dv_cell_env(cell);
    bool with_config = strcmp(command->operation, "createWithConfig") == 0;
    if (!with_config && strcmp(command->operation, "create") != 0)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "feature '%s' has no operation '%s'",
                            command->feature, command->operation);
    DV_AUTO(dv_arena) arena = dv_arena_new(ARGS_BYTES_MAX);
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a create");
    char id[DV_ID_MADE_SIZE];
    uint64_t high = dv_cell_random(cell);
    dv_id_make(high, dv_cell_random(cell), id);
    struct dv_create_request create = {0};
    struct dv_str args = dv_str_of(command->args ? command->args : "");
    int r = with_config ? dv_spec_create_with_config(args, id, arena, &create, err)
                        : dv_spec_create(args, id, arena, &create, err);
    if (r == 0)
        r = dv_spec_check_support(create.record, env->settings->has_ip6, err);
    if (r == 0)
        r = dv_spec_fit_machine(&create, env->settings->limits, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < create.record->warnings.count; i++)
        dv_log(DV_LOG_WARN, "%s: container '%s': %s", command->operation, create.record->name,
               create.record->warnings.items[i]);
    struct dv_container_create_cmd forward = {
        .record = create.record,
        .start = create.start,
        .command_sequence = command->sequence,
    };
    dv_ask(cell, DV_ADDRESS_ROSTER, DV_KIND_container_create_cmd, &forward, DAY_MS, on_created,
           dv_steal(request));
    return 0;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_command, on_command},
};

const struct dv_cell_type dv_factory_cell = {
    .name = "ContainerFactory",
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
};
