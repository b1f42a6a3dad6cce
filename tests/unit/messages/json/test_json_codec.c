/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/catalog.h"
#include "messages/codec.h"
#include "messages/json/base64.h"
#include "messages/json/json_codec.h"
#include "messages/messages.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dv_error err;

struct any_list {
    void *items;
    size_t count;
};

/* Fills every field of a body with the smallest value that its row allows and is not empty. */
static void *fill(const struct dv_schema *schema, struct dv_arena *arena, int depth)
{
    char *body = dv_arena_alloc(arena, schema->size);
    for (size_t i = 0; i < schema->count; i++) {
        const struct dv_field *field = &schema->fields[i];
        void *at = body + field->offset;
        int64_t number = field->min > 1 ? field->min : field->max >= 1 ? 1 : field->max;
        switch (field->kind) {
        case DV_FIELD_BOOL:
            *(bool *)at = true;
            break;
        case DV_FIELD_INT:
            *(int64_t *)at = number;
            break;
        case DV_FIELD_MAYBE:
            *(struct dv_maybe *)at = (struct dv_maybe){true, number};
            break;
        case DV_FIELD_ENUM:
            *(int *)at = (int)field->enums->values[field->enums->count - 1].number;
            break;
        case DV_FIELD_TEXT: {
            char *text = dv_arena_alloc(arena, (size_t)number + 1);
            memset(text, 'x', (size_t)number);
            *(char **)at = text;
            break;
        }
        case DV_FIELD_BYTES:
            *(struct dv_bytes *)at =
                (struct dv_bytes){(uint8_t *)dv_arena_strdup(arena, "\xff\x01"), 2};
            break;
        case DV_FIELD_TEXTS: {
            char **items = dv_arena_array(arena, 1, sizeof(*items));
            items[0] = dv_arena_strdup(arena, "t");
            *(struct dv_texts *)at = (struct dv_texts){items, 1};
            break;
        }
        case DV_FIELD_STRUCT:
            *(void **)at =
                depth || field->is_required ? fill(field->schema, arena, depth - 1) : NULL;
            break;
        case DV_FIELD_LIST:
            if (depth > 0)
                *(struct any_list *)at =
                    (struct any_list){fill(field->schema, arena, depth - 1), 1};
            break;
        }
    }
    return body;
}

Test(json_codec, every_message_survives_the_round_trip)
{
    const struct dv_schema *schema;
    for (size_t i = 0; (schema = dv_schema_at(i)) != NULL; i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(8 << 20);
        void *body = fill(schema, arena, 3);
        DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1 << 20);
        DV_AUTO_IN_PLACE(dv_buf) before = DV_BUF_INIT(1 << 20);
        DV_AUTO_IN_PLACE(dv_buf) after = DV_BUF_INIT(1 << 20);
        DV_AUTO(dv_json) tree = NULL;
        struct dv_json_writer w;
        err = DV_ERROR_INIT;
        dv_jw_init(&w, &text);
        dv_message_write_json(&w, schema, body);
        cr_assert_eq(dv_jw_done(&w, &err), 0, "%s", err.text);
        cr_assert_eq(dv_json_parse(text.data, text.len, &tree, &err), 0, "%s: %s", text.data,
                     err.text);
        void *back;
        cr_assert_eq(dv_message_read_json(schema, tree, NULL, arena, &back, &err), 0, "%s: %s",
                     schema->name, err.text);
        cr_assert_eq(dv_encode(schema, body, &before, &err), 0, "%s", err.text);
        cr_assert_eq(dv_encode(schema, back, &after, &err), 0, "%s", err.text);
        cr_assert(before.len == after.len && memcmp(before.data, after.data, after.len) == 0, "%s",
                  schema->name);
    }
}

Test(json_codec, reading_is_strict)
{
    static const char *const bad[][2] = {
        {"[]", "an object is expected"},
        {"{\"knid\":1}", "did you mean 'kind'?"},
        {"{\"kind\":\"x\"}", "a whole number is expected"},
        {"{}", "below"},
        {"{\"kind\":70000}", "above"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        DV_AUTO(dv_json) tree = NULL;
        void *back;
        cr_assert_eq(dv_json_parse(bad[i][0], strlen(bad[i][0]), &tree, NULL), 0);
        err = DV_ERROR_INIT;
        cr_expect_lt(dv_message_read_json(&dv_schema_subscribe, tree, NULL, arena, &back, &err), 0,
                     "%s", bad[i][0]);
        cr_expect(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
    }
}

Test(json_codec, base64_is_padded_and_checked)
{
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="}};
    for (size_t i = 0; i < 5; i++) {
        char text[20];
        uint8_t bytes[20];
        size_t len;
        base64_encode((const uint8_t *)pairs[i][0], strlen(pairs[i][0]), text);
        cr_assert_str_eq(text, pairs[i][1]);
        cr_assert(base64_decode(text, strlen(text), bytes, &len));
        cr_assert_eq(len, strlen(pairs[i][0]));
        cr_assert_eq(memcmp(bytes, pairs[i][0], len), 0);
    }
    static const char *const bad[] = {"Z", "Zg=", "Z===", "Z*==", "Zg==Zg==", "=AAA"};
    for (size_t i = 0; i < 6; i++) {
        uint8_t bytes[20];
        size_t len;
        cr_expect_not(base64_decode(bad[i], strlen(bad[i]), bytes, &len), "%s", bad[i]);
    }
}
