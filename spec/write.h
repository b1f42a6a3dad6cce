/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Structs to JSON by the rows of spec/map.h. Private to spec/.
 */
#include "spec/map.h"

#include "json/json.h"

/* The members of the API's shape that are not empty, in the order of the rows, inside an object
 * that the caller has opened. */
void spec_write_api(struct dv_json_writer *w, const struct spec_map *map, const void *body);

/* One member of the record shape, empty or not, under the last part of its path; nested objects in
 * full. */
void spec_write_record_field(struct dv_json_writer *w,
                             const struct spec_row *row,
                             const struct dv_field *field,
                             const void *body);
