/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/store.h"

#include "actors/store/internal.h"
#include "base/journal.h"
#include "base/log.h"
#include "messages/codec.h"
#include "spec/record.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD_FILE_MAX  (2U << 20)
#define RECORD_ARENA_MAX (8U << 20)
#define ROTATE_BYTES     (16U << 20)
/* A journal of this size is not left to grow for the sake of those who wait. */
#define ROTATE_NOW_BYTES (64U << 20)
/* Records written before other mail gets its turn, two syncs each, and how long it has it. */
#define RECORDS_AT_ONCE 8
#define RECORDS_REST_MS 50
#define RETRY_MS        5000
#define NS_PER_MS       1000000LL

static void arm_checkpoint(struct state *s, int64_t delay_ms);
static int rotate(struct state *s, struct dv_error *err);
static dv_journal_fn learn;
static int checkpoint(struct state *s, size_t max, struct dv_error *err);

/* -- appending ------------------------------------------------------------------------------ */

/* Who asked for a remove finds nothing of the container any more. */
static void remove_gone(struct state *s, bool is_durable)
{
    struct dv_error err = DV_ERROR_INIT;
    /* While the roster reads page by page, no record may change its place. */
    if (!s->has_removed || !is_durable || s->is_loading)
        return;
    s->has_removed = false;
    if (checkpoint(s, 0, &err) < 0)
        dv_log(DV_LOG_ERROR, "store: %s", err.text); /* the next checkpoint tries again */
}

/* All that came since the last sync becomes durable at once. */
static void on_sync(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->sync_timer = 0;
    if (!s->waiter_count)
        return;
    struct dv_error err = DV_ERROR_INIT;
    int r = dv_journal_wait(s->journal, s->waiters[s->waiter_count - 1].sequence, &err);
    if (r < 0)
        dv_log(DV_LOG_ERROR, "store: %s", err.text);
    remove_gone(s, r == 0);
    for (size_t i = 0; i < s->waiter_count; i++) {
        if (!s->waiters[i].request)
            continue;
        if (r < 0)
            dv_answer_error(cell, &s->waiters[i].request, &err);
        else
            dv_answer_done(cell, &s->waiters[i].request);
    }
    s->waiter_count = 0;
    if (r < 0)
        arm_checkpoint(s, RETRY_MS); /* a rotation mends a broken journal */
}

/* A broken journal takes nothing more until it is written anew; that needs all records in their
 * files. Tried at once, so that no command fails for longer than it must, then now and then. */
static void mend(struct state *s)
{
    struct dv_error err = DV_ERROR_INIT;
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(s->cell));
    if (s->is_loading || now_ns < s->mend_after_ns)
        return;
    s->mend_after_ns = now_ns + RETRY_MS * NS_PER_MS;
    int r = checkpoint(s, SIZE_MAX, &err);
    if (r == 0)
        r = rotate(s, &err);
    if (r < 0)
        dv_log(DV_LOG_ERROR, "store: the journal cannot be mended: %s", err.text);
}

static void on_broken(struct dv_cell *cell, int fd, short events, void *ctx)
{
    (void)events;
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    uint64_t times;
    (void)!read(fd, &times, sizeof(times));
    on_sync(cell, NULL); /* who waits is told before the journal is written anew */
    mend(s);
    if (!dv_journal_is_broken(s->journal))
        return;
    dv_timer_cancel(cell, s->checkpoint_timer);
    s->checkpoint_timer = 0;
    arm_checkpoint(s, RETRY_MS);
}

/* What could not be written is still the newest: it goes to the files with the next checkpoint, and
 * a command that is over is not kept. Who sent it is told that it is not durable. */
static void apply_unwritten(struct state *s, uint16_t kind, const struct dv_buf *buf)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_journal_entry entry = {0, kind, buf->data, buf->len};
    int r = dv_journal_each(s->journal, s->applied, learn, s, &err);
    if (r == 0 && (kind == DV_KIND_store_record || kind == DV_KIND_store_remove))
        r = dv_store_memory_apply(s->memory, &entry, &err);
    else if (r == 0 && kind == DV_KIND_store_answered)
        r = dv_store_memory_learn(s->memory, &entry, &err);
    if (r < 0)
        dv_log(DV_LOG_ERROR, "store: %s", err.text);
}

static int append(struct state *s,
                  const struct dv_schema *schema,
                  const void *body,
                  struct dv_request **request,
                  struct dv_error *err)
{
    if (s->waiter_count == WAITERS_MAX)
        on_sync(s->cell, NULL);
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    int r = dv_encode(schema, body, &buf, err);
    if (r < 0)
        return r;
    if (dv_journal_is_broken(s->journal)) {
        on_sync(s->cell, NULL);
        mend(s);
    }
    uint64_t sequence = 0;
    r = dv_journal_write(s->journal, schema->kind, buf.data, buf.len, &sequence, err);
    if (r < 0) {
        apply_unwritten(s, schema->kind, &buf);
        arm_checkpoint(s, RETRY_MS);
        return r;
    }
    struct dv_journal_entry entry = {sequence, schema->kind, buf.data, buf.len};
    r = dv_store_memory_apply(s->memory, &entry, err);
    if (r < 0)
        return r;
    s->has_removed |= schema->kind == DV_KIND_store_remove;
    s->waiters[s->waiter_count++] = (struct waiter){dv_steal(request), sequence};
    if (!s->sync_timer)
        s->sync_timer = dv_timer_set(s->cell, 0, on_sync, NULL);
    arm_checkpoint(s, s->env->settings->checkpoint_ms);
    return 0;
}

#define APPEND(name)                                                                               \
    static int on_##name(struct dv_cell *cell, const void *body, struct dv_request **request,      \
                         struct dv_error *err)                                                     \
    {                                                                                              \
        return append(dv_cell_state(cell), &dv_schema_##name, body, request, err);                 \
    }
APPEND(store_remove)
APPEND(store_answered)
APPEND(store_intent)
APPEND(store_gone_told)
#undef APPEND

static int on_store_value(struct dv_cell *cell,
                          const void *body,
                          struct dv_request **request,
                          struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_store_value *value = body;
    int r = append(s, &dv_schema_store_value, body, request, err);
    /* What is over does not come back from the journal that is written anew. */
    if (r < 0 && value->value.len == 0)
        dv_store_memory_forget(s->memory, value->name);
    return r;
}

/* Which container a create made is known as long as the create is not answered: a replay of the
 * command finds it instead of making another. */
static int on_store_record(struct dv_cell *cell,
                           const void *body,
                           struct dv_request **request,
                           struct dv_error *err)
{
    const struct dv_store_record *commit = body;
    struct dv_request *nobody = NULL;
    struct dv_store_intent intent = {
        .id = commit->record->id,
        .work = (char *)"create",
        .command_sequence = commit->create_sequence,
    };
    int r = 0;
    if (commit->create_sequence)
        r = append(dv_cell_state(cell), &dv_schema_store_intent, &intent, &nobody, err);
    return r < 0 ? r : append(dv_cell_state(cell), &dv_schema_store_record, body, request, err);
}

/* -- checkpoint ----------------------------------------------------------------------------- */

static int write_record(struct state *s, const struct dv_stored *stored, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(RECORD_ARENA_MAX);
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for record '%s'", stored->id);
    void *record;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(RECORD_FILE_MAX);
    int r =
        dv_decode(&dv_schema_container_record, stored->encoded, stored->len, arena, &record, err);
    if (r == 0)
        r = dv_record_encode(record, &text, err);
    if (r < 0)
        return r;
    return s->files.write(s->files.ctx, stored->id, text.data, text.len, err);
}

/* Writes at most `max` records, and takes away all that are removed. */
static int checkpoint(struct state *s, size_t max, struct dv_error *err)
{
    struct dv_records *records = dv_store_memory_records(s->memory);
    const struct dv_stored *stored;
    size_t i = 0;
    size_t written = 0;
    while ((stored = dv_records_at(records, i)) != NULL) {
        int r = 0;
        bool is_removed = stored->is_removed;
        bool is_written = !is_removed && stored->is_dirty && written < max;
        if (is_removed)
            r = s->files.remove(s->files.ctx, stored->id, err);
        else if (is_written)
            r = write_record(s, stored, err);
        if (r < 0)
            return r;
        if (is_removed || is_written)
            dv_records_checkpointed(records, stored->id);
        written += is_written;
        if (!is_removed)
            i++;
    }
    return 0;
}

static int learn(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err)
{
    struct state *s = ctx;
    s->applied = entry->sequence;
    /* Who sent this command was told that it is not taken. */
    if (entry->kind == DV_KIND_store_command && entry->sequence > dv_journal_promised(s->journal))
        return 0;
    return dv_store_memory_learn(s->memory, entry, err);
}

static int keep(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err)
{
    (void)err;
    struct state *s = ctx;
    /* What came after the last look is not known here: it stays. */
    return entry->sequence > s->applied || dv_store_memory_keeps(s->memory, entry);
}

static bool must_rotate(const struct state *s)
{
    int64_t limit = s->env->settings->rotate_bytes;
    return dv_journal_is_broken(s->journal) ||
           dv_journal_size(s->journal) > (limit ? (uint64_t)limit : ROTATE_BYTES);
}

/* Commands that others wrote are looked at first: they decide what stays. One that took effect and
 * is not answered would lose its answer; as long as the journal is not too large, that waits. */
static int rotate(struct state *s, struct dv_error *err)
{
    int r = dv_journal_each(s->journal, s->applied, learn, s, err);
    if (r < 0)
        return r;
    bool is_pressing =
        dv_journal_is_broken(s->journal) || dv_journal_size(s->journal) > ROTATE_NOW_BYTES;
    if (dv_store_memory_has_done(s->memory) && !is_pressing) {
        arm_checkpoint(s, s->env->settings->checkpoint_ms);
        return 0;
    }
    return dv_journal_rotate(s->journal, keep, s, err);
}

static void on_checkpoint(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->checkpoint_timer = 0;
    struct dv_error err = DV_ERROR_INIT;
    on_sync(cell, NULL);
    if (s->is_loading) {
        arm_checkpoint(s, RETRY_MS);
        return;
    }
    bool is_pressing = dv_journal_size(s->journal) > ROTATE_NOW_BYTES;
    int r = checkpoint(s, is_pressing ? SIZE_MAX : RECORDS_AT_ONCE, &err);
    if (r == 0 && dv_records_dirty(dv_store_memory_records(s->memory))) {
        arm_checkpoint(s, RECORDS_REST_MS);
        return;
    }
    if (r == 0 && must_rotate(s))
        r = rotate(s, &err);
    if (r == 0)
        return;
    dv_log(DV_LOG_ERROR, "store: checkpoint, tried again in %d s: %s", RETRY_MS / 1000, err.text);
    arm_checkpoint(s, RETRY_MS);
}

static void arm_checkpoint(struct state *s, int64_t delay_ms)
{
    if (!s->checkpoint_timer)
        s->checkpoint_timer = dv_timer_set(s->cell, delay_ms, on_checkpoint, NULL);
}

static const struct dv_handler handlers[] = {
    {DV_KIND_store_record, on_store_record},
    {DV_KIND_store_remove, on_store_remove},
    {DV_KIND_store_answered, on_store_answered},
    {DV_KIND_store_intent, on_store_intent},
    {DV_KIND_store_gone_told, on_store_gone_told},
    {DV_KIND_store_value, on_store_value},
    {DV_KIND_store_value_query, store_on_value_query},
    {DV_KIND_store_gone_query, store_on_gone_query},
    {DV_KIND_store_load_query, store_on_load},
    {DV_KIND_store_open_query, store_on_open_query},
    {DV_KIND_store_repeats_query, store_on_repeats_query},
};

/* -- start ---------------------------------------------------------------------------------- */

/* Kanto, or an older davit, may have left out what is a default now. */
static bool is_current(const struct dv_container_record *record, const struct dv_buf *text)
{
    DV_AUTO_IN_PLACE(dv_buf) now = DV_BUF_INIT(RECORD_FILE_MAX);
    if (dv_record_encode(record, &now, NULL) < 0)
        return true;
    return now.len == text->len && memcmp(now.data, text->data, now.len) == 0;
}

static void load_record(void *ctx, const char *id)
{
    struct state *s = ctx;
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_arena) arena = dv_arena_new(RECORD_ARENA_MAX);
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(RECORD_FILE_MAX);
    int r = arena ? s->files.read(s->files.ctx, id, &text, &err)
                  : dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for record '%s'", id);
    if (r == -DV_ERR_NOT_FOUND) {
        dv_store_memory_lost(s->memory, id);
        return;
    }
    struct dv_container_record *record = NULL;
    if (r == 0)
        r = dv_record_decode(text.data ? text.data : "", text.len, id, arena, &record, &err);
    if (r == 0 && strcmp(record->id, id) != 0)
        r = dv_error_set(&err, DV_ERR_CORRUPT, "the record in folder '%s' is of container '%s'", id,
                         record->id);
    if (r == 0)
        r = dv_store_memory_add_file(s->memory, record, is_current(record, &text), &err);
    /* Only a record that is bad: one that could not be read now may be read at the next start. */
    if (r == -DV_ERR_NO_MEMORY || r == -DV_ERR_IO)
        dv_log(DV_LOG_ERROR, "store: record of '%s' is left out: %s", id, err.text);
    else if (r < 0)
        s->files.set_aside(s->files.ctx, id, &err);
    if (r < 0 && r != -DV_ERR_NO_MEMORY && r != -DV_ERR_IO)
        dv_store_memory_lost(s->memory, id);
    for (size_t i = 0; r == 0 && i < record->warnings.count; i++)
        dv_log(DV_LOG_WARN, "store: record of '%s': %s", id, record->warnings.items[i]);
}

static int replay(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err)
{
    (void)err;
    struct state *s = ctx;
    struct dv_error why = DV_ERROR_INIT;
    s->applied = entry->sequence;
    if (dv_store_memory_apply(s->memory, entry, &why) < 0)
        dv_log(DV_LOG_ERROR, "store: an entry is left out: %s", why.text);
    return 0;
}

/* An intent that a power cut has lost is known from the record behind it; the record's entry does
 * not stay. */
static int write_lost_intents(struct state *s, struct dv_error *err)
{
    const struct dv_store_intent *intent;
    int r = 0;
    while (r == 0 && (intent = dv_store_memory_unwritten(s->memory)) != NULL) {
        DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
        uint64_t sequence;
        r = dv_encode(&dv_schema_store_intent, intent, &buf, err);
        if (r == 0)
            r = dv_journal_append(s->journal, DV_KIND_store_intent, buf.data, buf.len, &sequence,
                                  err);
        if (r == 0) {
            dv_store_memory_wrote(s->memory, intent, sequence);
            s->applied = sequence; /* nobody else writes before the store has started */
        }
    }
    return r;
}

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    s->journal = s->env->journal;
    s->memory = dv_store_memory_new(s->env->settings->repeats_max);
    if (!s->memory)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the store");
    uint64_t damaged = dv_journal_damaged_bytes(s->journal);
    if (damaged)
        dv_log(DV_LOG_ERROR, "store: %llu bytes of the journal are damaged and were skipped",
               (unsigned long long)damaged);
    s->files =
        s->env->record_files ? *s->env->record_files : dv_record_files_real(s->env->home_dir);
    struct dv_error lost = DV_ERROR_INIT;
    int r = s->files.each(s->files.ctx, load_record, s, err);
    if (r == 0)
        r = dv_journal_each(s->journal, 0, replay, s, err);
    if (r == 0 && write_lost_intents(s, &lost) < 0)
        dv_log(DV_LOG_ERROR, "store: the intent of a create is lost: %s", lost.text);
    if (r == 0 && dv_records_dirty(dv_store_memory_records(s->memory)))
        arm_checkpoint(s, s->env->settings->checkpoint_ms);
    if (r == 0)
        r = dv_watch(cell, dv_journal_broken_fd(s->journal), POLLIN, on_broken, NULL, err);
    return r;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    struct dv_error err = DV_ERROR_INIT;
    on_sync(cell, NULL);
    if (s->memory && checkpoint(s, SIZE_MAX, &err) < 0)
        dv_log(DV_LOG_ERROR, "store: last checkpoint: %s", err.text);
    dv_store_memory_free(s->memory);
}

const struct dv_cell_type dv_store_cell = {
    .name = "store",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .may_block = true,
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
