/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/create.h"

#include "spec/read.h"
#include "spec/rules.h"

/* Members of the value beside `config`. */
static const char *const known[] = {"imageRef", "start", "name", "config"};

static int take_text(const struct dv_json *value,
                     const char *key,
                     struct dv_arena *arena,
                     char **ret,
                     struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(value, key);
    *ret = NULL;
    if (!node || dv_json_is(node, DV_JSON_NULL))
        return 0;
    const char *text = dv_json_text(node);
    if (!text)
        return spec_bad(err, key, "%s is given, a string is expected",
                        dv_json_type_name(dv_json_type_of(node)));
    if (strlen(text) > 1024)
        return spec_bad(err, key, "%zu bytes are too long, at most 1024 are allowed", strlen(text));
    if (!text[0])
        return 0;
    *ret = dv_arena_strdup(arena, text);
    return *ret ? 0 : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a create");
}

static int take_start(const struct dv_json *value, bool *ret, struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(value, "start");
    if (node && !dv_json_is(node, DV_JSON_NULL) && !dv_json_is(node, DV_JSON_BOOL))
        return spec_bad(err, "start", "%s is given, true or false is expected",
                        dv_json_type_name(dv_json_type_of(node)));
    *ret = dv_json_bool(node);
    return 0;
}

static int
read_config(struct spec_reader *reader, const struct dv_json *value, struct dv_container_spec *spec)
{
    const struct dv_json *config = dv_json_get(value, "config");
    if (!config || dv_json_is(config, DV_JSON_NULL))
        return 0;
    const struct spec_map *maps[] = {spec_map_of(&dv_schema_container_spec), NULL};
    int r = spec_read(reader, maps[0], config, "config", spec);
    if (r < 0)
        return r;
    spec_note_unknown(reader, maps, config, "config");
    const struct dv_json *policy = spec_at(config, "restartPolicy");
    if (dv_json_is(policy, DV_JSON_OBJECT) && !dv_json_text(dv_json_get(policy, "type")))
        return spec_bad(reader->err, "config.restartPolicy.type",
                        "is required when a restartPolicy is given");
    return 0;
}

static int keep_warnings(struct spec_reader *reader, struct dv_container_record *record)
{
    if (!reader->notes.count)
        return 0;
    char **items = dv_arena_array(reader->arena, reader->notes.count, sizeof(*items));
    if (!items)
        return dv_error_set(reader->err, DV_ERR_NO_MEMORY, "no memory for a create");
    memcpy(items, reader->notes.texts, reader->notes.count * sizeof(*items));
    record->warnings = (struct dv_texts){items, reader->notes.count};
    return 0;
}

static int make(struct dv_str args,
                const char *id,
                bool with_config,
                struct dv_arena *arena,
                struct dv_create_request *ret,
                struct dv_error *err)
{
    DV_AUTO(dv_json) value = NULL;
    int r = dv_json_parse(args.data, args.len, &value, err);
    if (r < 0)
        return r;
    if (!dv_json_is(value, DV_JSON_OBJECT))
        return spec_bad(err, "value", "%s is given, an object is expected",
                        dv_json_type_name(dv_json_type_of(value)));
    struct dv_container_record *record = dv_arena_alloc(arena, sizeof(*record));
    struct dv_container_spec *spec = dv_arena_alloc(arena, sizeof(*spec));
    char *own_id = dv_arena_strdup(arena, id);
    if (!record || !spec || !own_id)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a create");
    record->id = own_id;
    record->spec = spec;
    struct spec_reader reader = {.shape = SPEC_API, .arena = arena, .err = err};
    bool start = false;
    r = take_text(value, "imageRef", arena, &spec->image_ref, err);
    if (r == 0)
        r = take_start(value, &start, err);
    if (r == 0 && with_config)
        r = take_text(value, "name", arena, &record->name, err);
    if (r == 0 && with_config)
        r = read_config(&reader, value, spec);
    if (r < 0)
        return r;
    spec_note_others(&reader, value, "", known, with_config ? 4 : 2);
    bool is_swap_given = spec->resources && spec->resources->memory_swap;
    r = dv_spec_fill_defaults(record, arena, true, err);
    if (r == 0)
        r = dv_spec_check(record, err);
    if (r == 0)
        r = keep_warnings(&reader, record);
    if (r < 0)
        return r;
    record->state->status = DV_STATUS_CREATING;
    record->state->pid = -1;
    bool has_swap = spec->resources && spec->resources->memory_swap;
    *ret = (struct dv_create_request){record, start, has_swap && !is_swap_given};
    return 0;
}

int dv_spec_fit_machine(struct dv_create_request *request,
                        const struct dv_limit_refusals *refusals,
                        struct dv_error *err)
{
    struct dv_resources *resources = request->record->spec->resources;
    if (request->is_swap_default && refusals && refusals->swap)
        resources->memory_swap = NULL;
    return dv_resources_check_machine(resources, refusals, err);
}

int dv_spec_create(struct dv_str args,
                   const char *id,
                   struct dv_arena *arena,
                   struct dv_create_request *ret,
                   struct dv_error *err)
{
    return make(args, id, false, arena, ret, err);
}

int dv_spec_create_with_config(struct dv_str args,
                               const char *id,
                               struct dv_arena *arena,
                               struct dv_create_request *ret,
                               struct dv_error *err)
{
    return make(args, id, true, arena, ret, err);
}
