/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The vocabulary as C types: for every row file below messages/schema/ the enums, `struct dv_NAME`,
 * `struct dv_NAME_list`, the kind number DV_KIND_NAME and the table `dv_schema_NAME`. Plain data,
 * no functions; who owns the memory behind pointers is said where a value is made (codec.h: the
 * arena).
 */
#include "messages/schema.h"

/* Enums. */
#define DV_ENUM_ITEM(constant, number, api, record) constant = (number),
#define DV_ENUM(name, doc)                                                                         \
    enum dv_##name{DV_VALUES_##name(DV_ENUM_ITEM)};                                                \
    extern const struct dv_enum_table dv_enum_##name;

/* Members. */
#define DV_MEMBER_BOOL(type, name)                                   bool name;
#define DV_MEMBER_INT(type, name)                                    int64_t name;
#define DV_MEMBER_MAYBE(type, name)                                  struct dv_maybe name;
#define DV_MEMBER_ENUM(type, name)                                   enum dv_##type name;
#define DV_MEMBER_TEXT(type, name)                                   char *name;
#define DV_MEMBER_BYTES(type, name)                                  struct dv_bytes name;
#define DV_MEMBER_TEXTS(type, name)                                  struct dv_texts name;
#define DV_MEMBER_STRUCT(type, name)                                 struct dv_##type *name;
#define DV_MEMBER_LIST(type, name)                                   struct dv_##type##_list name;
#define DV_MEMBER(S, KIND, TYPE, name, key, presence, min, max, doc) DV_MEMBER_##KIND(TYPE, name)

#define DV_TYPE(name, doc)                                                                         \
    struct dv_##name {                                                                             \
        DV_ROWS_##name(DV_MEMBER, name) char dv_no_member_without_rows_[0];                        \
    };                                                                                             \
    struct dv_##name##_list {                                                                      \
        struct dv_##name *items;                                                                   \
        size_t count;                                                                              \
    };                                                                                             \
    extern const struct dv_schema dv_schema_##name;
#define DV_MESSAGE(name, kind, doc)                                                                \
    enum { DV_KIND_##name = (kind) };                                                              \
    DV_TYPE(name, doc)

#define RESERVED(S, key)
#include "messages/schema/all.def"
#undef RESERVED
#undef DV_ENUM
#undef DV_TYPE
#undef DV_MESSAGE
