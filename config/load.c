/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"
#include "base/durable.h"
#include "base/str.h"
#include "config/state.h"
#include "config/table.h"

#include "json/json.h"
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define ARENA_MAX    (8U << 20)
#define PATH_MAX_LEN 256

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the configuration");
}

static void warn(struct dv_config_file *file, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void warn(struct dv_config_file *file, const char *format, ...)
{
    if (file->warning_count == CONFIG_WARNINGS_MAX)
        return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    char *kept = dv_arena_strdup(file->arena, dv_str_mend(text));
    if (kept)
        file->warnings[file->warning_count++] = kept;
}

/* -- values --------------------------------------------------------------------------------- */

static void *at(struct dv_config_file *file, size_t key)
{
    return (char *)&file->config + config_keys[key].offset;
}

static int bad(struct dv_error *err, const char *where, size_t key, const char *expected)
{
    return dv_error_set(err, DV_ERR_INVALID, "%s: %s: %s is expected", where, config_keys[key].path,
                        expected);
}

static int set_number(
    struct dv_config_file *file, size_t key, int64_t value, const char *where, struct dv_error *err)
{
    const struct config_key *k = &config_keys[key];
    char low[CONFIG_DURATION_TEXT];
    char high[CONFIG_DURATION_TEXT];
    if (value < k->min || value > k->max) {
        if (k->type != CONFIG_DURATION)
            return dv_error_set(err, DV_ERR_INVALID, "%s: %s: %lld is not between %lld and %lld",
                                where, k->path, (long long)value, (long long)k->min,
                                (long long)k->max);
        return dv_error_set(err, DV_ERR_INVALID, "%s: %s: it is not between %s and %s", where,
                            k->path, config_duration_text(k->min, low),
                            config_duration_text(k->max, high));
    }
    *(int64_t *)at(file, key) = value;
    return 0;
}

static int set_text(struct dv_config_file *file,
                    size_t key,
                    const char *value,
                    const char *where,
                    struct dv_error *err)
{
    const struct config_key *k = &config_keys[key];
    size_t len = strlen(value);
    if ((int64_t)len < k->min || (int64_t)len > k->max)
        return dv_error_set(err, DV_ERR_INVALID, "%s: %s: a text of %lld to %lld bytes is expected",
                            where, k->path, (long long)k->min, (long long)k->max);
    const char *copy = dv_arena_strdup(file->arena, value);
    if (!copy)
        return no_memory(err);
    *(const char **)at(file, key) = copy;
    return 0;
}

/* A duration as text, or a number of seconds, also as digits. */
static int set_duration_text(struct dv_config_file *file,
                             size_t key,
                             const char *value,
                             const char *where,
                             struct dv_error *err)
{
    int64_t ns;
    int64_t seconds;
    struct dv_str text = dv_str_of(value);
    if (dv_str_to_i64(text, 0, INT64_MAX / DV_CONFIG_SECOND, &seconds, NULL) == 0)
        return set_number(file, key, seconds * DV_CONFIG_SECOND, where, err);
    if (dv_str_to_duration_ns(text, &ns, NULL) < 0)
        return bad(err, where, key, "a duration like \"30s\" or a number of seconds");
    return set_number(file, key, ns, where, err);
}

static int set_texts(
    struct dv_config_file *file, size_t key, const char **items, size_t count, struct dv_error *err)
{
    const char **copies = dv_arena_array(file->arena, count, sizeof(*copies));
    if (!copies)
        return no_memory(err);
    for (size_t i = 0; i < count; i++) {
        copies[i] = dv_arena_strdup(file->arena, items[i]);
        if (!copies[i])
            return no_memory(err);
    }
    *(struct dv_config_texts *)at(file, key) = (struct dv_config_texts){copies, count};
    return 0;
}

static int set_list(struct dv_config_file *file,
                    size_t key,
                    const struct dv_json *node,
                    const char *where,
                    struct dv_error *err)
{
    size_t count = dv_json_count(node);
    if (!dv_json_is(node, DV_JSON_ARRAY) || (int64_t)count > config_keys[key].max)
        return bad(err, where, key, "a list of texts");
    const char **items = dv_arena_array(file->arena, count, sizeof(*items));
    if (!items)
        return no_memory(err);
    size_t i = 0;
    for (const struct dv_json *item = dv_json_first(node); item; item = dv_json_next(item)) {
        items[i] = dv_json_text(item);
        if (!items[i++])
            return bad(err, where, key, "a list of texts");
    }
    return set_texts(file, key, items, count, err);
}

static int set_json(struct dv_config_file *file,
                    size_t key,
                    const struct dv_json *node,
                    const char *where,
                    struct dv_error *err)
{
    int64_t number;
    file->sources[key] = CONFIG_FROM_FILE;
    switch (config_keys[key].type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        return dv_json_text(node) ? set_text(file, key, dv_json_text(node), where, err)
                                  : bad(err, where, key, "a text");
    case CONFIG_BOOL:
        if (!dv_json_is(node, DV_JSON_BOOL))
            return bad(err, where, key, "true or false");
        *(bool *)at(file, key) = dv_json_bool(node);
        return 0;
    case CONFIG_INT:
        return dv_json_to_i64(node, &number) ? set_number(file, key, number, where, err)
                                             : bad(err, where, key, "a whole number");
    case CONFIG_DURATION:
        if (dv_json_text(node))
            return set_duration_text(file, key, dv_json_text(node), where, err);
        return dv_json_to_i64(node, &number) && number >= 0 &&
                       number <= INT64_MAX / DV_CONFIG_SECOND
                   ? set_number(file, key, number * DV_CONFIG_SECOND, where, err)
                   : bad(err, where, key, "a duration like \"30s\" or a number of seconds");
    case CONFIG_TEXTS:
        return set_list(file, key, node, where, err);
    }
    return 0;
}

/* From the command line. */
static int set_option(struct dv_config_file *file,
                      size_t key,
                      const char *value,
                      const char *where,
                      struct dv_error *err)
{
    int64_t number;
    file->sources[key] = CONFIG_FROM_OPTION;
    switch (config_keys[key].type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
        return set_text(file, key, value, where, err);
    case CONFIG_BOOL:
        if (strcasecmp(value, "true") != 0 && strcasecmp(value, "false") != 0)
            return bad(err, where, key, "true or false");
        *(bool *)at(file, key) = strcasecmp(value, "true") == 0;
        return 0;
    case CONFIG_INT:
        return dv_str_to_i64(dv_str_of(value), INT64_MIN, INT64_MAX, &number, NULL) == 0
                   ? set_number(file, key, number, where, err)
                   : bad(err, where, key, "a whole number");
    case CONFIG_DURATION:
        return set_duration_text(file, key, value, where, err);
    case CONFIG_TEXTS: {
        const char *items[64];
        size_t count = 0;
        struct dv_str rest = dv_str_of(value);
        while (rest.len && count < 64) {
            struct dv_str item;
            dv_str_cut(rest, ',', &item, &rest);
            items[count] = dv_arena_strndup(file->arena, item.data, item.len);
            if (!items[count++])
                return no_memory(err);
        }
        return set_texts(file, key, items, count, err);
    }
    }
    return 0;
}

static int set_defaults(struct dv_config_file *file, struct dv_error *err)
{
    for (size_t key = 0; key < config_key_count; key++) {
        const struct config_key *k = &config_keys[key];
        int r = 0;
        switch (k->type) {
        case CONFIG_TEXT:
        case CONFIG_SECRET:
            *(const char **)at(file, key) = k->text;
            break;
        case CONFIG_TEXTS: {
            const char *item = k->text;
            r = set_texts(file, key, &item, item[0] ? 1 : 0, err);
            break;
        }
        case CONFIG_BOOL:
            *(bool *)at(file, key) = k->number != 0;
            break;
        case CONFIG_INT:
        case CONFIG_DURATION:
            *(int64_t *)at(file, key) = k->number;
            break;
        }
        if (r < 0)
            return r;
    }
    return 0;
}

/* -- the file ------------------------------------------------------------------------------- */

static bool find_key(const char *path, size_t *ret)
{
    for (size_t key = 0; key < config_key_count; key++) {
        if (strcasecmp(config_keys[key].path, path) != 0)
            continue;
        *ret = key;
        return true;
    }
    return false;
}

static bool is_section(const char *path)
{
    size_t len = strlen(path);
    for (size_t key = 0; key < config_key_count; key++)
        if (strncasecmp(config_keys[key].path, path, len) == 0 && config_keys[key].path[len] == '.')
            return true;
    return false;
}

static const char *path_at(size_t index, void *ctx)
{
    (void)ctx;
    return index < config_key_count ? config_keys[index].path : NULL;
}

/* A key of that name deeper in or further out in the same section, if there is one only. */
static const char *same_ending(const char *path)
{
    const char *found = NULL;
    const char *dot = strrchr(path, '.');
    const char *name = dot ? dot + 1 : path;
    size_t section = dot ? strcspn(path, ".") + 1 : 0;
    const char *known;
    for (size_t i = 0; (known = path_at(i, NULL)) != NULL; i++) {
        dot = strrchr(known, '.');
        if (strcmp(dot ? dot + 1 : known, name) != 0 || strncmp(known, path, section) != 0)
            continue;
        if (found)
            return NULL;
        found = known;
    }
    return found;
}

static int unknown(struct dv_config_file *file,
                   const char *where,
                   const char *path,
                   bool is_strict,
                   struct dv_error *err)
{
    const char *near = same_ending(path);
    if (!near)
        near = dv_str_nearest(dv_str_of(path), path_at, NULL);
    bool is_own = strncasecmp(path, "davit.", 6) == 0;
    if (is_own || is_strict)
        return dv_error_set(err, DV_ERR_INVALID, "%s: %s is not a known key%s%s%s", where, path,
                            near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    warn(file, "%s: %s is not a known key and has no effect%s%s%s", where, path,
         near ? ", did you mean " : "", near ? near : "", near ? "?" : "");
    return 0;
}

static int take_member(struct dv_config_file *file,
                       const struct dv_json *entry,
                       const char *key,
                       const char **ret,
                       const char *where,
                       struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(entry, key);
    if (!node || dv_json_is(node, DV_JSON_NULL))
        return 0;
    const char *text = dv_json_text(node);
    if (!text)
        return dv_error_set(err, DV_ERR_INVALID,
                            "%s: containers.registry_configurations: %s: a text is expected", where,
                            key);
    *ret = text[0] ? dv_arena_strdup(file->arena, text) : NULL;
    return text[0] && !*ret ? no_memory(err) : 0;
}

static int take_registry(struct dv_config_file *file,
                         const struct dv_json *entry,
                         struct dv_config_registry *ret,
                         const char *where,
                         struct dv_error *err)
{
    const struct dv_json *credentials = dv_json_get(entry, "credentials");
    const struct dv_json *transport = dv_json_get(entry, "transport");
    ret->host = dv_arena_strdup(file->arena, dv_json_key(entry));
    if (!ret->host)
        return no_memory(err);
    int r = take_member(file, credentials, "user_id", &ret->user, where, err);
    if (r == 0)
        r = take_member(file, credentials, "password", &ret->password, where, err);
    if (r == 0)
        r = take_member(file, transport, "root_ca", &ret->root_ca, where, err);
    if (r == 0)
        r = take_member(file, transport, "client_cert", &ret->client_cert, where, err);
    if (r == 0)
        r = take_member(file, transport, "client_key", &ret->client_key, where, err);
    return r;
}

static int take_registries(struct dv_config_file *file,
                           const struct dv_json *map,
                           const char *where,
                           struct dv_error *err)
{
    size_t count = dv_json_count(map);
    if (!dv_json_is(map, DV_JSON_OBJECT) || count > DV_CONFIG_REGISTRIES_MAX)
        return dv_error_set(err, DV_ERR_INVALID,
                            "%s: containers.registry_configurations: an object of at most %d "
                            "hosts is expected",
                            where, DV_CONFIG_REGISTRIES_MAX);
    struct dv_config_registry *items = dv_arena_array(file->arena, count, sizeof(*items));
    if (!items)
        return no_memory(err);
    size_t i = 0;
    for (const struct dv_json *entry = dv_json_first(map); entry; entry = dv_json_next(entry)) {
        int r = take_registry(file, entry, &items[i++], where, err);
        if (r < 0)
            return r;
    }
    file->config.registries = items;
    file->config.registry_count = count;
    return 0;
}

static int walk(struct dv_config_file *file,
                const struct dv_json *object,
                const char *prefix,
                const struct dv_config_options *options,
                struct dv_error *err)
{
    for (const struct dv_json *node = dv_json_first(object); node; node = dv_json_next(node)) {
        char path[PATH_MAX_LEN];
        size_t key;
        int r;
        snprintf(path, sizeof(path), "%s%s%.128s", prefix, prefix[0] ? "." : "", dv_json_key(node));
        if (strcasecmp(path, "containers.registry_configurations") == 0)
            r = take_registries(file, node, options->path, err);
        else if (strcasecmp(path, "containers.image_verifier_config") == 0)
            r = 0; /* without effect, like the verifier's type */
        else if (find_key(path, &key))
            r = dv_json_is(node, DV_JSON_NULL) ? 0 : set_json(file, key, node, options->path, err);
        else if (is_section(path) && dv_json_is(node, DV_JSON_OBJECT))
            r = walk(file, node, path, options, err);
        else if (is_section(path) && dv_json_is(node, DV_JSON_NULL))
            r = 0;
        else if (is_section(path))
            r = dv_error_set(err, DV_ERR_INVALID, "%s: %s: an object is expected", options->path,
                             path);
        else
            r = unknown(file, options->path, path, options->is_strict, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int load_file(struct dv_config_file *file,
                     const struct dv_config_options *options,
                     struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_CONFIG_FILE_MAX);
    DV_AUTO(dv_json) tree = NULL;
    if (!options->path)
        return 0;
    int r = dv_file_read(options->path, &text, err);
    if (r == -DV_ERR_NOT_FOUND) {
        dv_error_clear(err);
        return 0;
    }
    if (r < 0)
        return r;
    if (text.len == 0)
        return 0;
    r = dv_json_parse(text.data, text.len, &tree, err);
    if (r < 0)
        return dv_error_prefix(err, "%s: ", options->path);
    if (!dv_json_is(tree, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_INVALID, "%s: an object is expected", options->path);
    return walk(file, tree, "", options, err);
}

/* -- the command line ----------------------------------------------------------------------- */

static bool find_option(const char *name, size_t *ret)
{
    for (size_t key = 0; key < config_key_count; key++) {
        const char *flag = config_keys[key].flag ? config_keys[key].flag : config_keys[key].path;
        if (strcmp(flag, name) != 0)
            continue;
        *ret = key;
        return true;
    }
    return false;
}

static const char *option_at(size_t index, void *ctx)
{
    (void)ctx;
    if (index >= config_key_count)
        return NULL;
    return config_keys[index].flag ? config_keys[index].flag : config_keys[index].path;
}

static int take_option(struct dv_config_file *file,
                       const struct dv_config_options *options,
                       int *index,
                       struct dv_error *err)
{
    const char *argument = options->argv[*index];
    if (strncmp(argument, "--", 2) != 0)
        return dv_error_set(err, DV_ERR_INVALID, "'%s' is not an option", argument);
    struct dv_str name;
    struct dv_str value;
    char text[PATH_MAX_LEN];
    size_t key;
    bool has_value = dv_str_cut(dv_str_of(argument + 2), '=', &name, &value);
    snprintf(text, sizeof(text), "%.*s", DV_STR_ARG(name));
    if (!find_option(text, &key)) {
        const char *near = dv_str_nearest(name, option_at, NULL);
        return dv_error_set(err, DV_ERR_INVALID, "--%s is not a known option%s%s%s", text,
                            near ? ", did you mean --" : "", near ? near : "", near ? "?" : "");
    }
    /* A flag without a value is true, as in Kanto. */
    if (has_value)
        return set_option(file, key, value.data, "command line", err);
    if (config_keys[key].type == CONFIG_BOOL)
        return set_option(file, key, "true", "command line", err);
    if (*index + 1 >= options->argc)
        return dv_error_set(err, DV_ERR_INVALID, "--%s needs a value", text);
    return set_option(file, key, options->argv[++*index], "command line", err);
}

/* -- all together --------------------------------------------------------------------------- */

static void warn_ignored(struct dv_config_file *file)
{
    for (size_t key = 0; key < config_key_count; key++)
        if (config_keys[key].origin == CONFIG_IGNORED && file->sources[key] != CONFIG_FROM_DEFAULT)
            warn(file, "%s has no effect in davit", config_keys[key].path);
}

int dv_config_load(const struct dv_config_options *options,
                   struct dv_config_file **ret,
                   struct dv_error *err)
{
    DV_AUTO(dv_config_file) file = calloc(1, sizeof(*file));
    if (file) {
        file->arena = dv_arena_new(ARENA_MAX);
        file->sources = calloc(config_key_count, sizeof(*file->sources));
    }
    if (!file || !file->arena || !file->sources)
        return no_memory(err);
    int r = set_defaults(file, err);
    if (r == 0)
        r = load_file(file, options, err);
    for (int i = 1; r == 0 && i < options->argc; i++)
        r = take_option(file, options, &i, err);
    if (r < 0)
        return r;
    warn_ignored(file);
    *ret = dv_steal(&file);
    return 0;
}

void dv_config_free(struct dv_config_file *file)
{
    if (!file)
        return;
    dv_arena_free(file->arena);
    free(file->sources);
    free(file);
}

const struct dv_config *dv_config_of(const struct dv_config_file *file)
{
    return &file->config;
}

const char *dv_config_warning(const struct dv_config_file *file, size_t index)
{
    return index < file->warning_count ? file->warnings[index] : NULL;
}
