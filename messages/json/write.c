/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/json/base64.h"
#include "messages/json/json_codec.h"

#include <stdlib.h>

/* All generated list structs begin like this one. */
struct any_list {
    const char *items;
    size_t count;
};

static bool is_left_out(const struct dv_field *field, const void *at)
{
    if (field->is_required)
        return false;
    switch (field->kind) {
    case DV_FIELD_BOOL:
        return !*(const bool *)at;
    case DV_FIELD_INT:
        return *(const int64_t *)at == 0;
    case DV_FIELD_MAYBE:
        return !((const struct dv_maybe *)at)->is_set;
    case DV_FIELD_ENUM:
        return false; /* zero has a name that a reader wants to see */
    case DV_FIELD_TEXT:
    case DV_FIELD_STRUCT:
        return !*(void *const *)at;
    case DV_FIELD_BYTES:
        return ((const struct dv_bytes *)at)->len == 0;
    case DV_FIELD_TEXTS:
        return ((const struct dv_texts *)at)->count == 0;
    case DV_FIELD_LIST:
        return ((const struct any_list *)at)->count == 0;
    }
    return true;
}

static void write_bytes(struct dv_json_writer *w, const struct dv_bytes *bytes)
{
    dv_autofree char *text = malloc(BASE64_SIZE(bytes->len));
    if (!text) {
        if (w->error.class == DV_ERR_NONE)
            dv_error_set(&w->error, DV_ERR_NO_MEMORY, "no memory to write %zu bytes", bytes->len);
        return;
    }
    base64_encode(bytes->data, bytes->len, text);
    dv_jw_text(w, text);
}

static void write_value(struct dv_json_writer *w, const struct dv_field *field, const void *at)
{
    switch (field->kind) {
    case DV_FIELD_BOOL:
        dv_jw_bool(w, *(const bool *)at);
        break;
    case DV_FIELD_INT:
        dv_jw_i64(w, *(const int64_t *)at);
        break;
    case DV_FIELD_MAYBE:
        dv_jw_i64(w, ((const struct dv_maybe *)at)->value);
        break;
    case DV_FIELD_ENUM:
        dv_jw_text(w, dv_enum_api(field->enums, *(const int *)at));
        break;
    case DV_FIELD_TEXT:
        dv_jw_text(w, *(char *const *)at);
        break;
    case DV_FIELD_BYTES:
        write_bytes(w, at);
        break;
    case DV_FIELD_TEXTS: {
        const struct dv_texts *texts = at;
        dv_jw_array(w);
        for (size_t i = 0; i < texts->count; i++)
            dv_jw_text(w, texts->items[i]);
        dv_jw_array_end(w);
        break;
    }
    case DV_FIELD_STRUCT:
        dv_message_write_json(w, field->schema, *(void *const *)at);
        break;
    case DV_FIELD_LIST: {
        const struct any_list *list = at;
        dv_jw_array(w);
        for (size_t i = 0; i < list->count; i++)
            dv_message_write_json(w, field->schema, list->items + i * field->schema->size);
        dv_jw_array_end(w);
        break;
    }
    }
}

void dv_message_write_members(struct dv_json_writer *w,
                              const struct dv_schema *schema,
                              const void *body)
{
    for (size_t i = 0; i < schema->count; i++) {
        const struct dv_field *field = &schema->fields[i];
        const void *at = (const char *)body + field->offset;
        if (is_left_out(field, at))
            continue;
        dv_jw_key(w, field->name);
        write_value(w, field, at);
    }
}

void dv_message_write_json(struct dv_json_writer *w,
                           const struct dv_schema *schema,
                           const void *body)
{
    dv_jw_object(w);
    dv_message_write_members(w, schema, body);
    dv_jw_object_end(w);
}
