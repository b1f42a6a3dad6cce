/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/states_page.h"

#include "actors/container/states.h"

#include <string.h>

#define STATUS_COUNT 8
#define REASONS_MAX  32

static const char head[] =
    "<!-- SPDX-License-Identifier: Apache-2.0 -->\n"
    "# States of a container\n\n"
    "This page is written by `davitd --state-reference` from the tables in\n"
    "`actors/container/states.c`, which davitd itself goes by. What happens between the states is\n"
    "in [supervision](supervision.md).\n\n"
    "## What a state allows\n"
    "A number: refused, for the reason of that number.\n\n";

static const char change_head[] = "\n## What leads from one state to another\n"
                                  "| From | To | When |\n|---|---|---|\n";

static const char *const columns[DV_OPERATION_COUNT] = {
    [DV_OPERATION_START] = "start",   [DV_OPERATION_STOP] = "stop",
    [DV_OPERATION_PAUSE] = "pause",   [DV_OPERATION_RESUME] = "resume",
    [DV_OPERATION_RENAME] = "rename", [DV_OPERATION_UPDATE] = "update",
    [DV_OPERATION_REMOVE] = "remove", [DV_OPERATION_REMOVE_FORCE] = "remove, force",
};

/* Each text once, numbered in the order in which the table needs it. */
struct reasons {
    const char *texts[REASONS_MAX];
    size_t count;
};

static size_t number_of(struct reasons *reasons, const char *text)
{
    for (size_t i = 0; i < reasons->count; i++)
        if (strcmp(reasons->texts[i], text) == 0)
            return i + 1;
    if (reasons->count < REASONS_MAX)
        reasons->texts[reasons->count++] = text;
    return reasons->count;
}

static const char *name_of(enum dv_status status)
{
    return dv_enum_api(&dv_enum_status, (int64_t)status);
}

static int write_cell(enum dv_status status,
                      enum dv_operation operation,
                      struct reasons *reasons,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    const char *refusal = dv_states_refusal(status, operation);
    if (!refusal)
        return dv_buf_append_str(out, " yes |", err);
    /* The one refusal that depends on more than the state. */
    bool is_conditional = dv_states_check(status, operation, true, "", NULL) == 0;
    return dv_buf_printf(out, err, " %zu%s |", number_of(reasons, refusal),
                         is_conditional ? ", unless a restart is pending" : "");
}

static int write_operations(struct reasons *reasons, struct dv_buf *out, struct dv_error *err)
{
    int r = dv_buf_append_str(out, "| State |", err);
    for (size_t o = 0; r == 0 && o < DV_OPERATION_COUNT; o++)
        r = dv_buf_printf(out, err, " %s |", columns[o]);
    if (r == 0)
        r = dv_buf_append_str(out, "\n|---|---|---|---|---|---|---|---|---|\n", err);
    for (size_t s = 0; r == 0 && s < STATUS_COUNT; s++) {
        r = dv_buf_printf(out, err, "| %s |", name_of((enum dv_status)s));
        for (size_t o = 0; r == 0 && o < DV_OPERATION_COUNT; o++)
            r = write_cell((enum dv_status)s, (enum dv_operation)o, reasons, out, err);
        if (r == 0)
            r = dv_buf_append_str(out, "\n", err);
    }
    return r;
}

static int write_edge(enum dv_edge edge, struct dv_buf *out, struct dv_error *err)
{
    const char *separator = "| ";
    int r = 0;
    for (size_t s = 0; r == 0 && s < STATUS_COUNT; s++) {
        if (!dv_states_has_edge((enum dv_status)s, edge))
            continue;
        r = dv_buf_printf(out, err, "%s%s", separator, name_of((enum dv_status)s));
        separator = ", ";
    }
    if (r == 0)
        r = dv_buf_printf(out, err, " | %s | %s |\n", name_of(dv_states_target(edge)),
                          dv_states_cause(edge));
    return r;
}

int dv_states_markdown(struct dv_buf *out, struct dv_error *err)
{
    struct reasons reasons = {.count = 0};
    int r = dv_buf_append_str(out, head, err);
    if (r == 0)
        r = write_operations(&reasons, out, err);
    if (r == 0)
        r = dv_buf_append_str(out, "\n", err);
    for (size_t i = 0; r == 0 && i < reasons.count; i++)
        r = dv_buf_printf(out, err, "%zu. %s\n", i + 1, reasons.texts[i]);
    if (r == 0)
        r = dv_buf_append_str(out, change_head, err);
    for (size_t e = 0; r == 0 && e < DV_EDGE_COUNT; e++)
        r = write_edge((enum dv_edge)e, out, err);
    return r;
}
