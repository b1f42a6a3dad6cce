/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/codec.h"
#include "messages/json/base64.h"
#include "messages/json/json_codec.h"

#include <string.h>
#include <strings.h>

struct any_list {
    void *items;
    size_t count;
};

struct reader {
    struct dv_arena *arena;
    struct dv_error *err;
};

static int read_object(const struct reader *reader,
                       const struct dv_schema *schema,
                       const struct dv_json *object,
                       const char *kind_key,
                       void *body);

static int wrong(const struct reader *reader,
                 const struct dv_schema *schema,
                 const struct dv_field *field,
                 const char *expected)
{
    return dv_error_set(reader->err, DV_ERR_INVALID, "%s.%s: %s is expected", schema->name,
                        field->name, expected);
}

static int no_memory(const struct reader *reader)
{
    return dv_error_set(reader->err, DV_ERR_NO_MEMORY, "no memory to read a message");
}

static int read_enum(const struct reader *reader,
                     const struct dv_schema *schema,
                     const struct dv_field *field,
                     const struct dv_json *node,
                     int *ret)
{
    char allowed[256];
    int64_t value;
    const char *text = dv_json_text(node);
    if (!text || !dv_enum_parse(field->enums, text, &value))
        return wrong(reader, schema, field,
                     dv_enum_allowed(field->enums, allowed, sizeof(allowed)));
    *ret = (int)value;
    return 0;
}

static int read_bytes(const struct reader *reader,
                      const struct dv_schema *schema,
                      const struct dv_field *field,
                      const struct dv_json *node,
                      struct dv_bytes *ret)
{
    const char *text = dv_json_text(node);
    if (!text)
        return wrong(reader, schema, field, "base64 text");
    size_t len = strlen(text);
    ret->data = dv_arena_alloc(reader->arena, len / 4 * 3 + 1);
    if (!ret->data)
        return no_memory(reader);
    return base64_decode(text, len, ret->data, &ret->len)
               ? 0
               : wrong(reader, schema, field, "base64 text");
}

static int read_texts(const struct reader *reader,
                      const struct dv_schema *schema,
                      const struct dv_field *field,
                      const struct dv_json *node,
                      struct dv_texts *ret)
{
    if (!dv_json_is(node, DV_JSON_ARRAY))
        return wrong(reader, schema, field, "an array of strings");
    ret->items = dv_arena_array(reader->arena, dv_json_count(node), sizeof(*ret->items));
    if (!ret->items)
        return no_memory(reader);
    for (const struct dv_json *item = dv_json_first(node); item; item = dv_json_next(item)) {
        const char *text = dv_json_text(item);
        if (!text)
            return wrong(reader, schema, field, "an array of strings");
        ret->items[ret->count] = dv_arena_strdup(reader->arena, text);
        if (!ret->items[ret->count++])
            return no_memory(reader);
    }
    return 0;
}

static int read_list(const struct reader *reader,
                     const struct dv_schema *schema,
                     const struct dv_field *field,
                     const struct dv_json *node,
                     struct any_list *ret)
{
    if (!dv_json_is(node, DV_JSON_ARRAY))
        return wrong(reader, schema, field, "an array of objects");
    ret->items = dv_arena_array(reader->arena, dv_json_count(node), field->schema->size);
    if (!ret->items)
        return no_memory(reader);
    for (const struct dv_json *item = dv_json_first(node); item; item = dv_json_next(item)) {
        int r = read_object(reader, field->schema, item, NULL,
                            (char *)ret->items + ret->count * field->schema->size);
        if (r < 0)
            return r;
        ret->count++;
    }
    return 0;
}

static int read_value(const struct reader *reader,
                      const struct dv_schema *schema,
                      const struct dv_field *field,
                      const struct dv_json *node,
                      void *at)
{
    switch (field->kind) {
    case DV_FIELD_BOOL:
        if (!dv_json_is(node, DV_JSON_BOOL))
            return wrong(reader, schema, field, "true or false");
        *(bool *)at = dv_json_bool(node);
        return 0;
    case DV_FIELD_INT:
        return dv_json_to_i64(node, at) ? 0 : wrong(reader, schema, field, "a whole number");
    case DV_FIELD_MAYBE:
        ((struct dv_maybe *)at)->is_set = true;
        return dv_json_to_i64(node, &((struct dv_maybe *)at)->value)
                   ? 0
                   : wrong(reader, schema, field, "a whole number");
    case DV_FIELD_ENUM:
        return read_enum(reader, schema, field, node, at);
    case DV_FIELD_TEXT:
        if (!dv_json_text(node))
            return wrong(reader, schema, field, "a string");
        *(char **)at = dv_arena_strdup(reader->arena, dv_json_text(node));
        return *(char **)at ? 0 : no_memory(reader);
    case DV_FIELD_BYTES:
        return read_bytes(reader, schema, field, node, at);
    case DV_FIELD_TEXTS:
        return read_texts(reader, schema, field, node, at);
    case DV_FIELD_STRUCT: {
        void *nested = dv_arena_alloc(reader->arena, field->schema->size);
        *(void **)at = nested;
        return nested ? read_object(reader, field->schema, node, NULL, nested) : no_memory(reader);
    }
    case DV_FIELD_LIST:
        return read_list(reader, schema, field, node, at);
    }
    return 0;
}

static const char *name_at(size_t index, void *ctx)
{
    const struct dv_schema *schema = ctx;
    return index < schema->count ? schema->fields[index].name : NULL;
}

static int unknown(const struct reader *reader, const struct dv_schema *schema, const char *key)
{
    const char *near = dv_str_nearest(dv_str_of(key), name_at, (void *)schema);
    return dv_error_set(reader->err, DV_ERR_INVALID, "%s has no field '%.64s'%s%s%s", schema->name,
                        key, near ? ", did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static const struct dv_field *field_of(const struct dv_schema *schema, const char *key)
{
    for (size_t i = 0; i < schema->count; i++)
        if (strcasecmp(schema->fields[i].name, key) == 0)
            return &schema->fields[i];
    return NULL;
}

static int read_object(const struct reader *reader,
                       const struct dv_schema *schema,
                       const struct dv_json *object,
                       const char *kind_key,
                       void *body)
{
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return dv_error_set(reader->err, DV_ERR_INVALID, "%s: an object is expected", schema->name);
    for (const struct dv_json *at = dv_json_first(object); at; at = dv_json_next(at)) {
        const char *key = dv_json_key(at);
        const struct dv_field *field = field_of(schema, key);
        if (!field && kind_key && strcasecmp(key, kind_key) == 0)
            continue;
        if (!field)
            return unknown(reader, schema, key);
        if (dv_json_is(at, DV_JSON_NULL))
            continue;
        int r = read_value(reader, schema, field, at, (char *)body + field->offset);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_message_read_json(const struct dv_schema *schema,
                         const struct dv_json *object,
                         const char *kind_key,
                         struct dv_arena *arena,
                         void **ret,
                         struct dv_error *err)
{
    struct reader reader = {arena, err};
    void *body = dv_arena_alloc(arena, schema->size);
    if (!body)
        return no_memory(&reader);
    int r = read_object(&reader, schema, object, kind_key, body);
    if (r == 0)
        r = dv_validate(schema, body, err);
    if (r == 0)
        *ret = body;
    return r;
}
