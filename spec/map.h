/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one table of the container description: for every field of the structs in
 * messages/schema/container.def its key in the API (createWithConfig, the twin) and its path in a
 * container record (config.json, deployment files, software artifacts). Reading, writing, unknown
 * keys and documentation follow from it. Rows stand in the order in which both shapes are written.
 * Private to spec/.
 */
#include "messages/schema.h"

enum spec_rule {
    SPEC_PLAIN,
    SPEC_SECONDS,      /* API: seconds, a fraction is cut, `timeout` is another name for its key;
                          struct and record: nanoseconds */
    SPEC_PORT,         /* 0..65535, called a port in errors */
    SPEC_AT_LEAST_ONE, /* a given number below 1 is an error */
    SPEC_TIME,         /* record: RFC 3339 text; struct: wall clock nanoseconds */
    SPEC_NUMBER,       /* an enum that the record writes as its number */
    SPEC_FILE_SECRETS, /* file:password texts: the API is shown the file alone */
    SPEC_NO_EMPTY,     /* a given empty text is an error, elsewhere it means "not given" */
};

struct spec_row {
    const char *field;  /* member of the schema */
    const char *api;    /* key, NULL: not in the API */
    const char *record; /* path with dots, NULL: not in records */
    enum spec_rule rule;
};

struct spec_map {
    const struct dv_schema *schema;
    const struct spec_row *rows;
    size_t count;
};

/* The rows of a type; never NULL for the types of the container description. */
const struct spec_map *spec_map_of(const struct dv_schema *schema);
const struct dv_field *spec_field_of(const struct dv_schema *schema, const char *name);
