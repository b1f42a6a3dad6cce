/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a message is described, once. A family file messages/schema/<family>.def holds rows; this
 * header turns rows into C types, messages.c turns the same rows into the tables that the codec,
 * the printer, the JSON translation and docs/messages.md are driven by. No message has code of its
 * own.
 *
 * A row of a message is
 *
 *   F(S, KIND, TYPE, name, key, PRESENCE, min, max, "what it is, with its unit")
 *
 *   KIND      C member                        bounds (min, max)
 *   BOOL      bool                            unused (0, 0)
 *   INT       int64_t                         value
 *   MAYBE     struct dv_maybe (set, value)    value; an integer or flag whose absence matters
 *   ENUM      enum dv_TYPE                    unused; values outside the enum are refused
 *   TEXT      char * (UTF-8, NULL = absent)   length in bytes
 *   BYTES     struct dv_bytes                 length
 *   TEXTS     struct dv_texts                 number of items; an item is at most 64 KiB
 *   STRUCT    struct dv_TYPE * (NULL absent)  unused
 *   LIST      struct dv_TYPE_list             number of items
 *
 * TYPE is `_` where it has no meaning. PRESENCE is REQUIRED or OPTIONAL; an OPTIONAL BOOL, INT or
 * ENUM that is zero and an empty OPTIONAL list are not sent, and read as zero when absent. `key` is
 * the wire key (1..127): never reused; a removed row stays as RESERVED(S, key). Unknown keys are
 * skipped on decode, so new rows are OPTIONAL.
 *
 * A family file looks like
 *
 *   #define DV_VALUES_color(V) V(DV_COLOR_RED, 0, "RED", "red") ...
 *   DV_ENUM(color, "what it classifies")      API text, then record text
 *
 *   #define DV_ROWS_paint_cmd(F, S) F(S, TEXT, _, wall, 1, REQUIRED, 1, 64, "which wall") ...
 *   DV_MESSAGE(paint_cmd, 140, "what it asks for, who sends it, who answers with what")
 *   DV_TYPE(brush, "a part of messages, never sent alone")    rows as for a message
 *
 * A type must be defined above the rows that name it. Kinds: kit 1..99, command 100..199, container
 * 200..299, worker 300..399, image 400..499, monitor 500..599, local 600..699, store 700..799,
 * network 800..829, features 830..899.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_maybe {
    bool is_set;
    int64_t value;
};

struct dv_bytes {
    uint8_t *data;
    size_t len;
};

struct dv_texts {
    char **items;
    size_t count;
};

/* A frame larger than this is refused before it is looked at. */
#define DV_MESSAGE_BYTES_MAX (1536U << 10)
#define DV_TEXT_ITEM_MAX     (64U << 10)

enum dv_field_kind {
    DV_FIELD_BOOL,
    DV_FIELD_INT,
    DV_FIELD_MAYBE,
    DV_FIELD_ENUM,
    DV_FIELD_TEXT,
    DV_FIELD_BYTES,
    DV_FIELD_TEXTS,
    DV_FIELD_STRUCT,
    DV_FIELD_LIST,
};

struct dv_enum_value {
    int64_t number;
    const char *api;    /* as the twin shows it: UNLESS_STOPPED */
    const char *record; /* as container records write it: unless-stopped */
};

struct dv_enum_table {
    const char *name;
    const char *doc;
    const struct dv_enum_value *values;
    size_t count;
};

struct dv_field {
    const char *name;
    enum dv_field_kind kind;
    uint8_t key;
    bool is_required;
    size_t offset;
    int64_t min;
    int64_t max;
    const struct dv_schema *schema;    /* STRUCT and LIST */
    const struct dv_enum_table *enums; /* ENUM */
    const char *doc;
};

struct dv_schema {
    const char *name;
    uint16_t kind; /* 0 for a type that is never sent alone */
    size_t size;
    const struct dv_field *fields;
    size_t count;
    const char *doc;
};

/* Reads an enum text leniently: any case, '-' and '_' equal, API or record form. False if unknown.
 */
bool dv_enum_parse(const struct dv_enum_table *table, const char *text, int64_t *ret);
const char *dv_enum_api(const struct dv_enum_table *table, int64_t number);    /* "?" if unknown */
const char *dv_enum_record(const struct dv_enum_table *table, int64_t number); /* "?" if unknown */
/* "NO, ALWAYS, ..." for error texts, cut to `size`; returns `text`. */
char *dv_enum_allowed(const struct dv_enum_table *table, char *text, size_t size);
