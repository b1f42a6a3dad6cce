/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/read.h"

#include "base/clock.h"
#include "base/str.h"
#include "messages/messages.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PATH_TEXT_MAX 256
#define NS_PER_S      1000000000LL

struct any_list {
    void *items;
    size_t count;
};

static int read_value(struct spec_reader *reader,
                      const struct spec_row *row,
                      const struct dv_field *field,
                      const struct dv_json *node,
                      const char *path,
                      void *at);

int spec_bad(struct dv_error *err, const char *path, const char *format, ...)
{
    char text[DV_ERROR_TEXT_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    return dv_error_set(err, DV_ERR_INVALID, "%s: %s", path, text);
}

bool spec_is_sentinel(double number)
{
    return (number <= -2147483648.0 && number >= -2147483648.0) ||
           (number <= -0x1p63 && number >= -0x1p63);
}

const struct dv_json *spec_at(const struct dv_json *object, const char *path)
{
    struct dv_str rest = dv_str_of(path);
    while (object && rest.len) {
        struct dv_str head;
        dv_str_cut(rest, '.', &head, &rest);
        char key[64];
        snprintf(key, sizeof(key), "%.*s", DV_STR_ARG(head));
        object = dv_json_get(object, key);
    }
    return object;
}

static int no_memory(struct spec_reader *reader)
{
    return dv_error_set(reader->err, DV_ERR_NO_MEMORY, "no memory for a container description");
}

static int wrong_type(struct spec_reader *reader,
                      const char *path,
                      const struct dv_json *node,
                      const char *expected)
{
    return spec_bad(reader->err, path, "%s is given, %s is expected",
                    dv_json_type_name(dv_json_type_of(node)), expected);
}

/* -- scalars -------------------------------------------------------------------------------- */

static int read_text(struct spec_reader *reader,
                     const struct dv_field *field,
                     const struct dv_json *node,
                     const char *path,
                     char **ret)
{
    const char *text = dv_json_text(node);
    if (!text)
        return wrong_type(reader, path, node, "a string");
    size_t len = strlen(text);
    if (len == 0) {
        *ret = NULL; /* the documented placeholders: not given */
        return 0;
    }
    if ((int64_t)len > field->max)
        return spec_bad(reader->err, path, "%zu bytes are too long, at most %lld are allowed", len,
                        (long long)field->max);
    *ret = dv_arena_strdup(reader->arena, text);
    return *ret ? 0 : no_memory(reader);
}

static int
read_seconds(struct spec_reader *reader, const struct dv_json *node, const char *path, int64_t *ret)
{
    double seconds = dv_json_number(node);
    if (reader->shape == SPEC_RECORD)
        seconds /= (double)NS_PER_S;
    if (spec_is_sentinel(dv_json_number(node)))
        return 0;
    if (seconds < 0 || seconds > 9e9)
        return spec_bad(reader->err, path, "%.17g is not between 0 and 9000000000 seconds",
                        seconds);
    *ret =
        reader->shape == SPEC_RECORD ? (int64_t)dv_json_number(node) : (int64_t)seconds * NS_PER_S;
    return 0;
}

static int
read_time(struct spec_reader *reader, const struct dv_json *node, const char *path, int64_t *ret)
{
    const char *text = dv_json_text(node);
    if (!text)
        return wrong_type(reader, path, node, "a time");
    if (text[0] && !dv_time_parse(text, strlen(text), ret))
        return spec_bad(reader->err, path, "'%s' is not a time (RFC 3339)", text);
    return 0;
}

static int read_int(struct spec_reader *reader,
                    const struct spec_row *row,
                    const struct dv_field *field,
                    const struct dv_json *node,
                    const char *path,
                    int64_t *ret)
{
    if (row->rule == SPEC_TIME)
        return read_time(reader, node, path, ret);
    if (!dv_json_is(node, DV_JSON_NUMBER))
        return wrong_type(reader, path, node, "a number");
    if (row->rule == SPEC_SECONDS)
        return read_seconds(reader, node, path, ret);
    double number = dv_json_number(node);
    int64_t value;
    if (spec_is_sentinel(number))
        return 0;
    if (!dv_json_to_i64(node, &value))
        return spec_bad(reader->err, path, "%.17g is not a whole number", number);
    if (row->rule == SPEC_PORT && (value < 0 || value > 65535))
        return spec_bad(reader->err, path, "%lld is not a port (1..65535)", (long long)value);
    int64_t min = row->rule == SPEC_AT_LEAST_ONE ? 1 : field->min;
    if (value < min || value > field->max)
        return spec_bad(reader->err, path, "%lld is not between %lld and %lld", (long long)value,
                        (long long)min, (long long)field->max);
    *ret = value;
    return 0;
}

static int read_enum(struct spec_reader *reader,
                     const struct spec_row *row,
                     const struct dv_field *field,
                     const struct dv_json *node,
                     const char *path,
                     int *ret)
{
    int64_t value;
    if (row->rule == SPEC_NUMBER && reader->shape == SPEC_RECORD) {
        if (!dv_json_to_i64(node, &value) || strcmp(dv_enum_api(field->enums, value), "?") == 0)
            return spec_bad(reader->err, path, "is not the number of a %s", field->enums->name);
        *ret = (int)value;
        return 0;
    }
    const char *text = dv_json_text(node);
    if (!text)
        return wrong_type(reader, path, node, "a string");
    if (!text[0] && row->rule != SPEC_NO_EMPTY)
        return 0;
    char allowed[256];
    if (!dv_enum_parse(field->enums, text, &value))
        return spec_bad(reader->err, path, "'%s' is not one of %s", text,
                        dv_enum_allowed(field->enums, allowed, sizeof(allowed)));
    *ret = (int)value;
    return 0;
}

/* -- containers ----------------------------------------------------------------------------- */

static int check_array(struct spec_reader *reader,
                       const struct dv_field *field,
                       const struct dv_json *node,
                       const char *path,
                       size_t *ret)
{
    if (!dv_json_is(node, DV_JSON_ARRAY))
        return wrong_type(reader, path, node, "an array");
    *ret = dv_json_count(node);
    if ((int64_t)*ret > field->max)
        return spec_bad(reader->err, path, "%zu items are too many, at most %lld are allowed", *ret,
                        (long long)field->max);
    return 0;
}

static int read_texts(struct spec_reader *reader,
                      const struct dv_field *field,
                      const struct dv_json *node,
                      const char *path,
                      struct dv_texts *ret)
{
    size_t count;
    int r = check_array(reader, field, node, path, &count);
    if (r < 0)
        return r;
    char **items = dv_arena_array(reader->arena, count, sizeof(*items));
    if (!items)
        return no_memory(reader);
    size_t i = 0;
    for (const struct dv_json *item = dv_json_first(node); item; item = dv_json_next(item), i++) {
        char item_path[PATH_TEXT_MAX];
        snprintf(item_path, sizeof(item_path), "%s[%zu]", path, i);
        const char *text = dv_json_text(item);
        if (!text)
            return wrong_type(reader, item_path, item, "a string");
        if (strlen(text) > DV_TEXT_ITEM_MAX)
            return spec_bad(reader->err, item_path, "is longer than %u bytes", DV_TEXT_ITEM_MAX);
        items[i] = dv_arena_strdup(reader->arena, text);
        if (!items[i])
            return no_memory(reader);
    }
    *ret = (struct dv_texts){items, count};
    return 0;
}

static int read_list(struct spec_reader *reader,
                     const struct dv_field *field,
                     const struct dv_json *node,
                     const char *path,
                     struct any_list *ret)
{
    size_t count;
    int r = check_array(reader, field, node, path, &count);
    if (r < 0)
        return r;
    const struct spec_map *map = spec_map_of(field->schema);
    char *items = dv_arena_array(reader->arena, count, field->schema->size);
    if (!items)
        return no_memory(reader);
    size_t i = 0;
    for (const struct dv_json *item = dv_json_first(node); item; item = dv_json_next(item), i++) {
        char item_path[PATH_TEXT_MAX];
        snprintf(item_path, sizeof(item_path), "%s[%zu]", path, i);
        const struct spec_map *maps[] = {map, NULL};
        r = spec_read(reader, map, item, item_path, items + i * field->schema->size);
        if (r < 0)
            return r;
        spec_note_unknown(reader, maps, item, item_path);
    }
    *ret = (struct any_list){items, count};
    return 0;
}

static int read_nested(struct spec_reader *reader,
                       const struct dv_field *field,
                       const struct dv_json *node,
                       const char *path,
                       void **ret)
{
    const struct spec_map *map = spec_map_of(field->schema);
    const struct spec_map *maps[] = {map, NULL};
    /* A struct that has defaults already is overlaid. */
    void *body = *ret ? *ret : dv_arena_alloc(reader->arena, field->schema->size);
    if (!body)
        return no_memory(reader);
    int r = spec_read(reader, map, node, path, body);
    if (r < 0)
        return r;
    spec_note_unknown(reader, maps, node, path);
    *ret = body;
    return 0;
}

static int read_value(struct spec_reader *reader,
                      const struct spec_row *row,
                      const struct dv_field *field,
                      const struct dv_json *node,
                      const char *path,
                      void *at)
{
    switch (field->kind) {
    case DV_FIELD_BOOL:
        if (!dv_json_is(node, DV_JSON_BOOL))
            return wrong_type(reader, path, node, "true or false");
        *(bool *)at = dv_json_bool(node);
        return 0;
    case DV_FIELD_INT:
        return read_int(reader, row, field, node, path, at);
    case DV_FIELD_ENUM:
        return read_enum(reader, row, field, node, path, at);
    case DV_FIELD_TEXT:
        return read_text(reader, field, node, path, at);
    case DV_FIELD_TEXTS:
        return read_texts(reader, field, node, path, at);
    case DV_FIELD_LIST:
        return read_list(reader, field, node, path, at);
    case DV_FIELD_STRUCT:
        return read_nested(reader, field, node, path, at);
    case DV_FIELD_MAYBE:
    case DV_FIELD_BYTES:
        break;
    }
    return dv_error_set(reader->err, DV_ERR_INTERNAL, "%s: no reader for its type", path);
}

static const char *key_of(const struct spec_reader *reader, const struct spec_row *row)
{
    return reader->shape == SPEC_API ? row->api : row->record;
}

/* The document calls retryTimeout so in an update; NULL: the row has one name. */
static const char *other_key_of(const struct spec_reader *reader, const struct spec_row *row)
{
    return reader->shape == SPEC_API && row->rule == SPEC_SECONDS ? "timeout" : NULL;
}

/* *ret is -1 if nothing is given. */
static int read_seconds_at(struct spec_reader *reader,
                           const struct dv_json *object,
                           const char *key,
                           const char *path,
                           int64_t *ret)
{
    const struct dv_json *node = spec_at(object, key);
    char member_path[PATH_TEXT_MAX];
    *ret = -1;
    if (!node || dv_json_is(node, DV_JSON_NULL))
        return 0;
    snprintf(member_path, sizeof(member_path), "%s%s%s", path, path[0] ? "." : "", key);
    if (!dv_json_is(node, DV_JSON_NUMBER))
        return wrong_type(reader, member_path, node, "a number");
    return read_seconds(reader, node, member_path, ret);
}

static int read_two_names(struct spec_reader *reader,
                          const struct spec_row *row,
                          const struct dv_json *object,
                          const char *path,
                          int64_t *ret)
{
    const char *other_key = other_key_of(reader, row);
    int64_t value = -1;
    int64_t other;
    int r = read_seconds_at(reader, object, row->api, path, &value);
    if (r == 0)
        r = read_seconds_at(reader, object, other_key, path, &other);
    if (r < 0)
        return r;
    if (value >= 0 && other >= 0 && value != other)
        return spec_bad(reader->err, path, "%s and %s differ; give one of them", row->api,
                        other_key);
    if (value >= 0 || other >= 0)
        *ret = value >= 0 ? value : other;
    return 0;
}

int spec_read(struct spec_reader *reader,
              const struct spec_map *map,
              const struct dv_json *object,
              const char *path,
              void *body)
{
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return wrong_type(reader, path[0] ? path : "value", object, "an object");
    for (size_t i = 0; i < map->count; i++) {
        const struct spec_row *row = &map->rows[i];
        const char *key = key_of(reader, row);
        const struct dv_field *field = spec_field_of(map->schema, row->field);
        void *at = (char *)body + field->offset;
        int r = 0;
        if (other_key_of(reader, row)) {
            r = read_two_names(reader, row, object, path, at);
        } else {
            const struct dv_json *node = key ? spec_at(object, key) : NULL;
            if (!node || dv_json_is(node, DV_JSON_NULL))
                continue;
            char member_path[PATH_TEXT_MAX];
            snprintf(member_path, sizeof(member_path), "%s%s%s", path, path[0] ? "." : "", key);
            r = read_value(reader, row, field, node, member_path, at);
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* -- unknown keys --------------------------------------------------------------------------- */

struct candidates {
    const struct spec_reader *reader;
    const struct spec_map *const *maps;
    size_t prefix_len;
    const char *prefix;
};

static const char *candidate(size_t index, void *ctx)
{
    const struct candidates *c = ctx;
    for (const struct spec_map *const *map = c->maps; *map; map++) {
        for (size_t i = 0; i < (*map)->count; i++) {
            const char *key = key_of(c->reader, &(*map)->rows[i]);
            if (!key || strncmp(key, c->prefix, c->prefix_len) != 0)
                continue;
            if (index-- == 0)
                return key + c->prefix_len;
        }
    }
    return NULL;
}

enum known {
    KNOWN_NOT,
    KNOWN_LEAF,
    KNOWN_BRANCH,
};

static enum known
know(const struct spec_reader *reader, const struct spec_map *const *maps, const char *name)
{
    size_t len = strlen(name);
    for (; *maps; maps++) {
        for (size_t i = 0; i < (*maps)->count; i++) {
            const char *key = key_of(reader, &(*maps)->rows[i]);
            const char *other = other_key_of(reader, &(*maps)->rows[i]);
            if (other && strcasecmp(other, name) == 0)
                return KNOWN_LEAF;
            if (!key || strncasecmp(key, name, len) != 0)
                continue;
            if (key[len] == '\0')
                return KNOWN_LEAF;
            if (key[len] == '.')
                return KNOWN_BRANCH;
        }
    }
    return KNOWN_NOT;
}

/* `prefix`: of the key within the object at `path`. */
static void note(struct spec_reader *reader,
                 const char *path,
                 const char *prefix,
                 const char *key,
                 const char *nearest)
{
    struct dv_spec_notes *notes = &reader->notes;
    if (notes->count == DV_SPEC_NOTES_MAX)
        return;
    char *text = dv_str_mend(dv_arena_printf(
        reader->arena, "%s%s%s%.128s is not a known key%s%s%s", path, path[0] ? "." : "", prefix,
        key, nearest ? ", did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : ""));
    if (text)
        notes->texts[notes->count++] = text;
}

static void note_level(struct spec_reader *reader,
                       const struct spec_map *const *maps,
                       const struct dv_json *object,
                       const char *path,
                       const char *prefix)
{
    for (const struct dv_json *at = dv_json_first(object); at; at = dv_json_next(at)) {
        char name[PATH_TEXT_MAX];
        int used = snprintf(name, sizeof(name), "%s%s", prefix, dv_json_key(at));
        enum known known =
            used > 0 && (size_t)used < sizeof(name) - 1 ? know(reader, maps, name) : KNOWN_NOT;
        if (known == KNOWN_NOT) {
            struct candidates near = {reader, maps, strlen(prefix), prefix};
            const char *key = dv_json_key(at);
            note(reader, path, prefix, key, dv_str_nearest(dv_str_of(key), candidate, &near));
        } else if (known == KNOWN_BRANCH && dv_json_is(at, DV_JSON_OBJECT)) {
            name[used] = '.';
            name[used + 1] = '\0';
            note_level(reader, maps, at, path, name);
        }
    }
}

void spec_note_unknown(struct spec_reader *reader,
                       const struct spec_map *const *maps,
                       const struct dv_json *object,
                       const char *path)
{
    if (dv_json_is(object, DV_JSON_OBJECT))
        note_level(reader, maps, object, path, "");
}

struct others {
    const char *const *known;
    size_t count;
};

static const char *other_at(size_t index, void *ctx)
{
    const struct others *others = ctx;
    return index < others->count ? others->known[index] : NULL;
}

void spec_note_others(struct spec_reader *reader,
                      const struct dv_json *node,
                      const char *path,
                      const char *const *known,
                      size_t count)
{
    struct others others = {known, count};
    if (!dv_json_is(node, DV_JSON_OBJECT))
        return;
    for (const struct dv_json *at = dv_json_first(node); at; at = dv_json_next(at)) {
        const char *key = dv_json_key(at);
        size_t i = 0;
        while (i < count && strcasecmp(key, known[i]) != 0)
            i++;
        if (i == count)
            note(reader, path, "", key, dv_str_nearest(dv_str_of(key), other_at, &others));
    }
}
