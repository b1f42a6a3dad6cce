/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a container: copies of its own, changes, commit, events. */
#include "actors/container/internal.h"
#include "base/log.h"
#include "messages/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_BYTES_MAX (4U << 20)
#define ERROR_TEXT_MAX   1024
#define NS_PER_MS        1000000

static const char code_unknown[] = "exit code unknown";

int container_adopt_record(struct container *c,
                           const struct dv_container_record *record,
                           struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(RECORD_BYTES_MAX);
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for container '%s'", record->id);
    void *copy;
    int r = dv_copy(&dv_schema_container_record, record, arena, &copy, err);
    if (r < 0)
        return dv_error_prefix(err, "container '%s': ", record->id);
    /* Texts that this cell owns move out of the old record before its arena goes. */
    struct dv_container_record *fresh = copy;
    char *name = strdup(fresh->name);
    if (!name)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for container '%s'", record->id);
    char *text = fresh->state->error ? strdup(fresh->state->error) : NULL;
    free(c->name);
    free(c->error_text);
    dv_arena_free(c->arena);
    c->arena = dv_steal(&arena);
    c->record = fresh;
    c->name = name;
    c->error_text = text;
    fresh->name = name;
    fresh->state->error = text;
    return 0;
}

void container_set_error(struct container *c, const char *text)
{
    free(c->error_text);
    c->error_text = text && *text ? strndup(text, ERROR_TEXT_MAX) : NULL;
    c->record->state->error = c->error_text;
}

int container_set_name(struct container *c, const char *name, struct dv_error *err)
{
    char *copy = strdup(name);
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the name '%s'", name);
    free(c->name);
    c->name = copy;
    c->record->name = copy;
    return 0;
}

void container_publish(struct container *c, enum dv_container_change change, const char *note)
{
    struct dv_container_event event = {
        .change = change,
        .record = c->record,
        .note = (char *)note,
    };
    dv_publish(c->cell, DV_KIND_container_event, &event);
}

static void on_unwatched_commit(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (outcome->error && !dv_cell_is_ending(cell))
        dv_log(DV_LOG_ERROR, "%s: the record could not be stored, the next change tries again: %s",
               dv_cell_address(cell), outcome->error->text);
}

void container_commit_created(struct container *c, int64_t sequence, dv_outcome_fn *fn, void *ctx)
{
    struct dv_store_record body = {.record = c->record, .create_sequence = sequence};
    dv_ask(c->cell, DV_ADDRESS_STORE, DV_KIND_store_record, &body, c->settings->command_timeout_ms,
           fn, ctx);
}

void container_commit(struct container *c, int64_t sequence, dv_outcome_fn *fn, void *ctx)
{
    struct dv_store_record body = {.record = c->record, .command_sequence = sequence};
    dv_ask(c->cell, DV_ADDRESS_STORE, DV_KIND_store_record, &body, c->settings->command_timeout_ms,
           fn ? fn : on_unwatched_commit, ctx);
}

void container_move(struct container *c, enum dv_edge edge)
{
    struct dv_container_state *state = c->record->state;
    enum dv_status to = dv_states_target(edge);
    bool is_known = dv_states_has_edge(state->status, edge);
    if (!is_known)
        dv_log(DV_LOG_ERROR, "container '%s': no edge leads from %s to %s (%s)", c->name,
               dv_enum_api(&dv_enum_status, (int64_t)state->status),
               dv_enum_api(&dv_enum_status, (int64_t)to), dv_states_cause(edge));
    assert(is_known);
    state->status = to;
}

/* On the clock of this boot: the wall clock may have been set during the run. */
static int64_t run_length_ms(const struct dv_container_record *record)
{
    if (!record->run_started_ns || !record->run_ended_ns)
        return -1;
    return record->run_ended_ns > record->run_started_ns
               ? (record->run_ended_ns - record->run_started_ns) / NS_PER_MS
               : 0;
}

void container_note_last_end(struct container *c)
{
    const struct dv_container_state *state = c->record->state;
    bool is_over = state->status == DV_STATUS_STOPPED || state->status == DV_STATUS_EXITED;
    if (!is_over || !state->finished_ns)
        return;
    struct dv_container_end end = {
        .ran_ms = -1,
        .finished_ns = state->finished_ns,
        .exit_code = state->exit_code,
        .is_code_known = !state->error || strcmp(state->error, code_unknown) != 0,
        .is_oom_killed = state->is_oom_killed,
        .is_failed_start =
            state->status == DV_STATUS_STOPPED && state->error && !c->record->manually_stopped,
        .was_stopped = state->status == DV_STATUS_STOPPED && c->record->manually_stopped,
    };
    if (!end.is_failed_start)
        end.ran_ms = run_length_ms(c->record);
    dv_ends_add(&c->ends, &end);
}

void container_set_ended(struct container *c,
                         enum dv_edge edge,
                         const struct dv_container_exited *exit)
{
    struct dv_container_state *state = c->record->state;
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(c->cell));
    c->record->run_ended_ns =
        exit->ended_ns > 0 && exit->ended_ns < now_ns ? exit->ended_ns : now_ns;
    c->ran_ms = run_length_ms(c->record);
    container_move(c, edge);
    container_disconnect(c);
    state->pid = -1;
    c->start_ticks = 0;
    state->finished_ns = exit->finished_ns;
    if (state->finished_ns <= 0)
        state->finished_ns = dv_clock_wall_ns(dv_cell_clock(c->cell));
    /* A stop is no lack of memory, even if there was some before. */
    state->is_oom_killed = exit->is_oom_killed && edge == DV_EDGE_EXITED;
    if (exit->is_code_known) {
        state->exit_code = exit->exit_code;
        container_set_error(c, state->is_oom_killed ? "OOM Killed" : NULL);
    } else {
        state->exit_code = 255;
        container_set_error(c, code_unknown);
    }
    dv_ends_add(&c->ends, &(struct dv_container_end){
                              .ran_ms = c->ran_ms,
                              .finished_ns = state->finished_ns,
                              .exit_code = state->exit_code,
                              .is_code_known = exit->is_code_known,
                              .is_oom_killed = exit->is_oom_killed,
                              .was_stopped = edge == DV_EDGE_STOPPED,
                          });
}
