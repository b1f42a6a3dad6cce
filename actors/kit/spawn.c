/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/spawn.h"

#include "messages/catalog.h"
#include "messages/codec.h"

#include <string.h>

const struct dv_cell_type *dv_spawn_type(const struct dv_cell_type *const *types, const char *name)
{
    for (const struct dv_cell_type *const *type = types; *type; type++)
        if (strcmp((*type)->name, name) == 0)
            return *type;
    return NULL;
}

int dv_spawn_fill(const struct dv_cell_type *const *types,
                  const void *start,
                  struct dv_buf *encoded,
                  struct dv_cell_spawn_cmd *cmd,
                  struct dv_error *err)
{
    const struct dv_cell_type *type = dv_spawn_type(types, cmd->type);
    if (!type)
        return dv_error_set(err, DV_ERR_NOT_FOUND,
                            "start '%s': there is no registered cell type '%s'", cmd->address,
                            cmd->type);
    if (!type->start_kind)
        return 0;
    const struct dv_schema *schema = dv_schema_of_kind(type->start_kind);
    if (!schema || !start)
        return dv_error_set(err, DV_ERR_INTERNAL, "start '%s': type '%s' needs a start message",
                            cmd->address, cmd->type);
    int r = dv_encode(schema, start, encoded, err);
    if (r < 0) {
        (void)dv_error_prefix(err, "start '%s': ", cmd->address);
        return r;
    }
    cmd->kind = type->start_kind;
    cmd->start = (struct dv_bytes){(uint8_t *)encoded->data, encoded->len};
    return 0;
}
