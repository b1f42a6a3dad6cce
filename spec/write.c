/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/write.h"

#include "base/clock.h"
#include "messages/messages.h"

#include <string.h>

#define NS_PER_S 1000000000LL

struct any_list {
    const char *items;
    size_t count;
};

static const void *at_of(const struct dv_field *field, const void *body)
{
    return (const char *)body + field->offset;
}

static bool is_empty(const struct dv_field *field, const void *at)
{
    switch (field->kind) {
    case DV_FIELD_BOOL:
        return !*(const bool *)at;
    case DV_FIELD_INT:
        return *(const int64_t *)at == 0;
    case DV_FIELD_TEXT:
        return !*(char *const *)at || !**(char *const *)at;
    case DV_FIELD_TEXTS:
        return ((const struct dv_texts *)at)->count == 0;
    case DV_FIELD_LIST:
        return ((const struct any_list *)at)->count == 0;
    case DV_FIELD_STRUCT:
        return !*(void *const *)at;
    case DV_FIELD_ENUM:
    case DV_FIELD_MAYBE:
    case DV_FIELD_BYTES:
        break;
    }
    return false;
}

static void write_texts(struct dv_json_writer *w, const struct dv_texts *texts)
{
    dv_jw_array(w);
    for (size_t i = 0; i < texts->count; i++)
        dv_jw_text(w, texts->items[i]);
    dv_jw_array_end(w);
}

static void write_files(struct dv_json_writer *w, const struct dv_texts *texts)
{
    dv_jw_array(w);
    for (size_t i = 0; i < texts->count; i++)
        dv_jw_text_len(w, texts->items[i], strcspn(texts->items[i], ":"));
    dv_jw_array_end(w);
}

static void write_time(struct dv_json_writer *w, int64_t ns)
{
    char text[DV_TIME_TEXT_SIZE];
    dv_jw_text(w, ns ? dv_time_format(ns, text) : "");
}

static void write_int(struct dv_json_writer *w, const struct spec_row *row, int64_t value, bool api)
{
    if (row->rule == SPEC_TIME)
        write_time(w, value);
    else
        dv_jw_i64(w, row->rule == SPEC_SECONDS && api ? value / NS_PER_S : value);
}

static void write_api_value(struct dv_json_writer *w,
                            const struct spec_row *row,
                            const struct dv_field *field,
                            const void *at)
{
    switch (field->kind) {
    case DV_FIELD_BOOL:
        dv_jw_bool(w, *(const bool *)at);
        break;
    case DV_FIELD_INT:
        write_int(w, row, *(const int64_t *)at, true);
        break;
    case DV_FIELD_ENUM:
        dv_jw_text(w, dv_enum_api(field->enums, *(const int *)at));
        break;
    case DV_FIELD_TEXT:
        dv_jw_text(w, *(char *const *)at);
        break;
    case DV_FIELD_TEXTS:
        (row->rule == SPEC_FILE_SECRETS ? write_files : write_texts)(w, at);
        break;
    case DV_FIELD_STRUCT:
        dv_jw_object(w);
        spec_write_api(w, spec_map_of(field->schema), *(void *const *)at);
        dv_jw_object_end(w);
        break;
    case DV_FIELD_LIST: {
        const struct any_list *list = at;
        dv_jw_array(w);
        for (size_t i = 0; i < list->count; i++) {
            dv_jw_object(w);
            spec_write_api(w, spec_map_of(field->schema), list->items + i * field->schema->size);
            dv_jw_object_end(w);
        }
        dv_jw_array_end(w);
        break;
    }
    case DV_FIELD_MAYBE:
    case DV_FIELD_BYTES:
        dv_jw_null(w);
        break;
    }
}

/* Who asks for a free port wants to know which one it is. */
static const void *
shown_of(const struct spec_map *map, const struct dv_field *field, const void *body)
{
    const void *at = at_of(field, body);
    if (map->schema != &dv_schema_port_mapping || strcmp(field->name, "host_port") != 0)
        return at;
    const struct dv_port_mapping *port = body;
    return port->chosen_port ? &port->chosen_port : at;
}

void spec_write_api(struct dv_json_writer *w, const struct spec_map *map, const void *body)
{
    for (size_t i = 0; i < map->count; i++) {
        const struct spec_row *row = &map->rows[i];
        const struct dv_field *field = spec_field_of(map->schema, row->field);
        const void *at = shown_of(map, field, body);
        if (!row->api || is_empty(field, at))
            continue;
        dv_jw_key(w, row->api);
        write_api_value(w, row, field, at);
    }
}

/* -- records -------------------------------------------------------------------------------- */

static void
write_record_object(struct dv_json_writer *w, const struct spec_map *map, const void *body);

static void write_record_value(struct dv_json_writer *w,
                               const struct spec_row *row,
                               const struct dv_field *field,
                               const void *at)
{
    switch (field->kind) {
    case DV_FIELD_BOOL:
        dv_jw_bool(w, *(const bool *)at);
        break;
    case DV_FIELD_INT:
        write_int(w, row, *(const int64_t *)at, false);
        break;
    case DV_FIELD_ENUM:
        if (row->rule == SPEC_NUMBER)
            dv_jw_i64(w, *(const int *)at);
        else
            dv_jw_text(w, dv_enum_record(field->enums, *(const int *)at));
        break;
    case DV_FIELD_TEXT:
        dv_jw_text(w, *(char *const *)at ? *(char *const *)at : "");
        break;
    case DV_FIELD_TEXTS:
        if (((const struct dv_texts *)at)->count)
            write_texts(w, at);
        else
            dv_jw_null(w);
        break;
    case DV_FIELD_STRUCT:
        if (*(void *const *)at)
            write_record_object(w, spec_map_of(field->schema), *(void *const *)at);
        else
            dv_jw_null(w);
        break;
    case DV_FIELD_LIST: {
        const struct any_list *list = at;
        if (!list->count) {
            dv_jw_null(w);
            break;
        }
        dv_jw_array(w);
        for (size_t i = 0; i < list->count; i++)
            write_record_object(w, spec_map_of(field->schema),
                                list->items + i * field->schema->size);
        dv_jw_array_end(w);
        break;
    }
    case DV_FIELD_MAYBE:
    case DV_FIELD_BYTES:
        dv_jw_null(w);
        break;
    }
}

void spec_write_record_field(struct dv_json_writer *w,
                             const struct spec_row *row,
                             const struct dv_field *field,
                             const void *body)
{
    const char *leaf = strrchr(row->record, '.');
    dv_jw_key(w, leaf ? leaf + 1 : row->record);
    write_record_value(w, row, field, at_of(field, body));
}

/* A nested object whose rows may have one more level of their own (driver_config.type). */
static void
write_record_object(struct dv_json_writer *w, const struct spec_map *map, const void *body)
{
    const char *open = NULL; /* the row whose parent is open */
    size_t open_len = 0;
    dv_jw_object(w);
    for (size_t i = 0; i < map->count; i++) {
        const struct spec_row *row = &map->rows[i];
        const char *dot = strchr(row->record, '.');
        size_t len = dot ? (size_t)(dot - row->record) : 0;
        if (open && (len != open_len || strncmp(open, row->record, len) != 0)) {
            dv_jw_object_end(w);
            open = NULL;
        }
        if (dot && !open) {
            char parent[64];
            snprintf(parent, sizeof(parent), "%.*s", (int)len, row->record);
            dv_jw_key(w, parent);
            dv_jw_object(w);
            open = row->record;
            open_len = len;
        }
        spec_write_record_field(w, row, spec_field_of(map->schema, row->field), body);
    }
    if (open)
        dv_jw_object_end(w);
    dv_jw_object_end(w);
}
