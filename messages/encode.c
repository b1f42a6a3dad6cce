/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/check.h"
#include "messages/codec.h"

#include <msgpack.h>
#include <string.h>

struct sink {
    struct dv_buf *out;
    struct dv_error *err;
};

static int write_bytes(void *data, const char *bytes, size_t len)
{
    struct sink *sink = data;
    /* The first failure is in *err already when msgpack goes on after it. */
    if (sink->err && sink->err->class != DV_ERR_NONE)
        return -1;
    return dv_buf_append(sink->out, bytes, len, sink->err);
}

static int pack_struct(msgpack_packer *pk,
                       const struct dv_schema *schema,
                       const void *body,
                       struct dv_error *err);

static void pack_text(msgpack_packer *pk, const char *text)
{
    size_t len = strlen(text);
    msgpack_pack_str(pk, len);
    msgpack_pack_str_body(pk, text, len);
}

static int pack_list(msgpack_packer *pk,
                     const struct dv_field *field,
                     const struct dv_any_list *list,
                     struct dv_error *err)
{
    msgpack_pack_array(pk, list->count);
    for (size_t i = 0; i < list->count; i++) {
        int r = pack_struct(pk, field->schema, (const char *)list->items + i * field->schema->size,
                            err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
pack_field(msgpack_packer *pk, const struct dv_field *field, const void *body, struct dv_error *err)
{
    const void *at = dv_field_at(field, body);
    switch (field->kind) {
    case DV_FIELD_BOOL:
        *(const bool *)at ? msgpack_pack_true(pk) : msgpack_pack_false(pk);
        break;
    case DV_FIELD_INT:
        msgpack_pack_int64(pk, *(const int64_t *)at);
        break;
    case DV_FIELD_MAYBE:
        msgpack_pack_int64(pk, ((const struct dv_maybe *)at)->value);
        break;
    case DV_FIELD_ENUM:
        msgpack_pack_int64(pk, dv_field_enum(field, body));
        break;
    case DV_FIELD_TEXT:
        pack_text(pk, *(char *const *)at);
        break;
    case DV_FIELD_BYTES: {
        const struct dv_bytes *bytes = at;
        msgpack_pack_bin(pk, bytes->len);
        msgpack_pack_bin_body(pk, bytes->data, bytes->len);
        break;
    }
    case DV_FIELD_TEXTS: {
        const struct dv_texts *texts = at;
        msgpack_pack_array(pk, texts->count);
        for (size_t i = 0; i < texts->count; i++)
            pack_text(pk, texts->items[i]);
        break;
    }
    case DV_FIELD_STRUCT:
        return pack_struct(pk, field->schema, *(void *const *)at, err);
    case DV_FIELD_LIST:
        return pack_list(pk, field, at, err);
    }
    return 0;
}

static bool is_sent(const struct dv_field *field, const void *body)
{
    return field->is_required || !dv_field_is_empty(field, body);
}

static int pack_struct(msgpack_packer *pk,
                       const struct dv_schema *schema,
                       const void *body,
                       struct dv_error *err)
{
    size_t count = 0;
    for (size_t i = 0; i < schema->count; i++) {
        int r = dv_check_field(schema, &schema->fields[i], body, err);
        if (r < 0)
            return r;
        count += is_sent(&schema->fields[i], body);
    }
    msgpack_pack_map(pk, count);
    for (size_t i = 0; i < schema->count; i++) {
        if (!is_sent(&schema->fields[i], body))
            continue;
        msgpack_pack_uint8(pk, schema->fields[i].key);
        int r = pack_field(pk, &schema->fields[i], body, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_encode(const struct dv_schema *schema,
              const void *body,
              struct dv_buf *out,
              struct dv_error *err)
{
    struct dv_error own = DV_ERROR_INIT;
    struct sink sink = {out, &own};
    msgpack_packer pk;
    msgpack_packer_init(&pk, &sink, write_bytes);
    size_t before = out->len;
    int r = pack_struct(&pk, schema, body, &own);
    if (r == 0 && own.class != DV_ERR_NONE)
        r = -(int)own.class;
    if (r == 0 && out->len - before > DV_MESSAGE_BYTES_MAX)
        r = dv_error_set(&own, DV_ERR_LIMIT, "%s would take %zu bytes, more than %u", schema->name,
                         out->len - before, DV_MESSAGE_BYTES_MAX);
    if (r < 0) {
        out->len = before;
        dv_buf_terminate(out);
        if (err)
            *err = own;
    }
    return r;
}

static int validate_nested(const struct dv_field *field, const void *body, struct dv_error *err)
{
    const void *at = dv_field_at(field, body);
    if (field->kind == DV_FIELD_STRUCT)
        return *(void *const *)at ? dv_validate(field->schema, *(void *const *)at, err) : 0;
    if (field->kind != DV_FIELD_LIST)
        return 0;
    const struct dv_any_list *list = at;
    for (size_t i = 0; i < list->count; i++) {
        int r =
            dv_validate(field->schema, (const char *)list->items + i * field->schema->size, err);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_validate(const struct dv_schema *schema, const void *body, struct dv_error *err)
{
    for (size_t i = 0; i < schema->count; i++) {
        int r = dv_check_field(schema, &schema->fields[i], body, err);
        if (r == 0)
            r = validate_nested(&schema->fields[i], body, err);
        if (r < 0)
            return r;
    }
    return 0;
}
