/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/check.h"
#include "messages/codec.h"

#include <string.h>

#define TEXT_SHOWN 160

static int print_text(const char *text, struct dv_buf *out, struct dv_error *err)
{
    size_t len = strnlen(text, TEXT_SHOWN + 1);
    return len > TEXT_SHOWN ? dv_buf_printf(out, err, "\"%.*s...\"", TEXT_SHOWN, text)
                            : dv_buf_printf(out, err, "\"%s\"", text);
}

static int print_texts(const struct dv_texts *texts, struct dv_buf *out, struct dv_error *err)
{
    int r = dv_buf_append_str(out, "[", err);
    for (size_t i = 0; r == 0 && i < texts->count; i++) {
        if (i)
            r = dv_buf_append_str(out, " ", err);
        if (r == 0)
            r = print_text(texts->items[i], out, err);
    }
    return r < 0 ? r : dv_buf_append_str(out, "]", err);
}

static int print_list(const struct dv_field *field,
                      const struct dv_any_list *list,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    int r = dv_buf_append_str(out, "[", err);
    for (size_t i = 0; r == 0 && i < list->count; i++) {
        if (i)
            r = dv_buf_append_str(out, " ", err);
        if (r == 0)
            r = dv_print(field->schema, (const char *)list->items + i * field->schema->size, out,
                         err);
    }
    return r < 0 ? r : dv_buf_append_str(out, "]", err);
}

static int print_value(const struct dv_field *field,
                       const void *body,
                       struct dv_buf *out,
                       struct dv_error *err)
{
    const void *at = dv_field_at(field, body);
    switch (field->kind) {
    case DV_FIELD_BOOL:
        return dv_buf_append_str(out, *(const bool *)at ? "true" : "false", err);
    case DV_FIELD_INT:
        return dv_buf_printf(out, err, "%lld", (long long)*(const int64_t *)at);
    case DV_FIELD_MAYBE:
        return dv_buf_printf(out, err, "%lld", (long long)((const struct dv_maybe *)at)->value);
    case DV_FIELD_ENUM:
        return dv_buf_append_str(out, dv_enum_api(field->enums, dv_field_enum(field, body)), err);
    case DV_FIELD_TEXT:
        return print_text(*(char *const *)at, out, err);
    case DV_FIELD_BYTES:
        return dv_buf_printf(out, err, "<%zu bytes>", ((const struct dv_bytes *)at)->len);
    case DV_FIELD_TEXTS:
        return print_texts(at, out, err);
    case DV_FIELD_STRUCT:
        return dv_print(field->schema, *(void *const *)at, out, err);
    case DV_FIELD_LIST:
        return print_list(field, at, out, err);
    }
    return 0;
}

int dv_print(const struct dv_schema *schema,
             const void *body,
             struct dv_buf *out,
             struct dv_error *err)
{
    int r = dv_buf_printf(out, err, "%s{", schema->name);
    const char *separator = "";
    for (size_t i = 0; r == 0 && i < schema->count; i++) {
        if (dv_field_is_empty(&schema->fields[i], body))
            continue;
        r = dv_buf_printf(out, err, "%s%s=", separator, schema->fields[i].name);
        if (r == 0)
            r = print_value(&schema->fields[i], body, out, err);
        separator = " ";
    }
    return r < 0 ? r : dv_buf_append_str(out, "}", err);
}
