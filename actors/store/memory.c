/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/memory.h"

#include "actors/store/gone.h"
#include "actors/store/values.h"
#include "messages/codec.h"

#include <stdlib.h>
#include <string.h>

#define ENTRY_ARENA_MAX (8U << 20)

struct intent {
    struct dv_store_intent view;
    char *id;
    char *work;
    uint64_t entry; /* of the journal; 0: it has none */
};

/* A command that is taken and not answered. */
struct open_command {
    uint64_t sequence;
    char *done_id; /* container that it took effect on; NULL: it has still to run */
};

struct dv_store_memory {
    struct open_command *open; /* ascending */
    size_t open_count;
    size_t open_room;

    uint64_t *answers; /* numbers of store_answered entries, the oldest first */
    size_t answers_count;
    size_t answers_max;

    struct intent *intents;
    size_t intent_count;
    size_t intent_room;

    struct dv_records *records;
    struct dv_gone *gone;
    struct dv_values *values;
};

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the store");
}

static bool grow(void **array, size_t *room, size_t count, size_t size)
{
    if (count < *room)
        return true;
    size_t more = *room ? *room * 2 : 64;
    void *grown = reallocarray(*array, more, size);
    if (!grown)
        return false;
    *array = grown;
    *room = more;
    return true;
}

struct dv_store_memory *dv_store_memory_new(unsigned answers_max)
{
    struct dv_store_memory *memory = calloc(1, sizeof(*memory));
    if (!memory)
        return NULL;
    memory->answers_max = answers_max ? answers_max : 1;
    memory->answers = calloc(memory->answers_max, sizeof(*memory->answers));
    memory->records = dv_records_new();
    memory->gone = dv_gone_new();
    memory->values = dv_values_new();
    if (memory->answers && memory->records && memory->gone && memory->values)
        return memory;
    dv_store_memory_free(memory);
    return NULL;
}

static void free_intent(struct intent *intent)
{
    free(intent->id);
    free(intent->work);
}

void dv_store_memory_free(struct dv_store_memory *memory)
{
    if (!memory)
        return;
    for (size_t i = 0; i < memory->intent_count; i++)
        free_intent(&memory->intents[i]);
    dv_records_free(memory->records);
    dv_gone_free(memory->gone);
    dv_values_free(memory->values);
    for (size_t i = 0; i < memory->open_count; i++)
        free(memory->open[i].done_id);
    free(memory->open);
    free(memory->answers);
    free(memory->intents);
    free(memory);
}

/* -- records -------------------------------------------------------------------------------- */

static int put(struct dv_store_memory *memory,
               const struct dv_container_record *record,
               bool is_dirty,
               struct dv_error *err)
{
    int r = dv_records_put(memory->records, record, is_dirty, err);
    if (r == 0)
        dv_gone_found(memory->gone, record->id);
    return r;
}

void dv_store_memory_lost(struct dv_store_memory *memory, const char *id)
{
    if (!dv_records_has(memory->records, id))
        (void)dv_gone_add(memory->gone, id, 0);
}

int dv_store_memory_add_file(struct dv_store_memory *memory,
                             const struct dv_container_record *record,
                             bool is_current,
                             struct dv_error *err)
{
    return put(memory, record, !is_current, err);
}

struct dv_records *dv_store_memory_records(struct dv_store_memory *memory)
{
    return memory->records;
}

/* -- commands, answers, intents ------------------------------------------------------------- */

static bool open_index(const struct dv_store_memory *memory, uint64_t sequence, size_t *ret)
{
    size_t low = 0;
    size_t high = memory->open_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory->open[middle].sequence < sequence)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return low < memory->open_count && memory->open[low].sequence == sequence;
}

static bool is_create(const struct intent *intent)
{
    return strcmp(intent->work, "create") == 0;
}

/* A create that is answered is over; other intents end with their container. */
static void end_create(struct dv_store_memory *memory, int64_t sequence)
{
    size_t kept = 0;
    for (size_t i = 0; i < memory->intent_count; i++) {
        if (is_create(&memory->intents[i]) && memory->intents[i].view.command_sequence == sequence)
            free_intent(&memory->intents[i]);
        else
            memory->intents[kept++] = memory->intents[i];
    }
    memory->intent_count = kept;
}

static void close_command(struct dv_store_memory *memory, int64_t sequence)
{
    size_t index;
    if (sequence <= 0 || !open_index(memory, (uint64_t)sequence, &index))
        return;
    end_create(memory, sequence);
    free(memory->open[index].done_id);
    memmove(&memory->open[index], &memory->open[index + 1],
            (memory->open_count - index - 1) * sizeof(*memory->open));
    memory->open_count--;
}

/* Its effect is durable: it must not run again, but it is not answered yet. */
static int complete_command(struct dv_store_memory *memory,
                            int64_t sequence,
                            const char *id,
                            struct dv_error *err)
{
    size_t index;
    if (sequence <= 0 || !open_index(memory, (uint64_t)sequence, &index))
        return 0;
    char *copy = strdup(id);
    if (!copy)
        return no_memory(err);
    free(memory->open[index].done_id);
    memory->open[index].done_id = copy;
    return 0;
}

const char *dv_store_memory_done_id(const struct dv_store_memory *memory, uint64_t sequence)
{
    size_t index;
    return open_index(memory, sequence, &index) ? memory->open[index].done_id : NULL;
}

bool dv_store_memory_has_done(const struct dv_store_memory *memory)
{
    for (size_t i = 0; i < memory->open_count; i++)
        if (memory->open[i].done_id)
            return true;
    return false;
}

uint64_t dv_store_memory_open_after(const struct dv_store_memory *memory, uint64_t after)
{
    size_t index;
    (void)open_index(memory, after + 1, &index);
    return index < memory->open_count ? memory->open[index].sequence : 0;
}

/* Those of a container that is gone, or only its removes. */
static void drop_intents(struct dv_store_memory *memory, const char *id, bool removes_only)
{
    size_t kept = 0;
    for (size_t i = 0; i < memory->intent_count; i++) {
        const struct intent *intent = &memory->intents[i];
        if (strcmp(intent->id, id) == 0 && !(removes_only && is_create(intent)))
            free_intent(&memory->intents[i]);
        else
            memory->intents[kept++] = memory->intents[i];
    }
    memory->intent_count = kept;
}

static int add_intent(struct dv_store_memory *memory,
                      const struct dv_store_intent *intent,
                      uint64_t entry,
                      struct dv_error *err)
{
    if (!grow((void **)&memory->intents, &memory->intent_room, memory->intent_count,
              sizeof(*memory->intents)))
        return no_memory(err);
    struct intent fresh = {.id = strdup(intent->id), .work = strdup(intent->work), .entry = entry};
    if (!fresh.id || !fresh.work) {
        free_intent(&fresh);
        return no_memory(err);
    }
    fresh.view = (struct dv_store_intent){fresh.id, fresh.work, intent->command_sequence, {}};
    /* One whose command is over was kept in the journal beside others. */
    size_t index;
    if (is_create(&fresh) && !open_index(memory, (uint64_t)intent->command_sequence, &index))
        free_intent(&fresh);
    else
        memory->intents[memory->intent_count++] = fresh;
    return 0;
}

const struct dv_store_intent *dv_store_memory_intent(const struct dv_store_memory *memory,
                                                     size_t index)
{
    if (index >= memory->intent_count)
        return NULL;
    struct intent *intent = &memory->intents[index];
    intent->view.id = intent->id;
    intent->view.work = intent->work;
    return &intent->view;
}

/* Answers that are remembered for repeats; only the newest stay. */
static void add_answer(struct dv_store_memory *memory, uint64_t sequence)
{
    if (memory->answers_count == memory->answers_max) {
        memory->answers_count--;
        memmove(memory->answers, memory->answers + 1,
                memory->answers_count * sizeof(*memory->answers));
    }
    memory->answers[memory->answers_count++] = sequence;
}

/* -- entries -------------------------------------------------------------------------------- */

/* What an entry says of a command: that it took effect, or that it is over. */
static int take_end(struct dv_store_memory *memory,
                    const struct dv_journal_entry *entry,
                    const void *body,
                    struct dv_error *err)
{
    if (entry->kind == DV_KIND_store_record) {
        const struct dv_store_record *record = body;
        return complete_command(memory, record->command_sequence, record->record->id, err);
    }
    if (entry->kind == DV_KIND_store_remove) {
        const struct dv_store_remove *gone = body;
        return complete_command(memory, gone->command_sequence, gone->id, err);
    }
    if (entry->kind == DV_KIND_store_answered)
        close_command(memory, ((const struct dv_store_answered *)body)->sequence);
    return 0;
}

/* A power cut may keep a record and lose the intent that was written before it. */
static int recover_intent(struct dv_store_memory *memory,
                          const struct dv_store_record *commit,
                          struct dv_error *err)
{
    if (!commit->create_sequence)
        return 0;
    for (size_t i = 0; i < memory->intent_count; i++)
        if (is_create(&memory->intents[i]) &&
            memory->intents[i].view.command_sequence == commit->create_sequence)
            return 0;
    struct dv_store_intent intent = {
        .id = commit->record->id,
        .work = (char *)"create",
        .command_sequence = commit->create_sequence,
    };
    return add_intent(memory, &intent, 0, err);
}

static int apply_decoded(struct dv_store_memory *memory,
                         const struct dv_journal_entry *entry,
                         const void *body,
                         struct dv_error *err)
{
    int r = take_end(memory, entry, body, err);
    if (r < 0)
        return r;
    if (entry->kind == DV_KIND_store_record) {
        const struct dv_store_record *commit = body;
        const struct dv_container_record *record = commit->record;
        r = recover_intent(memory, commit, err);
        if (r < 0)
            return r;
        /* A remove makes it DEAD first; any other state afterwards means that it was given up. */
        if (record->state->status != DV_STATUS_DEAD)
            drop_intents(memory, record->id, true);
        return put(memory, record, true, err);
    }
    if (entry->kind == DV_KIND_store_intent)
        return add_intent(memory, body, entry->sequence, err);
    if (entry->kind == DV_KIND_store_remove) {
        const struct dv_store_remove *gone = body;
        dv_records_mark_removed(memory->records, gone->id);
        drop_intents(memory, gone->id, false);
        if (!dv_gone_add(memory->gone, gone->id, entry->sequence))
            return no_memory(err);
    } else if (entry->kind == DV_KIND_store_gone_told) {
        dv_gone_forget(memory->gone, ((const struct dv_store_gone_told *)body)->id);
    } else if (entry->kind == DV_KIND_store_value) {
        const struct dv_store_value *value = body;
        if (!dv_values_put(memory->values, value->name, value->value, entry->sequence))
            return dv_error_set(err, DV_ERR_LIMIT, "no room for the value '%s': %u names at most",
                                value->name, DV_VALUES_MAX);
    } else if (entry->kind == DV_KIND_store_answered) {
        const struct dv_store_answered *answered = body;
        if (answered->reply && answered->repeat_key && answered->repeat_key[0])
            add_answer(memory, entry->sequence);
    }
    return 0;
}

/* A create's intent is known beside its command only, which was not seen when it was applied. */
static int learn_decoded(struct dv_store_memory *memory,
                         const struct dv_journal_entry *entry,
                         const void *body,
                         struct dv_error *err)
{
    const struct dv_store_intent *intent = body;
    if (entry->kind == DV_KIND_store_intent)
        return strcmp(intent->work, "create") == 0
                   ? add_intent(memory, intent, entry->sequence, err)
                   : 0;
    return take_end(memory, entry, body, err);
}

static int add_command(struct dv_store_memory *memory, uint64_t sequence, struct dv_error *err)
{
    if (!grow((void **)&memory->open, &memory->open_room, memory->open_count,
              sizeof(*memory->open)))
        return no_memory(err);
    memory->open[memory->open_count++] = (struct open_command){.sequence = sequence};
    return 0;
}

static const struct dv_schema *schema_of(uint16_t kind)
{
    switch (kind) {
    case DV_KIND_store_record:
        return &dv_schema_store_record;
    case DV_KIND_store_remove:
        return &dv_schema_store_remove;
    case DV_KIND_store_answered:
        return &dv_schema_store_answered;
    case DV_KIND_store_intent:
        return &dv_schema_store_intent;
    case DV_KIND_store_gone_told:
        return &dv_schema_store_gone_told;
    case DV_KIND_store_value:
        return &dv_schema_store_value;
    default:
        return NULL;
    }
}

static int take(struct dv_store_memory *memory,
                const struct dv_journal_entry *entry,
                bool commands_only,
                struct dv_error *err)
{
    if (entry->kind == DV_KIND_store_command)
        return add_command(memory, entry->sequence, err);
    const struct dv_schema *schema = schema_of(entry->kind);
    if (!schema)
        return 0;
    DV_AUTO(dv_arena) arena = dv_arena_new(ENTRY_ARENA_MAX);
    if (!arena)
        return no_memory(err);
    void *body;
    int r = dv_decode(schema, entry->payload, entry->len, arena, &body, err);
    if (r == 0 && commands_only)
        r = learn_decoded(memory, entry, body, err);
    else if (r == 0)
        r = apply_decoded(memory, entry, body, err);
    if (r < 0)
        return dv_error_prefix(err, "journal entry %llu: ", (unsigned long long)entry->sequence);
    return 0;
}

int dv_store_memory_apply(struct dv_store_memory *memory,
                          const struct dv_journal_entry *entry,
                          struct dv_error *err)
{
    return take(memory, entry, false, err);
}

int dv_store_memory_learn(struct dv_store_memory *memory,
                          const struct dv_journal_entry *entry,
                          struct dv_error *err)
{
    return take(memory, entry, true, err);
}

struct dv_bytes dv_store_memory_value(const struct dv_store_memory *memory, const char *name)
{
    return dv_values_get(memory->values, name);
}

void dv_store_memory_forget(struct dv_store_memory *memory, const char *name)
{
    (void)dv_values_put(memory->values, name, (struct dv_bytes){0}, 0);
}

char **dv_store_memory_gone(struct dv_store_memory *memory, size_t *ret_count)
{
    return dv_gone_all(memory->gone, ret_count);
}

const struct dv_store_intent *dv_store_memory_unwritten(const struct dv_store_memory *memory)
{
    for (size_t i = 0; i < memory->intent_count; i++)
        if (!memory->intents[i].entry)
            return &memory->intents[i].view;
    return NULL;
}

void dv_store_memory_wrote(struct dv_store_memory *memory,
                           const struct dv_store_intent *intent,
                           uint64_t sequence)
{
    for (size_t i = 0; i < memory->intent_count; i++)
        if (&memory->intents[i].view == intent)
            memory->intents[i].entry = sequence;
}

bool dv_store_memory_keeps(const struct dv_store_memory *memory,
                           const struct dv_journal_entry *entry)
{
    size_t index;
    switch (entry->kind) {
    case DV_KIND_store_command:
        /* What says that it is done does not stay: alone it would run again. */
        return open_index(memory, entry->sequence, &index) && !memory->open[index].done_id;
    case DV_KIND_store_answered:
        for (index = 0; index < memory->answers_count; index++)
            if (memory->answers[index] == entry->sequence)
                return true;
        return false;
    case DV_KIND_store_intent:
        for (index = 0; index < memory->intent_count; index++)
            if (memory->intents[index].entry == entry->sequence)
                return true;
        return false;
    case DV_KIND_store_remove:
        return dv_gone_is_of(memory->gone, entry->sequence);
    case DV_KIND_store_value:
        return dv_values_is_of(memory->values, entry->sequence);
    default:
        return false;
    }
}
