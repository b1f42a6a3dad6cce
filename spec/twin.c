/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/twin.h"

#include "base/clock.h"
#include "spec/write.h"

/* status comes first and is always there; pid is sent also as -1. */
static void write_state(struct dv_json_writer *w, const struct dv_container_state *state)
{
    dv_jw_object(w);
    dv_jw_member_text(w, "status", dv_enum_api(&dv_enum_status, (int64_t)state->status));
    const struct spec_map *map = spec_map_of(&dv_schema_container_state);
    struct spec_map without_status = *map;
    without_status.count--; /* the last row */
    spec_write_api(w, &without_status, state);
    dv_jw_object_end(w);
}

static void write_config(struct dv_json_writer *w, const struct dv_container_spec *spec)
{
    dv_jw_object(w);
    spec_write_api(w, spec_map_of(&dv_schema_container_spec), spec);
    dv_jw_object_end(w);
}

int dv_twin_container_state(const struct dv_container_record *record,
                            struct dv_buf *out,
                            struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    write_state(&w, record->state);
    return dv_jw_done(&w, err);
}

int dv_twin_container_name(const struct dv_container_record *record,
                           struct dv_buf *out,
                           struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_text(&w, record->name);
    return dv_jw_done(&w, err);
}

int dv_twin_container_config(const struct dv_container_record *record,
                             struct dv_buf *out,
                             struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    write_config(&w, record->spec);
    return dv_jw_done(&w, err);
}

static int write_properties(const struct dv_container_record *record,
                            bool has_config,
                            struct dv_buf *out,
                            struct dv_error *err)
{
    struct dv_json_writer w;
    char created[DV_TIME_TEXT_SIZE];
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_key(&w, "status");
    dv_jw_object(&w);
    if (record->name && record->name[0])
        dv_jw_member_text(&w, "name", record->name);
    dv_jw_member_text(&w, "imageRef", record->spec->image_ref);
    if (has_config) {
        dv_jw_key(&w, "config");
        write_config(&w, record->spec);
    }
    dv_jw_member_text(&w, "createdAt", dv_time_format(record->created_ns, created));
    dv_jw_key(&w, "state");
    write_state(&w, record->state);
    dv_jw_object_end(&w);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}

int dv_twin_container_properties(const struct dv_container_record *record,
                                 struct dv_buf *out,
                                 struct dv_error *err)
{
    return write_properties(record, true, out, err);
}

int dv_twin_container_outline(const struct dv_container_record *record,
                              struct dv_buf *out,
                              struct dv_error *err)
{
    return write_properties(record, false, out, err);
}
