/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/memory.h"
#include "messages/codec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct dv_error err;
static struct dv_store_memory *memory;
static uint64_t last;

static void setup(void)
{
    err = DV_ERROR_INIT;
    memory = dv_store_memory_new(4);
    last = 0;
}

static void teardown(void)
{
    dv_store_memory_free(memory);
}

TestSuite(memory, .init = setup, .fini = teardown);

static struct dv_journal_entry
entry_of(const struct dv_schema *schema, const void *body, struct dv_buf *buf)
{
    *buf = DV_BUF_INIT(1 << 20);
    cr_assert_eq(dv_encode(schema, body, buf, &err), 0, "%s", err.text);
    return (struct dv_journal_entry){++last, schema->kind, buf->data, buf->len};
}

static uint64_t apply(const struct dv_schema *schema, const void *body)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = {0};
    struct dv_journal_entry entry = entry_of(schema, body, &buf);
    cr_assert_eq(dv_store_memory_apply(memory, &entry, &err), 0, "%s", err.text);
    return entry.sequence;
}

static uint64_t command(void)
{
    struct dv_store_command body = {.bridge = (char *)"hono", .raw = {(uint8_t *)"x", 1}};
    return apply(&dv_schema_store_command, &body);
}

static struct dv_container_record record_of(const char *id)
{
    static struct dv_restart_policy policy;
    static struct dv_log_config log;
    static struct dv_container_spec spec = {
        .image_ref = (char *)"r/a:1", .restart_policy = &policy, .log = &log};
    static struct dv_container_state state;
    return (struct dv_container_record){
        .id = (char *)id, .name = (char *)id, .spec = &spec, .state = &state};
}

static void record(const char *id, uint64_t sequence)
{
    struct dv_container_record kept = record_of(id);
    struct dv_store_record body = {.record = &kept, .command_sequence = (int64_t)sequence};
    apply(&dv_schema_store_record, &body);
}

static void gone(const char *id)
{
    struct dv_store_remove body = {.id = (char *)id};
    apply(&dv_schema_store_remove, &body);
}

Test(memory, a_command_is_open_until_it_is_answered)
{
    uint64_t a = command();
    uint64_t b = command();
    uint64_t c = command();
    cr_assert_eq(dv_store_memory_open_after(memory, 0), a);
    struct dv_store_answered answered = {.sequence = (int64_t)b};
    apply(&dv_schema_store_answered, &answered);
    cr_assert_eq(dv_store_memory_open_after(memory, 0), a);
    cr_assert_eq(dv_store_memory_open_after(memory, a), c);
    cr_assert_eq(dv_store_memory_open_after(memory, c), 0);
}

Test(memory, a_command_that_took_effect_is_known_by_its_container_until_it_is_answered)
{
    uint64_t a = command();
    uint64_t b = command();
    cr_assert_null(dv_store_memory_done_id(memory, a));
    cr_assert_not(dv_store_memory_has_done(memory));
    record("1", b);
    cr_assert_null(dv_store_memory_done_id(memory, a));
    cr_assert_str_eq(dv_store_memory_done_id(memory, b), "1");
    cr_assert(dv_store_memory_has_done(memory));
    struct dv_journal_entry entry = {b, DV_KIND_store_command, NULL, 0};
    cr_assert_not(dv_store_memory_keeps(memory, &entry), "it would run again");
    struct dv_store_answered answered = {.sequence = (int64_t)b};
    apply(&dv_schema_store_answered, &answered);
    cr_assert_null(dv_store_memory_done_id(memory, b));
    cr_assert_not(dv_store_memory_has_done(memory));
}

Test(memory, commands_that_others_wrote_are_learned_with_their_ends)
{
    DV_AUTO_IN_PLACE(dv_buf) first = {0};
    DV_AUTO_IN_PLACE(dv_buf) second = {0};
    struct dv_store_command body = {.bridge = (char *)"hono", .raw = {(uint8_t *)"x", 1}};
    struct dv_journal_entry came = entry_of(&dv_schema_store_command, &body, &first);
    struct dv_store_answered answered = {.sequence = (int64_t)came.sequence};
    struct dv_journal_entry ended = entry_of(&dv_schema_store_answered, &answered, &second);
    /* The end was applied when it was written, before the command was ever seen here. */
    cr_assert_eq(dv_store_memory_apply(memory, &ended, &err), 0);
    cr_assert_eq(dv_store_memory_learn(memory, &came, &err), 0);
    cr_assert_eq(dv_store_memory_open_after(memory, 0), came.sequence);
    cr_assert_eq(dv_store_memory_learn(memory, &ended, &err), 0);
    cr_assert_eq(dv_store_memory_open_after(memory, 0), 0,
                 "it does not run again after a rotation");
}

Test(memory, records_are_dirty_until_their_checkpoint)
{
    record("1", 0);
    record("2", 0);
    cr_assert_eq(dv_records_dirty(dv_store_memory_records(memory)), 2);
    dv_records_checkpointed(dv_store_memory_records(memory), "1");
    cr_assert_eq(dv_records_dirty(dv_store_memory_records(memory)), 1);
    record("1", 0);
    cr_assert_eq(dv_records_dirty(dv_store_memory_records(memory)), 2);
    gone("2");
    dv_records_checkpointed(dv_store_memory_records(memory), "2");
    cr_assert_not_null(dv_records_at(dv_store_memory_records(memory), 0));
    cr_assert_null(dv_records_at(dv_store_memory_records(memory), 1), "a removed one is forgotten");
}

Test(memory, an_intent_ends_with_the_remove)
{
    record("1", 0);
    struct dv_store_intent body = {.id = (char *)"1", .work = (char *)"remove"};
    uint64_t sequence = apply(&dv_schema_store_intent, &body);
    struct dv_journal_entry entry = {sequence, DV_KIND_store_intent, NULL, 0};
    cr_assert_str_eq(dv_store_memory_intent(memory, 0)->id, "1");
    cr_assert(dv_store_memory_keeps(memory, &entry));
    gone("1");
    cr_assert_null(dv_store_memory_intent(memory, 0));
    cr_assert_not(dv_store_memory_keeps(memory, &entry));
}

static void intend(const char *id)
{
    struct dv_store_intent body = {.id = (char *)id, .work = (char *)"remove"};
    apply(&dv_schema_store_intent, &body);
}

Test(memory, a_record_takes_the_intent_back_unless_it_is_dead)
{
    record("1", 0);
    record("2", 0);
    intend("1");
    intend("2");
    struct dv_container_record dead = record_of("1");
    struct dv_container_state state = {.status = DV_STATUS_DEAD};
    dead.state = &state;
    struct dv_store_record body = {.record = &dead};
    apply(&dv_schema_store_record, &body);
    record("2", 0);
    cr_assert_str_eq(dv_store_memory_intent(memory, 0)->id, "1");
    cr_assert_null(dv_store_memory_intent(memory, 1), "that remove was given up");
}

Test(memory, an_intent_that_is_over_does_not_come_back_beside_one_that_is_not)
{
    record("1", 0);
    record("2", 0);
    intend("1");
    uint64_t first = last;
    intend("2");
    uint64_t second = last;
    gone("1");
    struct dv_journal_entry entry = {first, DV_KIND_store_intent, NULL, 0};
    cr_assert_not(dv_store_memory_keeps(memory, &entry));
    entry.sequence = second;
    cr_assert(dv_store_memory_keeps(memory, &entry));
}

Test(memory, a_rotation_keeps_open_commands_and_the_newest_answers_only)
{
    uint64_t open = command();
    uint64_t over = command();
    struct dv_store_answered end = {.sequence = (int64_t)over};
    apply(&dv_schema_store_answered, &end);
    struct dv_journal_entry entry = {open, DV_KIND_store_command, NULL, 0};
    cr_assert(dv_store_memory_keeps(memory, &entry));
    entry.sequence = over;
    cr_assert_not(dv_store_memory_keeps(memory, &entry));
    uint64_t answers[6];
    for (size_t i = 0; i < 6; i++) {
        struct dv_command_reply reply = {
            .feature = (char *)"f", .operation = (char *)"o", .status = 204};
        struct dv_store_answered answered = {
            .sequence = 1, .repeat_key = (char *)"k", .reply = &reply};
        answers[i] = apply(&dv_schema_store_answered, &answered);
    }
    for (size_t i = 0; i < 6; i++) {
        struct dv_journal_entry answer = {answers[i], DV_KIND_store_answered, NULL, 0};
        cr_assert_eq(dv_store_memory_keeps(memory, &answer), i >= 2);
    }
}

Test(memory, a_malformed_entry_is_an_error_that_names_it)
{
    struct dv_journal_entry entry = {7, DV_KIND_store_record, "\xc1", 1};
    cr_assert_lt(dv_store_memory_apply(memory, &entry, &err), 0);
    cr_assert(strstr(err.text, "journal entry 7"), "%s", err.text);
}

static uint64_t value(const char *name, const char *text)
{
    struct dv_store_value body = {.name = (char *)name, .value = {(uint8_t *)text, strlen(text)}};
    return apply(&dv_schema_store_value, &body);
}

Test(memory, the_newest_value_of_a_name_counts_and_stays_over_a_rotation)
{
    uint64_t old = value("a", "1");
    uint64_t other = value("b", "22");
    uint64_t fresh = value("a", "333");
    struct dv_bytes kept = dv_store_memory_value(memory, "a");
    cr_assert_eq(kept.len, 3);
    cr_assert_eq(memcmp(kept.data, "333", 3), 0);
    cr_assert_eq(dv_store_memory_value(memory, "c").len, 0);
    struct dv_journal_entry entry = {old, DV_KIND_store_value, NULL, 0};
    cr_assert_not(dv_store_memory_keeps(memory, &entry));
    entry.sequence = other;
    cr_assert(dv_store_memory_keeps(memory, &entry));
    entry.sequence = fresh;
    cr_assert(dv_store_memory_keeps(memory, &entry));
}

Test(memory, an_empty_value_forgets_the_name)
{
    uint64_t old = value("a", "1");
    uint64_t empty = value("a", "");
    cr_assert_eq(dv_store_memory_value(memory, "a").len, 0);
    struct dv_journal_entry entry = {old, DV_KIND_store_value, NULL, 0};
    cr_assert_not(dv_store_memory_keeps(memory, &entry));
    entry.sequence = empty;
    cr_assert_not(dv_store_memory_keeps(memory, &entry));
}

Test(memory, more_values_than_the_limit_are_refused)
{
    char name[16];
    for (int i = 0; i < 64; i++) {
        snprintf(name, sizeof(name), "n%d", i);
        (void)value(name, "x");
    }
    DV_AUTO_IN_PLACE(dv_buf) buf = {0};
    struct dv_store_value body = {.name = (char *)"more", .value = {(uint8_t *)"x", 1}};
    struct dv_journal_entry entry = entry_of(&dv_schema_store_value, &body, &buf);
    cr_assert_eq(dv_store_memory_apply(memory, &entry, &err), -DV_ERR_LIMIT);
}

Test(memory, a_record_recovers_the_intent_that_was_lost_before_it)
{
    uint64_t create = command();
    struct dv_container_record body = record_of("1");
    struct dv_store_record commit = {.record = &body, .create_sequence = (int64_t)create};
    (void)apply(&dv_schema_store_record, &commit);
    const struct dv_store_intent *intent = dv_store_memory_unwritten(memory);
    cr_assert_not_null(intent);
    cr_assert_str_eq(intent->id, "1");
    cr_assert_str_eq(intent->work, "create");
    cr_assert_eq(intent->command_sequence, (int64_t)create);
    dv_store_memory_wrote(memory, intent, 77);
    cr_assert_null(dv_store_memory_unwritten(memory));
    struct dv_journal_entry entry = {77, DV_KIND_store_intent, NULL, 0};
    cr_assert(dv_store_memory_keeps(memory, &entry));
    (void)apply(&dv_schema_store_record, &commit);
    cr_assert_null(dv_store_memory_intent(memory, 1), "once");
}

Test(memory, a_record_with_its_intent_needs_no_other)
{
    uint64_t create = command();
    struct dv_container_record body = record_of("1");
    struct dv_store_intent intent = {
        .id = (char *)"1", .work = (char *)"create", .command_sequence = (int64_t)create};
    struct dv_store_record commit = {.record = &body, .create_sequence = (int64_t)create};
    (void)apply(&dv_schema_store_intent, &intent);
    (void)apply(&dv_schema_store_record, &commit);
    cr_assert_null(dv_store_memory_unwritten(memory));
    cr_assert_null(dv_store_memory_intent(memory, 1));
}

Test(memory, a_folder_without_a_readable_record_is_gone_unless_the_journal_has_one)
{
    size_t count;
    dv_store_memory_lost(memory, "1");
    dv_store_memory_lost(memory, "2");
    (void)dv_store_memory_gone(memory, &count);
    cr_assert_eq(count, 2);
    record("2", 0);
    char **ids = dv_store_memory_gone(memory, &count);
    cr_assert_eq(count, 1);
    cr_assert_str_eq(ids[0], "1");
    gone("2");
    record("3", 0);
    dv_store_memory_lost(memory, "3");
    (void)dv_store_memory_gone(memory, &count);
    cr_assert_eq(count, 2, "what was removed stays gone, what is known is not");
}
