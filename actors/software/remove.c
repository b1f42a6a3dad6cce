/* SPDX-License-Identifier: Apache-2.0 */
/* Dependencies are removed one after the other; at the end it is told which ones were, and why the
 * others were not. */
#include "actors/software/internal.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define MESSAGE_BYTES 16384

static const char rejected[] = "rejected";

static void remove_target(struct software *s);

static const struct dv_dependency *item_of(const struct software *s)
{
    return &s->current->body->software.items[s->index];
}

/* -- the end -------------------------------------------------------------------------------- */

enum fate {
    FATE_REMOVED,
    FATE_FAILED,
    FATE_REJECTED,
};

static enum fate fate_of(const char *result)
{
    if (!result || !result[0])
        return FATE_REMOVED;
    return strcmp(result, rejected) == 0 ? FATE_REJECTED : FATE_FAILED;
}

static size_t
gather(const struct software *s, enum fate fate, const struct dv_dependency **list, size_t max)
{
    size_t count = 0;
    for (size_t i = 0; i < s->current->body->software.count && count < max; i++)
        if (fate_of(s->results[i]) == fate)
            list[count++] = &s->current->body->software.items[i];
    return count;
}

/* One failure as it is; several as a list. */
static char *failures(const struct software *s, size_t count)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(MESSAGE_BYTES);
    int r = count > 1 ? dv_buf_printf(&text, NULL, "%zu dependencies are not removed:", count) : 0;
    for (size_t i = 0; r == 0 && i < s->current->body->software.count; i++)
        if (fate_of(s->results[i]) == FATE_FAILED)
            r = dv_buf_printf(&text, NULL, "%s%s", count > 1 ? "\n* " : "", s->results[i]);
    return dv_buf_take(&text, NULL);
}

static void on_end_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error)
        dv_log(DV_LOG_ERROR, "software: progress is not kept: %s", outcome->error->text);
    software_finish_operation(dv_cell_state(cell));
}

/* What is told last is kept before the operation is forgotten, so that the twin shows its end. */
static void finish(struct software *s)
{
    const struct dv_dependency *list[DV_SOFTWARE_MODULES_MAX];
    size_t count = gather(s, FATE_REJECTED, list, DV_SOFTWARE_MODULES_MAX);
    if (count)
        software_report_list(s, DV_SOFTWARE_FINISHED_REJECTED, list, count, NULL);
    count = gather(s, FATE_FAILED, list, DV_SOFTWARE_MODULES_MAX);
    if (count) {
        dv_autofree char *message = failures(s, count);
        software_report_list(s, DV_SOFTWARE_FINISHED_ERROR, list, count, message);
    }
    count = gather(s, FATE_REMOVED, list, DV_SOFTWARE_MODULES_MAX);
    if (count)
        software_report_list(s, DV_SOFTWARE_FINISHED_SUCCESS, list, count, NULL);
    software_keep(s, on_end_kept);
}

/* -- one dependency ------------------------------------------------------------------------- */

static void on_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error)
        dv_log(DV_LOG_ERROR, "software: progress is not kept: %s", outcome->error->text);
    software_remove(dv_cell_state(cell));
}

static void end_item(struct software *s, const char *result)
{
    const struct dv_dependency *item = item_of(s);
    for (size_t i = 0; i < s->target_count; i++)
        free(s->targets[i]);
    s->target_count = 0;
    s->stage = DV_STAGE_NONE;
    s->is_begun = false;
    s->results[s->index] = strdup(result);
    if (!result[0])
        software_report_list(s, DV_SOFTWARE_REMOVED, &item, 1, NULL);
    s->index++;
    s->attempts = 0;
    software_keep(s, on_kept);
}

static void on_removed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error && known_by_id(s->known, s->targets[s->at])) {
        end_item(s, outcome->error->text);
        return;
    }
    s->at++;
    remove_target(s);
}

static void remove_target(struct software *s)
{
    if (s->at < s->target_count)
        software_command(s, s->targets[s->at], "remove", "true", on_removed);
    else
        end_item(s, "");
}

static void on_begun(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error)
        end_item(s, outcome->error->text);
    else
        remove_target(s);
}

static bool has_failed(const struct software *s)
{
    for (size_t i = 0; i < s->index; i++)
        if (fate_of(s->results[i]) != FATE_REMOVED)
            return true;
    return false;
}

/* From before a restart. */
static void restore_results(struct software *s)
{
    const struct dv_texts *kept = s->restored ? &s->restored->results : NULL;
    for (size_t i = 0; i < s->index; i++)
        s->results[i] = strdup(kept && i < kept->count ? kept->items[i] : "");
}

void software_remove(struct software *s)
{
    struct dv_error err = DV_ERROR_INIT;
    size_t count = s->current->body->software.count;
    if (!s->results) {
        s->results = calloc(count + 1, sizeof(*s->results));
        if (!s->results) {
            software_report_list(s, DV_SOFTWARE_FINISHED_ERROR, NULL, 0, "no memory for a remove");
            software_finish_operation(s);
            return;
        }
        restore_results(s);
    }
    if (s->index >= count) {
        finish(s);
        return;
    }
    if (!s->current->body->is_forced && has_failed(s)) {
        end_item(s, rejected);
        return;
    }
    const struct dv_dependency *item = item_of(s);
    software_report_list(s, DV_SOFTWARE_REMOVING, &item, 1, NULL);
    s->at = 0;
    s->target_count = known_resolve(s->known, item, s->targets, SOFTWARE_TARGETS_MAX, &err);
    if (s->target_count) {
        /* After a restart one that is gone is then known to be removed, and not unknown. */
        s->stage = DV_STAGE_MAKING;
        software_keep(s, on_begun);
    } else if (s->is_begun) {
        end_item(s, "");
    } else {
        end_item(s, err.text);
    }
}
