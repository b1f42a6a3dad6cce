/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/messages.h"

#include "messages/catalog.h"

/* Rows into tables: every family file is read once more, now producing data instead of types. */

#define DV_ENUM_VALUE(constant, number, api, record) {(number), (api), (record)},
#define DV_ENUM(name, doc)                                                                         \
    static const struct dv_enum_value name##_values[] = {DV_VALUES_##name(DV_ENUM_VALUE)};         \
    const struct dv_enum_table dv_enum_##name = {                                                  \
        #name, (doc), name##_values, sizeof(name##_values) / sizeof(name##_values[0])};

#define DV_SUB_BOOL(type)   NULL, NULL
#define DV_SUB_INT(type)    NULL, NULL
#define DV_SUB_MAYBE(type)  NULL, NULL
#define DV_SUB_ENUM(type)   NULL, &dv_enum_##type
#define DV_SUB_TEXT(type)   NULL, NULL
#define DV_SUB_BYTES(type)  NULL, NULL
#define DV_SUB_TEXTS(type)  NULL, NULL
#define DV_SUB_STRUCT(type) &dv_schema_##type, NULL
#define DV_SUB_LIST(type)   &dv_schema_##type, NULL
#define DV_REQUIRED         true
#define DV_OPTIONAL         false
#define DV_ROW(S, KIND, TYPE, field, number, presence, minimum, maximum, text)                     \
    {#field,                                                                                       \
     DV_FIELD_##KIND,                                                                              \
     (number),                                                                                     \
     DV_##presence,                                                                                \
     offsetof(struct dv_##S, field),                                                               \
     (minimum),                                                                                    \
     (maximum),                                                                                    \
     DV_SUB_##KIND(TYPE),                                                                          \
     (text)},

/* The terminating row keeps a table without rows a valid initialiser; it is not counted. */
#define DV_TABLE(name, number, doc)                                                                \
    static const struct dv_field name##_rows[] = {DV_ROWS_##name(DV_ROW, name){0}};                \
    const struct dv_schema dv_schema_##name = {#name,                                              \
                                               (number),                                           \
                                               sizeof(struct dv_##name),                           \
                                               name##_rows,                                        \
                                               sizeof(name##_rows) / sizeof(name##_rows[0]) - 1,   \
                                               (doc)};
#define DV_TYPE(name, doc)          DV_TABLE(name, 0, doc)
#define DV_MESSAGE(name, kind, doc) DV_TABLE(name, kind, doc)
#define RESERVED(S, key)
#include "messages/schema/all.def"
#undef DV_ENUM
#undef DV_TYPE
#undef DV_MESSAGE

static const struct dv_schema *const all_schemas[] = {
#define DV_ENUM(name, doc)
#define DV_TYPE(name, doc)          &dv_schema_##name,
#define DV_MESSAGE(name, kind, doc) &dv_schema_##name,
#include "messages/schema/all.def"
#undef DV_ENUM
#undef DV_TYPE
#undef DV_MESSAGE
};

static const struct dv_enum_table *const all_enums[] = {
#define DV_ENUM(name, doc) &dv_enum_##name,
#define DV_TYPE(name, doc)
#define DV_MESSAGE(name, kind, doc)
#include "messages/schema/all.def"
#undef DV_ENUM
#undef DV_TYPE
#undef DV_MESSAGE
};
#undef RESERVED

#define SCHEMA_COUNT (sizeof(all_schemas) / sizeof(all_schemas[0]))
#define ENUM_COUNT   (sizeof(all_enums) / sizeof(all_enums[0]))

/* Two messages of one kind would be two equal cases here: the compiler refuses them. */
const struct dv_schema *dv_schema_of_kind(uint16_t kind)
{
    switch (kind) {
#define RESERVED(S, key)
#define DV_ENUM(name, doc)
#define DV_TYPE(name, doc)
#define DV_MESSAGE(name, number, doc)                                                              \
    case (number):                                                                                 \
        return &dv_schema_##name;
#include "messages/schema/all.def"
#undef DV_ENUM
#undef DV_TYPE
#undef DV_MESSAGE
#undef RESERVED
    default:
        return NULL;
    }
}

const struct dv_schema *dv_schema_of_name(const char *name)
{
    for (size_t i = 0; i < SCHEMA_COUNT; i++)
        if (__builtin_strcmp(all_schemas[i]->name, name) == 0)
            return all_schemas[i];
    return NULL;
}

const struct dv_schema *dv_schema_at(size_t index)
{
    return index < SCHEMA_COUNT ? all_schemas[index] : NULL;
}

const struct dv_enum_table *dv_enum_at(size_t index)
{
    return index < ENUM_COUNT ? all_enums[index] : NULL;
}
