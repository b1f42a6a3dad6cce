/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/record.h"

#include "spec/read.h"
#include "spec/rules.h"
#include "spec/write.h"

#include <string.h>
#include <strings.h>

/* Objects of the record, in the order in which they are written. */
static const char *const parents[] = {"image",     "config", "host_config",
                                      "io_config", "state",  "davit"};

#define PARENT_COUNT (sizeof(parents) / sizeof(parents[0]))

/* Members of Kanto's records that davit derives or has no use for; they are no news to a reader. */
static const char *const derived[] = {
    "resolv_conf_path",
    "hosts_path",
    "hostname_path",
    "network_settings",
    "io_config.attach_stderr",
    "io_config.attach_stdin",
    "io_config.attach_stdout",
    "io_config.stdin_once",
    "state.exited",
    "state.dead",
    "state.restarting",
    "state.paused",
    "state.running",
};

struct bodies {
    const struct spec_map *maps[4]; /* ends with NULL */
    const void *bodies[3];
};

static struct bodies bodies_of(const struct dv_container_record *record)
{
    return (struct bodies){
        {spec_map_of(&dv_schema_container_record), spec_map_of(&dv_schema_container_spec),
         spec_map_of(&dv_schema_container_state), NULL},
        {record, record->spec, record->state},
    };
}

/* -- writing -------------------------------------------------------------------------------- */

static bool is_in(const char *path, const char *parent)
{
    size_t len = strlen(parent);
    if (!len)
        return !strchr(path, '.');
    return strncmp(path, parent, len) == 0 && path[len] == '.' && !strchr(path + len + 1, '.');
}

static void write_rows(struct dv_json_writer *w, const struct bodies *b, const char *parent)
{
    for (size_t m = 0; b->maps[m]; m++) {
        for (size_t i = 0; i < b->maps[m]->count; i++) {
            const struct spec_row *row = &b->maps[m]->rows[i];
            if (row->record && is_in(row->record, parent))
                spec_write_record_field(w, row, spec_field_of(b->maps[m]->schema, row->field),
                                        b->bodies[m]);
        }
    }
}

static void
write_unknown(struct dv_json_writer *w, const struct dv_json *unknown, const char *parent)
{
    for (const struct dv_json *at = dv_json_first(unknown); at; at = dv_json_next(at)) {
        const char *path = dv_json_key(at);
        if (!is_in(path, parent))
            continue;
        dv_jw_key(w, parent[0] ? path + strlen(parent) + 1 : path);
        dv_jw_node(w, at);
    }
}

static void write_derived(struct dv_json_writer *w,
                          const struct dv_container_record *record,
                          const char *parent)
{
    enum dv_status status = record->state->status;
    if (strcmp(parent, "io_config") == 0) {
        dv_jw_member_bool(w, "attach_stderr", false);
        dv_jw_member_bool(w, "attach_stdin", false);
        dv_jw_member_bool(w, "attach_stdout", false);
        dv_jw_member_bool(w, "stdin_once", false);
    } else if (strcmp(parent, "state") == 0) {
        dv_jw_member_bool(w, "exited", status == DV_STATUS_EXITED);
        dv_jw_member_bool(w, "dead", status == DV_STATUS_DEAD);
        dv_jw_member_bool(w, "restarting", false);
        dv_jw_member_bool(w, "paused", status == DV_STATUS_PAUSED);
        dv_jw_member_bool(w, "running", status == DV_STATUS_RUNNING);
    }
}

/* As Kanto writes it: by the name of the network. */
static void write_network(struct dv_json_writer *w, const struct dv_network_settings *network)
{
    if (!network) {
        dv_jw_null(w);
        return;
    }
    dv_jw_object(w);
    dv_jw_key(w, "networks");
    dv_jw_object(w);
    dv_jw_key(w, "bridge");
    dv_jw_object(w);
    dv_jw_member_text(w, "id", network->interface);
    dv_jw_member_text(w, "gateway", network->gateway);
    dv_jw_member_text(w, "ip_address", network->address);
    dv_jw_member_text(w, "mac_address", network->mac);
    dv_jw_member_text(w, "network_id", network->bridge);
    if (network->address6) {
        dv_jw_member_text(w, "davit_ip6_address", network->address6);
        dv_jw_member_text(w, "davit_ip6_gateway", network->gateway6 ? network->gateway6 : "");
    }
    dv_jw_object_end(w);
    dv_jw_object_end(w);
    dv_jw_member_text(w, "network_controller_id", "bridge");
    dv_jw_object_end(w);
}

int dv_record_encode(const struct dv_container_record *record,
                     struct dv_buf *out,
                     struct dv_error *err)
{
    DV_AUTO(dv_json) unknown = NULL;
    if (record->unknown_json) {
        int r = dv_json_parse(record->unknown_json, strlen(record->unknown_json), &unknown, err);
        if (r < 0)
            return r;
    }
    struct bodies b = bodies_of(record);
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    write_rows(&w, &b, "");
    for (size_t i = 0; i < PARENT_COUNT; i++) {
        dv_jw_key(&w, parents[i]);
        dv_jw_object(&w);
        write_rows(&w, &b, parents[i]);
        write_derived(&w, record, parents[i]);
        write_unknown(&w, unknown, parents[i]);
        dv_jw_object_end(&w);
    }
    dv_jw_key(&w, "network_settings");
    write_network(&w, record->network);
    write_unknown(&w, unknown, "");
    dv_jw_object_end(&w);
    int r = dv_jw_done(&w, err);
    return r < 0 ? r : dv_buf_append(out, "\n", 1, err);
}

/* -- reading -------------------------------------------------------------------------------- */

static bool is_derived(const char *path)
{
    for (size_t i = 0; i < sizeof(derived) / sizeof(derived[0]); i++)
        if (strcasecmp(path, derived[i]) == 0)
            return true;
    return false;
}

static bool is_parent(const char *key)
{
    for (size_t i = 0; i < PARENT_COUNT; i++)
        if (strcasecmp(key, parents[i]) == 0)
            return true;
    return false;
}

static bool has_row(const struct bodies *b, const char *path)
{
    for (size_t m = 0; b->maps[m]; m++)
        for (size_t i = 0; i < b->maps[m]->count; i++)
            if (b->maps[m]->rows[i].record && strcasecmp(b->maps[m]->rows[i].record, path) == 0)
                return true;
    return false;
}

/* Members that nothing here reads are kept with their path, and reported. */
static void keep_level(struct spec_reader *reader,
                       const struct bodies *b,
                       const struct dv_json *object,
                       const char *prefix,
                       struct dv_json_writer *kept)
{
    for (const struct dv_json *at = dv_json_first(object); at; at = dv_json_next(at)) {
        const char *key = dv_json_key(at);
        char path[256];
        int used = snprintf(path, sizeof(path), "%s%s%s", prefix, prefix[0] ? "." : "", key);
        if (used < 0 || (size_t)used >= sizeof(path) || has_row(b, path) || is_derived(path))
            continue;
        if (!prefix[0] && is_parent(key)) {
            keep_level(reader, b, at, key, kept);
            continue;
        }
        if (strchr(key, '.'))
            continue; /* would read as a path on the way back */
        dv_jw_key(kept, path);
        dv_jw_node(kept, at);
        char *text = dv_arena_printf(reader->arena, "%s is not a known key; it is kept", path);
        if (text && reader->notes.count < DV_SPEC_NOTES_MAX)
            reader->notes.texts[reader->notes.count++] = text;
    }
}

static int keep_unknown(struct spec_reader *reader,
                        const struct bodies *b,
                        const struct dv_json *tree,
                        struct dv_container_record *record)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(65536);
    struct dv_json_writer kept;
    size_t before = reader->notes.count;
    dv_jw_init(&kept, &buf);
    dv_jw_object(&kept);
    keep_level(reader, b, tree, "", &kept);
    dv_jw_object_end(&kept);
    int r = dv_jw_done(&kept, reader->err);
    if (r < 0)
        return dv_error_prefix(reader->err, "unknown members: ");
    if (reader->notes.count > before) {
        record->unknown_json = dv_arena_strdup(reader->arena, buf.data);
        if (!record->unknown_json)
            return dv_error_set(reader->err, DV_ERR_NO_MEMORY, "no memory for a record");
    }
    if (!reader->notes.count)
        return 0;
    char **items = dv_arena_array(reader->arena, reader->notes.count, sizeof(*items));
    if (!items)
        return dv_error_set(reader->err, DV_ERR_NO_MEMORY, "no memory for a record");
    memcpy(items, reader->notes.texts, reader->notes.count * sizeof(*items));
    record->warnings = (struct dv_texts){items, reader->notes.count};
    return 0;
}

static int check_parents(const struct dv_json *tree, struct dv_error *err)
{
    for (size_t i = 0; i < PARENT_COUNT; i++) {
        const struct dv_json *node = dv_json_get(tree, parents[i]);
        if (node && !dv_json_is(node, DV_JSON_OBJECT) && !dv_json_is(node, DV_JSON_NULL))
            return spec_bad(err, parents[i], "%s is given, an object is expected",
                            dv_json_type_name(dv_json_type_of(node)));
    }
    return 0;
}

/* What a text is missing, and what it is. */
struct reading {
    const char *fallback_id;   /* NULL: an id is required */
    const char *fallback_name; /* NULL: the id */
    bool is_description;       /* of a container that is to be made */
};

static int read_record(const struct dv_json *tree,
                       const struct reading *how,
                       struct dv_arena *arena,
                       struct dv_container_record **ret,
                       struct dv_error *err)
{
    struct dv_container_record *record = dv_arena_alloc(arena, sizeof(*record));
    struct dv_container_spec *spec = dv_arena_alloc(arena, sizeof(*spec));
    struct dv_container_state *state = dv_arena_alloc(arena, sizeof(*state));
    if (!record || !spec || !state)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a record");
    record->spec = spec;
    record->state = state;
    state->pid = -1;
    state->status = DV_STATUS_CREATED;
    struct bodies b = bodies_of(record);
    struct spec_reader reader = {.shape = SPEC_RECORD, .arena = arena, .err = err};
    void *targets[] = {record, spec, state};
    int r = check_parents(tree, err);
    for (size_t m = 0; r == 0 && b.maps[m]; m++)
        r = spec_read(&reader, b.maps[m], tree, "", targets[m]);
    if (r < 0)
        return r;
    if (!record->id && how->fallback_id)
        record->id = dv_arena_strdup(arena, how->fallback_id);
    if (!record->name && how->fallback_name)
        record->name = dv_arena_strdup(arena, how->fallback_name);
    if (!record->id)
        return dv_error_set(err, DV_ERR_INVALID, "container_id: is required");
    r = keep_unknown(&reader, &b, tree, record);
    if (r == 0)
        r = dv_spec_fill_defaults(record, arena, how->is_description, err);
    if (r == 0)
        r = dv_spec_check(record, err);
    if (r == 0)
        *ret = record;
    return r;
}

/* A record that was copied from another machine brings what only that machine knows. */
static void forget_machine(struct dv_container_record *record)
{
    *record->state = (struct dv_container_state){.status = DV_STATUS_CREATING, .pid = -1};
    record->created_ns = 0;
    record->restart_count = 0;
    record->manually_stopped = false;
    record->started_before = false;
    record->start_pending = false;
    record->layers = (struct dv_texts){0};
    record->image_id = NULL;
    record->restart_wait_ms = 0;
    record->restart_due_ns = 0;
    record->run_started_ns = 0;
    record->run_ended_ns = 0;
    record->module_name = NULL;
    record->module_version = NULL;
    record->artifact_digest = NULL;
}

static int decode(const char *bytes,
                  size_t len,
                  const struct reading *how,
                  struct dv_arena *arena,
                  struct dv_container_record **ret,
                  struct dv_error *err)
{
    DV_AUTO(dv_json) tree = NULL;
    int r = dv_json_parse(bytes, len, &tree, err);
    return r < 0 ? r : read_record(tree, how, arena, ret, err);
}

int dv_record_decode(const char *bytes,
                     size_t len,
                     const char *fallback_id,
                     struct dv_arena *arena,
                     struct dv_container_record **ret,
                     struct dv_error *err)
{
    const struct reading how = {.fallback_id = fallback_id};
    return decode(bytes, len, &how, arena, ret, err);
}

int dv_record_describe(const char *bytes,
                       size_t len,
                       const char *id,
                       const char *name,
                       struct dv_arena *arena,
                       struct dv_container_record **ret,
                       struct dv_error *err)
{
    const struct reading how = {.fallback_id = id, .fallback_name = name, .is_description = true};
    int r = decode(bytes, len, &how, arena, ret, err);
    if (r == 0)
        forget_machine(*ret);
    return r;
}

struct dv_maybe dv_record_state_ms(const struct dv_container_record *record, int64_t now_ns)
{
    enum dv_status status = record->state->status;
    int64_t since_ns = 0;
    if (status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED)
        since_ns = record->run_started_ns;
    else if (status == DV_STATUS_STOPPED || status == DV_STATUS_EXITED)
        since_ns = record->run_ended_ns;
    if (since_ns <= 0 || since_ns > now_ns)
        return (struct dv_maybe){0};
    return (struct dv_maybe){true, (now_ns - since_ns) / 1000000};
}
