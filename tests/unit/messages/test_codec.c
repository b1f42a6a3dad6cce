/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "messages/catalog.h"
#include "messages/codec.h"
#include "messages/messages.h"
#include "messages/scan.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dv_error err;

static void reset(void)
{
    err = DV_ERROR_INIT;
}

TestSuite(codec, .init = reset);

static struct dv_container_record example(void)
{
    static char *env[] = {"A=1", "B"};
    static struct dv_mount_point mounts[] = {{.source = "/a", .destination = "/b"}};
    static struct dv_restart_policy policy = {.type = DV_RESTART_ON_FAILURE, .max_retry_count = 3};
    static struct dv_log_config log = {.max_files = 2, .max_size = "100M"};
    static struct dv_container_spec spec = {
        .image_ref = "r.example/a:1",
        .env = {env, 2},
        .mount_points = {mounts, 1},
        .restart_policy = &policy,
        .log = &log,
    };
    static struct dv_container_state state = {.status = DV_STATUS_EXITED, .pid = -1};
    return (struct dv_container_record){
        .id = "7b0c", .name = "web", .spec = &spec, .state = &state, .created_ns = 5};
}

static void *round_trip(const struct dv_schema *schema, const void *body, struct dv_arena *arena)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    cr_assert_eq(dv_encode(schema, body, &buf, &err), 0, "%s", err.text);
    void *back = NULL;
    cr_assert_eq(dv_decode(schema, buf.data, buf.len, arena, &back, &err), 0, "%s", err.text);
    return back;
}

Test(codec, record_survives_the_round_trip)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_container_record record = example();
    struct dv_container_record *back = round_trip(&dv_schema_container_record, &record, arena);
    cr_assert_str_eq(back->id, "7b0c");
    cr_assert_eq(back->spec->env.count, 2);
    cr_assert_str_eq(back->spec->env.items[1], "B");
    cr_assert_eq(back->spec->mount_points.count, 1);
    cr_assert_str_eq(back->spec->mount_points.items[0].destination, "/b");
    cr_assert_eq(back->spec->restart_policy->type, DV_RESTART_ON_FAILURE);
    cr_assert_eq(back->state->pid, -1);
    cr_assert_eq(back->state->status, DV_STATUS_EXITED);
    cr_assert_null(back->spec->host_name);
}

Test(codec, empty_message_is_one_byte)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(100);
    struct dv_done done;
    cr_assert_eq(dv_encode(&dv_schema_done, &done, &buf, &err), 0);
    cr_assert_eq(buf.len, 1);
}

Test(codec, encode_refuses_an_absent_required_field_and_leaves_the_buffer)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(1000);
    cr_assert_eq(dv_buf_append_str(&buf, "x", &err), 0);
    struct dv_container_record record = example();
    record.name = NULL;
    cr_assert_eq(dv_encode(&dv_schema_container_record, &record, &buf, &err), -DV_ERR_INVALID);
    cr_assert(strstr(err.text, "container_record.name"), "%s", err.text);
    cr_assert_eq(buf.len, 1);
}

Test(codec, validate_reaches_into_lists)
{
    struct dv_container_record record = example();
    struct dv_mount_point bad = {.source = "/a", .destination = ""};
    struct dv_container_spec spec = *record.spec;
    spec.mount_points.items = &bad;
    record.spec = &spec;
    cr_assert_eq(dv_validate(&dv_schema_container_record, &record, &err), -DV_ERR_INVALID);
    cr_assert(strstr(err.text, "mount_point.destination"), "%s", err.text);
}

Test(codec, decode_refuses_every_truncation_and_trailing_byte)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    struct dv_container_record record = example();
    cr_assert_eq(dv_encode(&dv_schema_container_record, &record, &buf, &err), 0);
    for (size_t len = 0; len < buf.len; len++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        struct dv_error e = DV_ERROR_INIT;
        void *back;
        cr_assert_lt(dv_decode(&dv_schema_container_record, buf.data, len, arena, &back, &e), 0);
    }
    cr_assert_eq(dv_buf_append(&buf, "\0", 1, &err), 0);
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    void *back;
    cr_assert_eq(dv_decode(&dv_schema_container_record, buf.data, buf.len, arena, &back, &err),
                 -DV_ERR_PROTOCOL);
}

static int decode_bytes(const struct dv_schema *schema, const char *bytes, size_t len)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    void *back;
    err = DV_ERROR_INIT;
    return dv_decode(schema, bytes, len, arena, &back, &err);
}

Test(codec, decode_refuses_hostile_shapes)
{
    /* subscribe.kind is an INT with key 1 */
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\x81\x01\x05", 3), 0);
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\x81\x01\xa1x", 4), -DV_ERR_PROTOCOL);
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\x82\x01\x05\x01\x05", 5), -DV_ERR_PROTOCOL);
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\x80", 1), -DV_ERR_INVALID);
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\x81\x01\x00", 3), -DV_ERR_INVALID);
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\xdd\xff\xff\xff\xff", 5), -DV_ERR_PROTOCOL);
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\xc1", 1), -DV_ERR_PROTOCOL);
    cr_assert_eq(decode_bytes(&dv_schema_subscribe, "\x82\x01\x05\x7f\xc0", 5), 0, "unknown key");
    cr_assert_eq(
        decode_bytes(&dv_schema_subscribe, "\x81\x01\xcf\xff\xff\xff\xff\xff\xff\xff\xff", 11),
        -DV_ERR_PROTOCOL);
    /* failure.text: a NUL inside, and bytes that are no UTF-8 */
    cr_assert_eq(decode_bytes(&dv_schema_failure, "\x82\x01\x05\x03\xa1\x00", 6), -DV_ERR_PROTOCOL);
    cr_assert_eq(decode_bytes(&dv_schema_failure, "\x82\x01\x05\x03\xa1\xff", 6), -DV_ERR_INVALID);
}

Test(codec, decode_refuses_deep_nesting)
{
    char deep[64];
    memset(deep, '\x91', sizeof(deep));
    deep[63] = '\xc0';
    cr_assert_not(dv_scan(deep, sizeof(deep)));
    cr_assert(dv_scan(deep + 64 - DV_SCAN_DEPTH_MAX, DV_SCAN_DEPTH_MAX));
}

Test(codec, print_shows_fields_that_are_set)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(10000);
    struct dv_subscribe body = {.kind = 7};
    cr_assert_eq(dv_print(&dv_schema_subscribe, &body, &buf, &err), 0);
    cr_assert_str_eq(buf.data, "subscribe{kind=7}");
    dv_buf_clear(&buf);
    struct dv_container_record record = example();
    cr_assert_eq(dv_print(&dv_schema_container_record, &record, &buf, &err), 0);
    cr_assert(strstr(buf.data, "type=ON_FAILURE"), "%s", buf.data);
    cr_assert(strstr(buf.data, "env=[\"A=1\" \"B\"]"), "%s", buf.data);
}

Test(codec, copy_does_not_share_memory)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_container_record record = example();
    void *copy;
    cr_assert_eq(dv_copy(&dv_schema_container_record, &record, arena, &copy, &err), 0);
    struct dv_container_record *back = copy;
    cr_assert_neq(back->id, record.id);
    cr_assert_str_eq(back->id, record.id);
}

Test(codec, enum_text_is_read_in_any_spelling)
{
    int64_t value;
    cr_assert(dv_enum_parse(&dv_enum_restart_type, "on_Failure", &value));
    cr_assert_eq(value, DV_RESTART_ON_FAILURE);
    cr_assert(dv_enum_parse(&dv_enum_restart_type, "unless-stopped", &value));
    cr_assert_not(dv_enum_parse(&dv_enum_restart_type, "sometimes", &value));
    char text[100];
    cr_assert_str_eq(dv_enum_allowed(&dv_enum_network_mode, text, sizeof(text)), "BRIDGE, HOST");
}

Test(codec, every_table_is_sound)
{
    const struct dv_schema *schema;
    for (size_t i = 0; (schema = dv_schema_at(i)) != NULL; i++) {
        uint64_t seen[2] = {0, 0};
        for (size_t f = 0; f < schema->count; f++) {
            const struct dv_field *field = &schema->fields[f];
            cr_assert(field->key >= 1 && field->key <= 127, "%s.%s", schema->name, field->name);
            uint64_t bit = 1ULL << (field->key & 63U);
            cr_assert_not(seen[field->key >> 6] & bit, "%s.%s: key used twice", schema->name,
                          field->name);
            seen[field->key >> 6] |= bit;
            cr_assert_leq(field->min, field->max);
        }
        if (schema->kind)
            cr_assert_eq(dv_schema_of_kind(schema->kind), schema);
        cr_assert_eq(dv_schema_of_name(schema->name), schema);
    }
    cr_assert_null(dv_schema_of_kind(65535));
}
