/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * JSON to structs by the rows of spec/map.h, in the API's shape or the record's. Private to spec/.
 */
#include "base/arena.h"
#include "base/error.h"
#include "spec/map.h"
#include "spec/notes.h"

#include "json/json.h"
#include <stdbool.h>

enum spec_shape {
    SPEC_API,
    SPEC_RECORD,
};

struct spec_reader {
    enum spec_shape shape;
    struct dv_arena *arena;
    struct dv_error *err;
    struct dv_spec_notes notes;
};

/* Fills *body, a zeroed struct of the map's schema, from `object`. `path` names the object in
 * errors ("config"), "" for the top. Absent and null members leave their field as it is. */
int spec_read(struct spec_reader *reader,
              const struct spec_map *map,
              const struct dv_json *object,
              const char *path,
              void *body);

/* Notes members of `object` that no row of the maps knows. `maps` ends with NULL. */
void spec_note_unknown(struct spec_reader *reader,
                       const struct spec_map *const *maps,
                       const struct dv_json *object,
                       const char *path);

/* The same for what no map describes: members of `node`, if it is an object, that are none of the
 * `count` known ones. */
void spec_note_others(struct spec_reader *reader,
                      const struct dv_json *node,
                      const char *path,
                      const char *const *known,
                      size_t count);

/* INVALID "path: rule" with the text made by the format. */
int spec_bad(struct dv_error *err, const char *path, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* The member of `object` at a path with dots. */
const struct dv_json *spec_at(const struct dv_json *object, const char *path);

/* Whether `number` is one of the two defaults that the API documents for "not given". */
bool spec_is_sentinel(double number);
