/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The limits of one field, checked the same way before encoding and after decoding. Private to
 * messages/.
 */
#include "base/error.h"
#include "messages/schema.h"

/* `body` is the struct that holds the field. Nested structs are not looked into. */
int dv_check_field(const struct dv_schema *schema,
                   const struct dv_field *field,
                   const void *body,
                   struct dv_error *err);

/* Whether an optional field has nothing to send. */
bool dv_field_is_empty(const struct dv_field *field, const void *body);

/* Any list: all generated list structs begin like this one. */
struct dv_any_list {
    void *items;
    size_t count;
};

static inline const void *dv_field_at(const struct dv_field *field, const void *body)
{
    return (const char *)body + field->offset;
}

/* An enum member; C gives all our enums the size of int. */
static inline int64_t dv_field_enum(const struct dv_field *field, const void *body)
{
    return *(const int *)dv_field_at(field, body);
}
