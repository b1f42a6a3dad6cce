/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a module that has made containers. A container that replaces another must stay up for
 * a while; then the old one goes and the new one takes its name. In any other case everything that
 * was made goes, and what ran before runs again.
 */
#include "actors/software/internal.h"
#include "base/log.h"
#include "base/str.h"

#include <stdio.h>
#include <string.h>

static void undo_next(struct software *s);
static void put_back_next(struct software *s);
static void settle_next(struct software *s);
static void rename_next(struct software *s);

/* -- steps that must not fail for a passing reason ------------------------------------------ */

/* With the pauses about four minutes. */
#define TRIES_MAX    12
#define TRY_FIRST_MS 1000
#define TRY_MAX_MS   30000

static void on_step_due(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct software *s = dv_cell_state(cell);
    s->step_timer = 0;
    s->step(s);
}

/* False when it was tried often enough: then the next step counts anew. */
static bool
try_again(struct software *s, void (*step)(struct software *), const struct dv_error *why)
{
    if (s->tries == TRIES_MAX) {
        s->tries = 0;
        return false;
    }
    int64_t wait_ms = (int64_t)TRY_FIRST_MS << s->tries++;
    if (wait_ms > TRY_MAX_MS)
        wait_ms = TRY_MAX_MS;
    dv_log(DV_LOG_WARN, "software: tried again in %lld ms: %s", (long long)wait_ms, why->text);
    s->step = step;
    s->step_timer = dv_timer_set(s->cell, wait_ms, on_step_due, NULL);
    return true;
}

/* -- proving -------------------------------------------------------------------------------- */

static bool is_replacing(const struct software *s)
{
    for (size_t i = 0; i < s->part_count; i++)
        if (s->parts[i].replaces[0])
            return true;
    return false;
}

static void begin_settling(struct software *s);

static void on_proved(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct software *s = dv_cell_state(cell);
    s->gate_timer = 0;
    begin_settling(s);
}

static bool is_up(enum dv_status status)
{
    return status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED;
}

static void
refuse(struct software *s, const struct part *part, const struct dv_container_state *state)
{
    char reason[512];
    dv_timer_cancel(s->cell, s->gate_timer);
    s->gate_timer = 0;
    if (state && state->error && state->error[0])
        snprintf(reason, sizeof(reason),
                 "container '%s' ended within %lld s, with code %lld (%.256s); the one it was to "
                 "replace is back",
                 part->name, (long long)(s->env->settings->replace_wait_ms / 1000),
                 (long long)state->exit_code, state->error);
    else
        snprintf(reason, sizeof(reason),
                 "container '%s' ended within %lld s, with code %lld; the one it was to replace is "
                 "back",
                 part->name, (long long)(s->env->settings->replace_wait_ms / 1000),
                 (long long)(state ? state->exit_code : 255));
    software_undo(s, DV_SOFTWARE_FINISHED_ERROR, dv_str_mend(reason));
}

void software_watch(struct software *s, const struct dv_container_record *record)
{
    for (size_t i = 0; s->gate_timer && i < s->part_count; i++)
        if (s->parts[i].replaces[0] && strcmp(s->parts[i].id, record->id) == 0 &&
            !is_up(record->state->status))
            refuse(s, &s->parts[i], record->state);
}

static void wait_from(struct software *s);

/* What was heard last of a container may be old, when more happens than finds room. */
static void on_looked(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    const struct dv_container_event *event = outcome->error ? NULL : outcome->body;
    struct dv_error err = DV_ERROR_INIT;
    if (event && is_up(event->record->state->status) &&
        known_put(s->known, event->record, &err) >= 0) {
        s->at = 0; /* another may have ended meanwhile */
        wait_from(s);
        return;
    }
    refuse(s, &s->parts[s->at], event ? event->record->state : NULL);
}

static void wait_from(struct software *s)
{
    for (; s->at < s->part_count; s->at++) {
        const struct part *part = &s->parts[s->at];
        const struct known *known = known_by_id(s->known, part->id);
        if (!part->replaces[0] || (known && is_up(known->status)))
            continue;
        struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, part->id);
        struct dv_container_snapshot_query query;
        dv_ask(s->cell, address.text, DV_KIND_container_snapshot_query, &query,
               s->env->settings->command_timeout_ms, on_looked, NULL);
        return;
    }
    s->gate_timer = dv_timer_set(s->cell, s->env->settings->replace_wait_ms, on_proved, NULL);
}

void software_wait(struct software *s)
{
    s->at = 0;
    if (is_replacing(s))
        wait_from(s);
    else
        begin_settling(s);
}

/* -- settling ------------------------------------------------------------------------------- */

static void finish(struct software *s)
{
    for (size_t i = 0; i < s->part_count; i++) {
        if (!s->parts[i].is_unverified)
            continue;
        software_end_module(s, DV_SOFTWARE_FINISHED_SUCCESS,
                            "warning: there was no checksum to verify an artifact with");
        return;
    }
    software_end_module(s, DV_SOFTWARE_FINISHED_SUCCESS, NULL);
}

static void on_renamed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error && try_again(s, rename_next, outcome->error))
        return;
    if (outcome->error) {
        char reason[1024];
        snprintf(reason, sizeof(reason), "the new container runs, but under another name: %.800s",
                 outcome->error->text);
        software_end_module(s, DV_SOFTWARE_FINISHED_ERROR, reason);
        return;
    }
    s->tries = 0;
    s->at++;
    rename_next(s);
}

static void rename_next(struct software *s)
{
    while (s->at < s->part_count && !s->parts[s->at].replaces[0])
        s->at++;
    if (s->at == s->part_count) {
        finish(s);
        return;
    }
    /* Names have no character that JSON would escape. */
    char args[SOFTWARE_NAME_BYTES + 2];
    snprintf(args, sizeof(args), "\"%s\"", s->parts[s->at].name);
    software_command(s, s->parts[s->at].id, "rename", args, on_renamed);
}

static void on_old_removed(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    /* After a restart it may be gone already. */
    if (outcome->error && known_by_id(s->known, s->parts[s->at].replaces)) {
        if (try_again(s, settle_next, outcome->error))
            return;
        dv_log(DV_LOG_ERROR, "software: a replaced container stays: %s", outcome->error->text);
    }
    s->tries = 0;
    s->at++;
    settle_next(s);
}

static void settle_next(struct software *s)
{
    while (s->at < s->part_count &&
           (!s->parts[s->at].replaces[0] || !known_by_id(s->known, s->parts[s->at].replaces)))
        s->at++;
    if (s->at < s->part_count) {
        software_command(s, s->parts[s->at].replaces, "remove", "true", on_old_removed);
        return;
    }
    s->at = 0;
    rename_next(s);
}

void software_settle(struct software *s)
{
    s->at = 0;
    settle_next(s);
}

static void on_settling_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error)
        software_undo(s, DV_SOFTWARE_FINISHED_ERROR, outcome->error->text);
    else
        software_settle(s);
}

/* From here on nothing is undone any more: the old ones go. */
static void begin_settling(struct software *s)
{
    s->stage = DV_STAGE_SETTLING;
    software_keep(s, on_settling_kept);
}

/* -- undoing -------------------------------------------------------------------------------- */

static void end_undo(struct software *s)
{
    if (!s->is_again) {
        char reason[sizeof(s->reason)];
        snprintf(reason, sizeof(reason), "%s", s->reason);
        software_end_module(s, s->verdict, reason);
        return;
    }
    unsigned attempts = s->attempts;
    software_clear_module(s);
    s->attempts = attempts;
    software_install(s);
}

static void on_put_back(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    struct part *part = &s->parts[s->at];
    if (outcome->error && try_again(s, put_back_next, outcome->error))
        return;
    s->tries = 0;
    if (outcome->error) {
        dv_log(DV_LOG_ERROR, "software: '%s' does not run as before: %s", part->name,
               outcome->error->text);
        struct dv_address old = dv_address_of(DV_CONTAINER_PREFIX, part->replaces);
        struct dv_container_retry_cmd nothing;
        dv_post(cell, old.text, DV_KIND_container_retry_cmd, &nothing);
        size_t len = strlen(s->reason);
        snprintf(s->reason + len, sizeof(s->reason) - len, "; %.300s", outcome->error->text);
        dv_str_mend(s->reason);
    } else if (part->was_paused) {
        part->was_paused = false;
        software_command(s, part->replaces, "pause", NULL, on_put_back);
        return;
    }
    s->at++;
    put_back_next(s);
}

static bool must_be_put_back(const struct software *s, const struct part *part)
{
    const struct known *old = part->replaces[0] ? known_by_id(s->known, part->replaces) : NULL;
    return old && part->was_running && !is_up(old->status);
}

static void put_back_next(struct software *s)
{
    while (s->at < s->part_count && !must_be_put_back(s, &s->parts[s->at]))
        s->at++;
    if (s->at < s->part_count)
        software_command(s, s->parts[s->at].replaces, "start", NULL, on_put_back);
    else
        end_undo(s);
}

static void on_undone(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (dv_cell_is_ending(cell))
        return;
    struct software *s = dv_cell_state(cell);
    if (outcome->error && known_by_id(s->known, s->parts[s->at].id)) {
        if (try_again(s, undo_next, outcome->error))
            return;
        dv_log(DV_LOG_ERROR, "software: a container of a failed module stays: %s",
               outcome->error->text);
    }
    s->tries = 0;
    s->at++;
    undo_next(s);
}

static void undo_next(struct software *s)
{
    while (s->at < s->part_count && !known_by_id(s->known, s->parts[s->at].id))
        s->at++;
    if (s->at < s->part_count) {
        software_command(s, s->parts[s->at].id, "remove", "true", on_undone);
        return;
    }
    s->at = 0;
    put_back_next(s);
}

void software_undo(struct software *s, enum dv_software_status status, const char *reason)
{
    s->verdict = status;
    snprintf(s->reason, sizeof(s->reason), "%s", reason);
    s->at = 0;
    undo_next(s);
}
