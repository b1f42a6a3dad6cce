/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Golden bytes of every kind: a body with every field set is encoded and compared with
 * tests/golden/messages/NAME.hex. A difference is a change of the wire or of the journal.
 * DAVIT_GOLDEN_UPDATE=1 writes the files.
 */
#include "base/durable.h"
#include "messages/catalog.h"
#include "messages/codec.h"
#include "messages/messages.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct any_list {
    void *items;
    size_t count;
};

static void *fill(const struct dv_schema *schema, struct dv_arena *arena, int depth);

static void fill_field(const struct dv_field *field, void *at, struct dv_arena *arena, int depth)
{
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
    case DV_FIELD_TEXT:
        *(char **)at = memset(dv_arena_alloc(arena, (size_t)number + 1), 'x', (size_t)number);
        break;
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
        *(void **)at = fill(field->schema, arena, depth - 1);
        break;
    case DV_FIELD_LIST:
        if (depth > 0)
            *(struct any_list *)at = (struct any_list){fill(field->schema, arena, depth - 1), 1};
        break;
    }
}

static void *fill(const struct dv_schema *schema, struct dv_arena *arena, int depth)
{
    char *body = dv_arena_alloc(arena, schema->size);
    for (size_t i = 0; i < schema->count; i++)
        fill_field(&schema->fields[i], body + schema->fields[i].offset, arena, depth);
    return body;
}

static void check(const struct dv_schema *schema)
{
    struct dv_error err = DV_ERROR_INIT;
    char path[512];
    DV_AUTO(dv_arena) arena = dv_arena_new(8 << 20);
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    DV_AUTO_IN_PLACE(dv_buf) hex = DV_BUF_INIT(2 << 20);
    DV_AUTO_IN_PLACE(dv_buf) golden = DV_BUF_INIT(2 << 20);
    cr_assert_eq(dv_encode(schema, fill(schema, arena, 3), &bytes, &err), 0, "%s", err.text);
    for (size_t i = 0; i < bytes.len; i++)
        cr_assert_eq(dv_buf_printf(&hex, NULL, "%02x%s", (unsigned char)bytes.data[i],
                                   i % 40 == 39 ? "\n" : ""),
                     0);
    cr_assert_eq(dv_buf_append_str(&hex, "\n", NULL), 0);
    snprintf(path, sizeof(path), DV_SOURCE_DIR "/tests/golden/messages/%s.hex", schema->name);
    if (getenv("DAVIT_GOLDEN_UPDATE"))
        cr_assert_eq(dv_durable_replace(path, hex.data, hex.len, 0644, &err), 0, "%s", err.text);
    cr_expect_eq(dv_file_read(path, &golden, &err), 0, "%s", err.text);
    cr_expect_str_eq(golden.data ? golden.data : "", hex.data, "%s changed on the wire",
                     schema->name);
    void *back;
    cr_expect_eq(dv_decode(schema, bytes.data, bytes.len, arena, &back, &err), 0, "%s", err.text);
}

Test(golden, every_kind_is_encoded_as_before)
{
    const struct dv_schema *schema;
    for (size_t i = 0; (schema = dv_schema_at(i)) != NULL; i++)
        if (schema->kind)
            check(schema);
}
