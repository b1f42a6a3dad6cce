/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/check.h"
#include "messages/codec.h"
#include "messages/scan.h"

#include <msgpack.h>
#include <string.h>

struct target {
    struct dv_arena *arena;
    struct dv_error *err;
};

static int read_struct(const struct target *target,
                       const struct dv_schema *schema,
                       const msgpack_object *object,
                       void *body);

static int no_memory(const struct target *target, const struct dv_schema *schema)
{
    return dv_error_set(target->err, DV_ERR_NO_MEMORY, "no memory to decode %s", schema->name);
}

static int wrong_type(const struct target *target,
                      const struct dv_schema *schema,
                      const struct dv_field *field)
{
    return dv_error_set(target->err, DV_ERR_PROTOCOL, "%s.%s has a wrong type", schema->name,
                        field->name);
}

static bool read_int(const msgpack_object *object, int64_t *ret)
{
    if (object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER)
        *ret = object->via.i64;
    else if (object->type == MSGPACK_OBJECT_POSITIVE_INTEGER && object->via.u64 <= INT64_MAX)
        *ret = (int64_t)object->via.u64;
    else
        return false;
    return true;
}

/* A text with a NUL inside would be two different texts to C and to the sender. */
static int read_text(const struct target *target,
                     const struct dv_schema *schema,
                     const struct dv_field *field,
                     const msgpack_object *object,
                     char **ret)
{
    if (object->type != MSGPACK_OBJECT_STR ||
        memchr(object->via.str.ptr ? object->via.str.ptr : "", 0, object->via.str.size))
        return wrong_type(target, schema, field);
    *ret = dv_arena_strndup(target->arena, object->via.str.ptr, object->via.str.size);
    return *ret ? 0 : no_memory(target, schema);
}

static int read_bytes(const struct target *target,
                      const struct dv_schema *schema,
                      const struct dv_field *field,
                      const msgpack_object *object,
                      struct dv_bytes *ret)
{
    if (object->type != MSGPACK_OBJECT_BIN)
        return wrong_type(target, schema, field);
    ret->len = object->via.bin.size;
    ret->data = dv_arena_alloc(target->arena, ret->len);
    if (!ret->data)
        return no_memory(target, schema);
    if (ret->len)
        memcpy(ret->data, object->via.bin.ptr, ret->len);
    return 0;
}

/* Counts are checked against the row before memory is asked for. */
static int read_count(const struct target *target,
                      const struct dv_schema *schema,
                      const struct dv_field *field,
                      const msgpack_object *object,
                      size_t *ret)
{
    if (object->type != MSGPACK_OBJECT_ARRAY)
        return wrong_type(target, schema, field);
    if (object->via.array.size > field->max)
        return dv_error_set(target->err, DV_ERR_INVALID, "%s.%s has %u items, more than %lld",
                            schema->name, field->name, object->via.array.size,
                            (long long)field->max);
    *ret = object->via.array.size;
    return 0;
}

static int read_texts(const struct target *target,
                      const struct dv_schema *schema,
                      const struct dv_field *field,
                      const msgpack_object *object,
                      struct dv_texts *ret)
{
    size_t count;
    int r = read_count(target, schema, field, object, &count);
    if (r < 0)
        return r;
    ret->items = dv_arena_array(target->arena, count, sizeof(*ret->items));
    if (!ret->items)
        return no_memory(target, schema);
    for (size_t i = 0; i < count; i++) {
        r = read_text(target, schema, field, &object->via.array.ptr[i], &ret->items[i]);
        if (r < 0)
            return r;
    }
    ret->count = count;
    return 0;
}

static int read_list(const struct target *target,
                     const struct dv_schema *schema,
                     const struct dv_field *field,
                     const msgpack_object *object,
                     struct dv_any_list *ret)
{
    size_t count;
    int r = read_count(target, schema, field, object, &count);
    if (r < 0)
        return r;
    ret->items = dv_arena_array(target->arena, count, field->schema->size);
    if (!ret->items)
        return no_memory(target, schema);
    for (size_t i = 0; i < count; i++) {
        r = read_struct(target, field->schema, &object->via.array.ptr[i],
                        (char *)ret->items + i * field->schema->size);
        if (r < 0)
            return r;
    }
    ret->count = count;
    return 0;
}

static int read_field(const struct target *target,
                      const struct dv_schema *schema,
                      const struct dv_field *field,
                      const msgpack_object *object,
                      void *body)
{
    void *at = (char *)body + field->offset;
    int64_t number;
    switch (field->kind) {
    case DV_FIELD_BOOL:
        if (object->type != MSGPACK_OBJECT_BOOLEAN)
            return wrong_type(target, schema, field);
        *(bool *)at = object->via.boolean;
        return 0;
    case DV_FIELD_INT:
        return read_int(object, at) ? 0 : wrong_type(target, schema, field);
    case DV_FIELD_MAYBE:
        ((struct dv_maybe *)at)->is_set = true;
        return read_int(object, &((struct dv_maybe *)at)->value)
                   ? 0
                   : wrong_type(target, schema, field);
    case DV_FIELD_ENUM:
        if (!read_int(object, &number) || number < INT32_MIN || number > INT32_MAX)
            return wrong_type(target, schema, field);
        *(int *)at = (int)number;
        return 0;
    case DV_FIELD_TEXT:
        return read_text(target, schema, field, object, at);
    case DV_FIELD_BYTES:
        return read_bytes(target, schema, field, object, at);
    case DV_FIELD_TEXTS:
        return read_texts(target, schema, field, object, at);
    case DV_FIELD_STRUCT: {
        void *nested = dv_arena_alloc(target->arena, field->schema->size);
        if (!nested)
            return no_memory(target, schema);
        *(void **)at = nested;
        return read_struct(target, field->schema, object, nested);
    }
    case DV_FIELD_LIST:
        return read_list(target, schema, field, object, at);
    }
    return 0;
}

static const struct dv_field *field_of(const struct dv_schema *schema, const msgpack_object *key)
{
    if (key->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
        return NULL;
    for (size_t i = 0; i < schema->count; i++)
        if (schema->fields[i].key == key->via.u64)
            return &schema->fields[i];
    return NULL;
}

static int read_struct(const struct target *target,
                       const struct dv_schema *schema,
                       const msgpack_object *object,
                       void *body)
{
    if (object->type != MSGPACK_OBJECT_MAP)
        return dv_error_set(target->err, DV_ERR_PROTOCOL, "%s is not a map", schema->name);
    uint64_t seen[2] = {0, 0}; /* keys are 1..127 */
    for (uint32_t i = 0; i < object->via.map.size; i++) {
        const msgpack_object_kv *pair = &object->via.map.ptr[i];
        const struct dv_field *field = field_of(schema, &pair->key);
        if (!field)
            continue; /* from a newer sender */
        uint64_t bit = 1ULL << (field->key & 63U);
        if (seen[field->key >> 6] & bit)
            return dv_error_set(target->err, DV_ERR_PROTOCOL, "%s.%s comes twice", schema->name,
                                field->name);
        seen[field->key >> 6] |= bit;
        int r = read_field(target, schema, field, &pair->val, body);
        if (r < 0)
            return r;
    }
    for (size_t i = 0; i < schema->count; i++) {
        const struct dv_field *field = &schema->fields[i];
        if (field->is_required && !(seen[field->key >> 6] & 1ULL << (field->key & 63U)))
            return dv_error_set(target->err, DV_ERR_INVALID, "%s.%s is required and absent",
                                schema->name, field->name);
        int r = dv_check_field(schema, field, body, target->err);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_decode(const struct dv_schema *schema,
              const void *bytes,
              size_t len,
              struct dv_arena *arena,
              void **ret,
              struct dv_error *err)
{
    if (len > DV_MESSAGE_BYTES_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "%s of %zu bytes is over the limit of %u",
                            schema->name, len, DV_MESSAGE_BYTES_MAX);
    if (!dv_scan(bytes, len))
        return dv_error_set(err, DV_ERR_PROTOCOL, "%s: %zu bytes are not one msgpack value",
                            schema->name, len);
    void *body = dv_arena_alloc(arena, schema->size);
    if (!body)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to decode %s", schema->name);
    msgpack_unpacked unpacked;
    msgpack_unpacked_init(&unpacked);
    size_t offset = 0;
    msgpack_unpack_return got = msgpack_unpack_next(&unpacked, bytes, len, &offset);
    int r;
    if (got != MSGPACK_UNPACK_SUCCESS && got != MSGPACK_UNPACK_EXTRA_BYTES) {
        r = dv_error_set(err, DV_ERR_PROTOCOL, "%s cannot be unpacked", schema->name);
    } else {
        struct target target = {arena, err};
        r = read_struct(&target, schema, &unpacked.data, body);
    }
    msgpack_unpacked_destroy(&unpacked);
    if (r == 0)
        *ret = body;
    return r;
}

int dv_copy(const struct dv_schema *schema,
            const void *body,
            struct dv_arena *arena,
            void **ret,
            struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    int r = dv_encode(schema, body, &buf, err);
    return r < 0 ? r : dv_decode(schema, buf.data, buf.len, arena, ret, err);
}
