/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A replacement: the new container is made first, under another name, so that a missing image
 * changes nothing. Then the old one is stopped and the new one started. If that fails the new one
 * goes and the old one is started again; else the old one goes, and the new one gets its name.
 */
#include "actors/deployment/item.h"
#include "base/log.h"
#include "spec/names.h"

#include <stdio.h>
#include <string.h>

static void on_renamed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error)
        dv_deployment_failed(cell, item, "give the new container its name", outcome->error);
    else
        dv_deployment_done(cell, item, "differed and was replaced");
}

static void on_old_removed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    char args[300];
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error && outcome->error->class != DV_ERR_UNDELIVERABLE) {
        dv_deployment_failed(cell, item, "remove the old container", outcome->error);
        return;
    }
    /* Names have no character that JSON would escape. */
    snprintf(args, sizeof(args), "\"%s\"", item->wanted->name);
    dv_deployment_order(cell, item, item->next_id, "rename", args, on_renamed);
}

static void on_old_back(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    struct dv_error error = DV_ERROR_INIT;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error) {
        dv_deployment_failed(cell, item, "start the old container again", outcome->error);
        return;
    }
    dv_error_set(&error, DV_ERR_FAILED, "its replacement did not start; the old one is back");
    dv_deployment_failed(cell, item, "replace", &error);
}

static void on_new_removed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error)
        dv_log(DV_LOG_WARN, "deployment: '%s': its replacement stays as '%s': %s",
               item->wanted->name, item->next_name, outcome->error->text);
    if (item->is_up) {
        dv_deployment_order(cell, item, item->now_id, "start", NULL, on_old_back);
        return;
    }
    struct dv_error error = DV_ERROR_INIT;
    dv_error_set(&error, DV_ERR_FAILED, "its replacement did not start; the old one is as it was");
    dv_deployment_failed(cell, item, "replace", &error);
}

static void on_new_started(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (!outcome->error) {
        dv_deployment_order(cell, item, item->now_id, "remove", "true", on_old_removed);
        return;
    }
    dv_log(DV_LOG_ERROR, "deployment: the replacement of '%s' does not start: %s",
           item->wanted->name, outcome->error->text);
    dv_deployment_order(cell, item, item->next_id, "remove", "true", on_new_removed);
}

static void on_old_stopped(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error) {
        dv_log(DV_LOG_ERROR, "deployment: '%s' cannot be stopped to be replaced: %s",
               item->wanted->name, outcome->error->text);
        item->is_up = false; /* it still is */
        dv_deployment_order(cell, item, item->next_id, "remove", "true", on_new_removed);
        return;
    }
    dv_deployment_order(cell, item, item->next_id, "start", NULL, on_new_started);
}

static void on_new_made(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_deployment_item *item = ctx;
    if (dv_deployment_is_canceled(cell, item))
        return;
    if (outcome->error) {
        dv_deployment_failed(cell, item, "make its replacement", outcome->error);
        return;
    }
    if (item->is_up)
        dv_deployment_order(cell, item, item->now_id, "stop", NULL, on_old_stopped);
    else
        dv_deployment_order(cell, item, item->next_id, "start", NULL, on_new_started);
}

void dv_deployment_replace(struct dv_cell *cell, struct dv_deployment_item *item)
{
    struct dv_container_record *wanted = item->wanted;
    struct dv_container_record next = *wanted;
    uint64_t high = dv_cell_random(cell);
    dv_id_make(high, dv_cell_random(cell), item->next_id);
    next.id = item->next_id;
    next.name = item->next_name;
    item->wanted = &next;
    dv_deployment_create(cell, item, false, on_new_made);
    item->wanted = wanted;
}
