/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/operations.h"

#include "messages/codec.h"
#include "spec/names.h"
#include "spec/read.h"
#include "spec/resources.h"
#include "spec/rules.h"
#include "spec/signals.h"

#include <stdio.h>
#include <stdlib.h>

#define NOTES_BYTES_MAX (64 << 10)

/* A value that may be absent: *ret is NULL then. */
static int parse(struct dv_str args, struct dv_json **ret, struct dv_error *err)
{
    *ret = NULL;
    return args.len ? dv_json_parse(args.data, args.len, ret, err) : 0;
}

static int
wrong(struct dv_error *err, const char *field, const struct dv_json *node, const char *what)
{
    return spec_bad(err, field, "%s is given, %s is expected",
                    dv_json_type_name(dv_json_type_of(node)), what);
}

static bool is_given(const struct dv_json *node)
{
    return node && !dv_json_is(node, DV_JSON_NULL);
}

/* -- stopWithOptions ------------------------------------------------------------------------ */

static int take_signal(const struct dv_json *node, int *ret, struct dv_error *err)
{
    int64_t number;
    const char *text = dv_json_text(node);
    if (!is_given(node) || (text && !text[0]))
        return 0;
    if (dv_json_is(node, DV_JSON_NUMBER)) {
        if (!dv_json_to_i64(node, &number) || number < 1 || number > 64)
            return spec_bad(err, "signal", "%.17g is no signal (1..64)", dv_json_number(node));
        *ret = (int)number;
        return 0;
    }
    if (!text)
        return wrong(err, "signal", node, "a name or a number");
    if (!dv_signal_parse(text, ret))
        return spec_bad(err, "signal", "'%.64s' is no signal (like SIGINT, INT or 2)", text);
    return 0;
}

static int take_timeout(const struct dv_json *node, int64_t *ret, struct dv_error *err)
{
    if (!is_given(node))
        return 0;
    if (!dv_json_is(node, DV_JSON_NUMBER))
        return wrong(err, "timeout", node, "a number of seconds");
    int64_t seconds;
    if (spec_is_sentinel(dv_json_number(node)))
        return 0;
    if (!dv_json_to_i64(node, &seconds) || seconds < 0 || seconds > DV_STOP_TIMEOUT_MAX_S)
        return spec_bad(err, "timeout", "%.17g is not a whole number of seconds between 0 and %d",
                        dv_json_number(node), DV_STOP_TIMEOUT_MAX_S);
    *ret = seconds;
    return 0;
}

static int note_stop_keys(const struct dv_json *value, char *out, size_t size, struct dv_error *err)
{
    static const char *const known[] = {"signal", "timeout", "force"};
    DV_AUTO(dv_arena) arena = dv_arena_new(NOTES_BYTES_MAX);
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a stop");
    struct spec_reader reader = {.shape = SPEC_API, .arena = arena, .err = err};
    spec_note_others(&reader, value, "", known, sizeof(known) / sizeof(known[0]));
    if (reader.notes.count)
        snprintf(out, size, "%s", reader.notes.texts[0]);
    return 0;
}

int dv_spec_stop_options(struct dv_str args, struct dv_stop_options *ret, struct dv_error *err)
{
    DV_AUTO(dv_json) value = NULL;
    struct dv_stop_options options = {0};
    int r = parse(args, &value, err);
    if (r < 0)
        return r;
    if (is_given(value)) {
        if (!dv_json_is(value, DV_JSON_OBJECT))
            return wrong(err, "value", value, "an object");
        const struct dv_json *force = dv_json_get(value, "force");
        if (is_given(force) && !dv_json_is(force, DV_JSON_BOOL))
            return wrong(err, "force", force, "true or false");
        options.is_force = dv_json_bool(force);
        r = take_signal(dv_json_get(value, "signal"), &options.signal, err);
        if (r == 0)
            r = take_timeout(dv_json_get(value, "timeout"), &options.timeout_s, err);
        if (r == 0)
            r = note_stop_keys(value, options.unknown, sizeof(options.unknown), err);
    }
    if (r == 0)
        *ret = options;
    return r;
}

/* -- remove, rename ------------------------------------------------------------------------- */

int dv_spec_remove(struct dv_str args, bool *ret_force, struct dv_error *err)
{
    DV_AUTO(dv_json) value = NULL;
    int r = parse(args, &value, err);
    if (r < 0)
        return r;
    if (is_given(value) && !dv_json_is(value, DV_JSON_BOOL))
        return wrong(err, "value", value, "true or false (force)");
    *ret_force = dv_json_bool(value);
    return 0;
}

int dv_spec_rename(struct dv_str args, char **ret_name, struct dv_error *err)
{
    DV_AUTO(dv_json) value = NULL;
    int r = parse(args, &value, err);
    if (r < 0)
        return r;
    const char *name = dv_json_text(value);
    if (!name)
        return wrong(err, "value", value, "a string (the new name)");
    if (name[0] && !dv_name_is_valid(name))
        return spec_bad(err, "value",
                        "'%.256s' is no name ([A-Za-z0-9_][A-Za-z0-9_.-]*, at most 253 characters)",
                        name);
    char *copy = dv_str_dup(dv_str_of(name));
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a name");
    *ret_name = copy;
    return 0;
}

/* -- update --------------------------------------------------------------------------------- */

static int update_policy(struct spec_reader *reader,
                         const struct dv_json *given,
                         struct dv_restart_policy *policy)
{
    const struct dv_json *type = dv_json_get(given, "type");
    struct dv_restart_policy fresh = *policy;
    if (is_given(type))
        fresh = (struct dv_restart_policy){.type = policy->type};
    struct dv_restart_policy before = *policy;
    int r =
        spec_read(reader, spec_map_of(&dv_schema_restart_policy), given, "restartPolicy", &fresh);
    if (r < 0)
        return r;
    /* The same type again keeps what is not given. */
    if (fresh.type == before.type) {
        if (!is_given(dv_json_get(given, "maxRetryCount")))
            fresh.max_retry_count = before.max_retry_count;
        if (!is_given(dv_json_get(given, "retryTimeout")) &&
            !is_given(dv_json_get(given, "timeout")))
            fresh.retry_timeout_ns = before.retry_timeout_ns;
    }
    *policy = fresh;
    return dv_spec_check_restart(policy, reader->err);
}

static int update_resources(struct spec_reader *reader,
                            const struct dv_json *given,
                            struct dv_container_spec *spec)
{
    if (!spec->resources)
        spec->resources = dv_arena_alloc(reader->arena, sizeof(*spec->resources));
    if (!spec->resources)
        return dv_error_set(reader->err, DV_ERR_NO_MEMORY, "no memory for an update");
    int r =
        spec_read(reader, spec_map_of(&dv_schema_resources), given, "resources", spec->resources);
    if (r < 0)
        return r;
    struct dv_resources *now = spec->resources;
    /* No limit is no text, as in a create. */
    if (now->memory_swap && strcmp(now->memory_swap, "-1") == 0)
        now->memory_swap = NULL;
    if (!now->memory && !now->memory_reservation && !now->memory_swap)
        spec->resources = NULL;
    return dv_spec_check_resources(spec->resources, reader->err);
}

static int same(const struct dv_container_record *a,
                const struct dv_container_record *b,
                bool *ret,
                struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) first = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) second = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    int r = dv_encode(&dv_schema_container_record, a, &first, err);
    if (r == 0)
        r = dv_encode(&dv_schema_container_record, b, &second, err);
    if (r == 0)
        *ret = first.len == second.len && memcmp(first.data, second.data, first.len) == 0;
    return r;
}

static bool has_warning(const struct dv_texts *warnings, const char *text)
{
    for (size_t i = 0; i < warnings->count; i++)
        if (strcmp(warnings->items[i], text) == 0)
            return true;
    return false;
}

/* Those of the create stay; the same one twice is one. */
static int add_warnings(const struct spec_reader *reader, struct dv_container_record *record)
{
    size_t most = record->warnings.count + reader->notes.count;
    if (!reader->notes.count)
        return 0;
    char **items = dv_arena_array(reader->arena, most, sizeof(*items));
    if (!items)
        return dv_error_set(reader->err, DV_ERR_NO_MEMORY, "no memory for an update");
    for (size_t i = 0; i < record->warnings.count; i++)
        items[i] = record->warnings.items[i];
    record->warnings.items = items;
    for (size_t i = 0; i < reader->notes.count && record->warnings.count < DV_SPEC_NOTES_MAX; i++)
        if (!has_warning(&record->warnings, reader->notes.texts[i]))
            items[record->warnings.count++] = reader->notes.texts[i];
    return 0;
}

static void note_unknown(struct spec_reader *reader,
                         const struct dv_json *value,
                         const struct dv_json *policy,
                         const struct dv_json *resources)
{
    static const char *const known[] = {"restartPolicy", "resources"};
    const struct spec_map *policy_maps[] = {spec_map_of(&dv_schema_restart_policy), NULL};
    const struct spec_map *resource_maps[] = {spec_map_of(&dv_schema_resources), NULL};
    spec_note_others(reader, value, "", known, sizeof(known) / sizeof(known[0]));
    spec_note_unknown(reader, policy_maps, policy, "restartPolicy");
    spec_note_unknown(reader, resource_maps, resources, "resources");
}

int dv_spec_update(struct dv_str args,
                   const struct dv_container_record *record,
                   struct dv_arena *arena,
                   struct dv_container_record **ret,
                   bool *ret_changed,
                   struct dv_error *err)
{
    DV_AUTO(dv_json) value = NULL;
    int r = parse(args, &value, err);
    if (r < 0)
        return r;
    if (is_given(value) && !dv_json_is(value, DV_JSON_OBJECT))
        return wrong(err, "value", value, "an object");
    void *copy;
    r = dv_copy(&dv_schema_container_record, record, arena, &copy, err);
    if (r < 0)
        return r;
    struct dv_container_record *changed = copy;
    struct spec_reader reader = {.shape = SPEC_API, .arena = arena, .err = err};
    const struct dv_json *policy = dv_json_get(value, "restartPolicy");
    const struct dv_json *resources = dv_json_get(value, "resources");
    if (is_given(policy))
        r = update_policy(&reader, policy, changed->spec->restart_policy);
    if (r == 0 && is_given(resources))
        r = update_resources(&reader, resources, changed->spec);
    bool is_same = true;
    if (r == 0)
        r = same(record, changed, &is_same, err);
    if (r == 0) {
        note_unknown(&reader, value, policy, resources);
        r = add_warnings(&reader, changed);
    }
    if (r < 0)
        return r;
    *ret = changed;
    *ret_changed = !is_same;
    return 0;
}
