/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/check.h"

#include "base/str.h"

#include <string.h>

_Static_assert(sizeof(enum dv_field_kind) == sizeof(int), "enum members are read as int");

static int bad(const struct dv_schema *schema,
               const struct dv_field *field,
               const char *rule,
               int64_t value,
               int64_t limit,
               struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_INVALID, "%s.%s: %lld is %s %lld", schema->name, field->name,
                        (long long)value, rule, (long long)limit);
}

static int check_range(const struct dv_schema *schema,
                       const struct dv_field *field,
                       int64_t value,
                       struct dv_error *err)
{
    if (value < field->min)
        return bad(schema, field, "below", value, field->min, err);
    if (value > field->max)
        return bad(schema, field, "above", value, field->max, err);
    return 0;
}

static int check_length(const struct dv_schema *schema,
                        const struct dv_field *field,
                        size_t len,
                        struct dv_error *err)
{
    if (len > INT64_MAX)
        return bad(schema, field, "above", INT64_MAX, field->max, err);
    return check_range(schema, field, (int64_t)len, err);
}

static int
missing(const struct dv_schema *schema, const struct dv_field *field, struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_INVALID, "%s.%s is required and absent", schema->name,
                        field->name);
}

static int check_text(const struct dv_schema *schema,
                      const struct dv_field *field,
                      const char *text,
                      struct dv_error *err)
{
    size_t len = strlen(text);
    if (!dv_str_is_utf8((struct dv_str){text, len}))
        return dv_error_set(err, DV_ERR_INVALID, "%s.%s is not valid UTF-8", schema->name,
                            field->name);
    return check_length(schema, field, len, err);
}

static int check_texts(const struct dv_schema *schema,
                       const struct dv_field *field,
                       const struct dv_texts *texts,
                       struct dv_error *err)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (!texts->items[i])
            return missing(schema, field, err);
        struct dv_str item = dv_str_of(texts->items[i]);
        if (item.len > DV_TEXT_ITEM_MAX)
            return bad(schema, field, "above", (int64_t)item.len, DV_TEXT_ITEM_MAX, err);
        if (!dv_str_is_utf8(item))
            return dv_error_set(err, DV_ERR_INVALID, "%s.%s[%zu] is not valid UTF-8", schema->name,
                                field->name, i);
    }
    return check_length(schema, field, texts->count, err);
}

bool dv_field_is_empty(const struct dv_field *field, const void *body)
{
    const void *at = dv_field_at(field, body);
    switch (field->kind) {
    case DV_FIELD_BOOL:
        return !*(const bool *)at;
    case DV_FIELD_INT:
        return *(const int64_t *)at == 0;
    case DV_FIELD_MAYBE:
        return !((const struct dv_maybe *)at)->is_set;
    case DV_FIELD_ENUM:
        return dv_field_enum(field, body) == 0;
    case DV_FIELD_TEXT:
        return !*(char *const *)at;
    case DV_FIELD_BYTES:
        return ((const struct dv_bytes *)at)->len == 0;
    case DV_FIELD_TEXTS:
        return ((const struct dv_texts *)at)->count == 0;
    case DV_FIELD_STRUCT:
        return !*(void *const *)at;
    case DV_FIELD_LIST:
        return ((const struct dv_any_list *)at)->count == 0;
    }
    return true;
}

int dv_check_field(const struct dv_schema *schema,
                   const struct dv_field *field,
                   const void *body,
                   struct dv_error *err)
{
    const void *at = dv_field_at(field, body);
    bool is_empty = dv_field_is_empty(field, body);
    if (is_empty && !field->is_required)
        return 0;
    switch (field->kind) {
    case DV_FIELD_BOOL:
        return 0;
    case DV_FIELD_INT:
        return check_range(schema, field, *(const int64_t *)at, err);
    case DV_FIELD_MAYBE:
        return is_empty ? missing(schema, field, err)
                        : check_range(schema, field, ((const struct dv_maybe *)at)->value, err);
    case DV_FIELD_ENUM:
        if (strcmp(dv_enum_api(field->enums, dv_field_enum(field, body)), "?") == 0)
            return dv_error_set(err, DV_ERR_INVALID, "%s.%s: %lld is no %s", schema->name,
                                field->name, (long long)dv_field_enum(field, body),
                                field->enums->name);
        return 0;
    case DV_FIELD_TEXT:
        return is_empty ? missing(schema, field, err)
                        : check_text(schema, field, *(char *const *)at, err);
    case DV_FIELD_BYTES:
        return check_length(schema, field, ((const struct dv_bytes *)at)->len, err);
    case DV_FIELD_TEXTS:
        return check_texts(schema, field, at, err);
    case DV_FIELD_STRUCT:
        return is_empty ? missing(schema, field, err) : 0;
    case DV_FIELD_LIST:
        return check_length(schema, field, ((const struct dv_any_list *)at)->count, err);
    }
    return 0;
}
