/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/roster/sweep.h"

#include "actors/addresses.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

/* Lives until the last folder is seen to. */
struct sweep {
    struct dv_roster_table *table;
    int64_t job_timeout_ms;
    char **ids;
    size_t count;
    size_t next;
    size_t removed;
};

static void free_sweep(struct sweep *sweep)
{
    for (size_t i = 0; i < sweep->count; i++)
        free(sweep->ids[i]);
    free(sweep->ids);
    free(sweep);
}

static void go_on(struct dv_cell *cell, struct sweep *sweep);

static void on_removed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct sweep *sweep = ctx;
    if (dv_cell_is_ending(cell)) {
        free_sweep(sweep);
        return;
    }
    if (outcome->error)
        dv_log(DV_LOG_WARN, "roster: '%s' is left of a container without a record and stays: %s",
               sweep->ids[sweep->next], outcome->error->text);
    else
        sweep->removed++;
    sweep->next++;
    go_on(cell, sweep);
}

static void remove_one(struct dv_cell *cell, struct sweep *sweep)
{
    struct dv_restart_policy policy = {0};
    struct dv_log_config log = {0};
    struct dv_container_spec spec = {
        .image_ref = (char *)"unknown", .restart_policy = &policy, .log = &log};
    struct dv_container_state state = {.status = DV_STATUS_UNKNOWN, .pid = -1};
    struct dv_container_record record = {
        .id = sweep->ids[sweep->next],
        .name = sweep->ids[sweep->next],
        .spec = &spec,
        .state = &state,
    };
    struct dv_runtime_remove_job body = {.record = &record, .timeout_ms = sweep->job_timeout_ms};
    dv_ask(cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_remove_job, &body, sweep->job_timeout_ms * 2,
           on_removed, sweep);
}

static bool is_known(const struct sweep *sweep, const char *id)
{
    const struct dv_roster_entry *entry = dv_roster_table_find(sweep->table, id, NULL);
    return entry && strcmp(entry->id, id) == 0;
}

static void go_on(struct dv_cell *cell, struct sweep *sweep)
{
    if (sweep->next < sweep->count) {
        remove_one(cell, sweep);
        return;
    }
    if (sweep->removed)
        dv_log(DV_LOG_INFO, "roster: what was left of %zu containers without a record is removed",
               sweep->removed);
    free_sweep(sweep);
}

static void on_listed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct sweep *sweep = ctx;
    const struct dv_runtime_leftovers *found = outcome->error ? NULL : outcome->body;
    if (outcome->error && !dv_cell_is_ending(cell))
        dv_log(DV_LOG_WARN, "roster: folders of containers cannot be listed: %s",
               outcome->error->text);
    if (!found || !(sweep->ids = calloc(found->ids.count + 1, sizeof(char *)))) {
        free_sweep(sweep);
        return;
    }
    for (size_t i = 0; i < found->kept.count; i++)
        if (!is_known(sweep, found->kept.items[i]))
            dv_log(DV_LOG_WARN,
                   "roster: folder 'containers/%s' has the data of a container, but no record that "
                   "can be read: give it its config.json back or remove the folder",
                   found->kept.items[i]);
    for (size_t i = 0; i < found->ids.count; i++) {
        char *id = is_known(sweep, found->ids.items[i]) ? NULL : strdup(found->ids.items[i]);
        if (id)
            sweep->ids[sweep->count++] = id;
    }
    go_on(cell, sweep);
}

void roster_sweep(struct dv_cell *cell, struct dv_roster_table *table, int64_t job_timeout_ms)
{
    struct dv_runtime_leftovers_query query;
    struct sweep *sweep = calloc(1, sizeof(*sweep));
    if (!sweep)
        return;
    sweep->table = table;
    sweep->job_timeout_ms = job_timeout_ms;
    dv_ask(cell, DV_ADDRESS_WORKERS, DV_KIND_runtime_leftovers_query, &query, job_timeout_ms * 2,
           on_listed, sweep);
}
