/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A module: STARTED, DOWNLOADING, DOWNLOADED, INSTALLING (its containers are made), INSTALLED (they
 * are started), FINISHED. Before the first container is made the ids of all are in the journal, so
 * that whatever ends davitd, what was made is known.
 */
#include "actors/software/internal.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define MODULE_BYTES (64U << 20)

static void create_next(struct software *s);
static void stop_next(struct software *s);
static void start_next(struct software *s);

/* -- the end of a module -------------------------------------------------------------------- */

void software_clear_module(struct software *s)
{
    dv_timer_cancel(s->cell, s->gate_timer);
    s->gate_timer = 0;
    dv_timer_cancel(s->cell, s->step_timer);
    s->step_timer = 0;
    s->tries = 0;
    s->stage = DV_STAGE_NONE;
    s->part_count = 0;
    s->at = 0;
    s->is_again = false;
    s->is_begun = false;
    free(s->job);
    s->job = NULL;
    for (size_t i = 0; i < s->target_count; i++)
        free(s->targets[i]);
    s->target_count = 0;
    if (s->results && s->current)
        for (size_t i = 0; i < s->current->body->software.count; i++)
            free(s->results[i]);
    free(s->results);
    s->results = NULL;
    dv_arena_free(s->arena);
    s->arena = NULL;
}

static void on_module_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error) /* after a restart it would be done once more, which does no harm */
        dv_log(DV_LOG_ERROR, "software: progress is not kept: %s", outcome->error->text);
    software_install(s);
}

void software_end_module(struct software *s, enum dv_software_status status, const char *message)
{
    software_report(s, status, message);
    software_clear_module(s);
    s->index++;
    s->attempts = 0;
    software_keep(s, on_module_kept);
}

/* -- steps ---------------------------------------------------------------------------------- */

static const char *module_name(const struct software *s)
{
    const struct dv_software_module *module = software_module(s);
    return module ? module->name : "";
}

/* forced:false: what is there already, from the same description, stays as it is. */
static bool is_installed(const struct software *s)
{
    const struct dv_software_module *module = software_module(s);
    const char *version = module->version ? module->version : "";
    for (size_t i = 0; i < s->part_count; i++) {
        bool is_found = false;
        for (size_t k = 0; !is_found && k < known_count(s->known); k++) {
            const struct known *known = known_at(s->known, k);
            is_found = known->module && known->artifact &&
                       strcmp(known->module, module->name) == 0 &&
                       strcmp(known->version ? known->version : "", version) == 0 &&
                       strcmp(known->artifact, s->parts[i].record->artifact_digest) == 0;
        }
        if (!is_found)
            return false;
    }
    return true;
}

static void on_started(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error) {
        software_undo(s, DV_SOFTWARE_FINISHED_ERROR, outcome->error->text);
        return;
    }
    s->at++;
    start_next(s);
}

static void start_next(struct software *s)
{
    if (s->at < s->part_count)
        software_command(s, s->parts[s->at].id, "start", NULL, on_started);
    else
        software_wait(s);
}

static void on_old_stopped(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    struct part *part = &s->parts[s->at];
    const struct known *old = known_by_id(s->known, part->replaces);
    if (outcome->error && old &&
        (old->status == DV_STATUS_RUNNING || old->status == DV_STATUS_PAUSED)) {
        software_undo(s, DV_SOFTWARE_FINISHED_ERROR, outcome->error->text);
        return;
    }
    /* A stop of one that is down succeeds when it takes a restart away; one that fails for another
     * reason than the state may have ended it. */
    if (outcome->error && outcome->error->class == DV_ERR_STATE && old && !old->comes_back)
        part->was_running = false;
    else if (!outcome->error)
        part->was_running = true;
    s->at++;
    stop_next(s);
}

/* The new ones need what the old ones hold: ports, devices, files. */
static void stop_next(struct software *s)
{
    while (s->at < s->part_count && !s->parts[s->at].replaces[0])
        s->at++;
    if (s->at < s->part_count) {
        software_command(s, s->parts[s->at].replaces, "stop", NULL, on_old_stopped);
        return;
    }
    s->at = 0;
    start_next(s);
}

static void on_created(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error) {
        software_undo(s, DV_SOFTWARE_FINISHED_ERROR, outcome->error->text);
        return;
    }
    s->at++;
    create_next(s);
}

static void create_next(struct software *s)
{
    if (s->at == s->part_count) {
        software_report(s, DV_SOFTWARE_INSTALLED, NULL);
        s->at = 0;
        stop_next(s);
        return;
    }
    struct part *part = &s->parts[s->at];
    part->record->name = part->work_name;
    struct dv_container_create_cmd command = {.record = part->record};
    dv_ask(s->cell, DV_ADDRESS_ROSTER, DV_KIND_container_create_cmd, &command, SOFTWARE_DAY_MS,
           on_created, NULL);
}

static void on_making_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error) {
        software_end_module(s, DV_SOFTWARE_FINISHED_ERROR, outcome->error->text);
        return;
    }
    software_report(s, DV_SOFTWARE_INSTALLING, NULL);
    s->at = 0;
    create_next(s);
}

void software_make(struct software *s)
{
    software_report(s, DV_SOFTWARE_DOWNLOADED, NULL);
    if (!s->current->body->is_forced && is_installed(s)) {
        dv_log(DV_LOG_INFO, "software: module '%s' is installed already", module_name(s));
        software_end_module(s, DV_SOFTWARE_FINISHED_SUCCESS, NULL);
        return;
    }
    s->stage = DV_STAGE_MAKING;
    software_keep(s, on_making_kept);
}

void software_install(struct software *s)
{
    const struct dv_software_module *module = software_module(s);
    if (!module) {
        software_finish_operation(s);
        return;
    }
    software_report(s, DV_SOFTWARE_STARTED, NULL);
    if (module->problem) {
        /* Whatever is wrong with an artifact is found while it is fetched, for a peer. */
        software_report(s, DV_SOFTWARE_DOWNLOADING, NULL);
        software_end_module(
            s, module->is_fault ? DV_SOFTWARE_FINISHED_ERROR : DV_SOFTWARE_FINISHED_REJECTED,
            module->problem);
        return;
    }
    s->arena = dv_arena_new(MODULE_BYTES);
    if (s->arena)
        software_download(s);
    else
        software_end_module(s, DV_SOFTWARE_FINISHED_ERROR, "no memory for a module");
}
