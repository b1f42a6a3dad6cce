/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/config.h"

#include "runtime/image/digest.h"
#include "runtime/image/manifest.h"

#include "json/json.h"

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "image configuration: out of memory");
}

/* null and "" read as absent: builders write both for what was not given. */
static int read_text(const struct dv_json *object,
                     const char *key,
                     struct dv_arena *arena,
                     char **ret,
                     struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(object, key);
    if (!node || dv_json_is(node, DV_JSON_NULL))
        return 0;
    const char *text = dv_json_text(node);
    if (!text)
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: %s is %s, not a string", key,
                            dv_json_type_name(dv_json_type_of(node)));
    if (*text && !(*ret = dv_arena_strdup(arena, text)))
        return no_memory(err);
    return 0;
}

static int read_texts(const struct dv_json *object,
                      const char *key,
                      struct dv_arena *arena,
                      char ***ret,
                      size_t *ret_count,
                      struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(object, key);
    size_t count = dv_json_is(node, DV_JSON_ARRAY) ? dv_json_count(node) : 0;
    if (node && !dv_json_is(node, DV_JSON_ARRAY) && !dv_json_is(node, DV_JSON_NULL))
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: %s is %s, not an array", key,
                            dv_json_type_name(dv_json_type_of(node)));
    if (count > DV_IMAGE_CONFIG_ITEMS_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "image configuration: %s has %zu items, more than %d", key, count,
                            DV_IMAGE_CONFIG_ITEMS_MAX);
    char **items = dv_arena_array(arena, count + 1, sizeof(*items));
    if (!items)
        return no_memory(err);
    size_t i = 0;
    for (const struct dv_json *n = count ? dv_json_first(node) : NULL; n; n = dv_json_next(n)) {
        const char *text = dv_json_text(n);
        if (!text)
            return dv_error_set(err, DV_ERR_CORRUPT,
                                "image configuration: %s[%zu] is %s, not a string", key, i,
                                dv_json_type_name(dv_json_type_of(n)));
        items[i] = dv_arena_strdup(arena, text);
        if (!items[i++])
            return no_memory(err);
    }
    *ret = items;
    *ret_count = count;
    return 0;
}

static int read_rootfs(const struct dv_json *root,
                       struct dv_arena *arena,
                       struct dv_image_config *ret,
                       struct dv_error *err)
{
    const struct dv_json *rootfs = dv_json_get(root, "rootfs");
    const char *type = dv_json_text(dv_json_get(rootfs, "type"));
    if (!type || strcmp(type, "layers") != 0)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "image configuration: rootfs.type is missing or not 'layers'");
    int r = read_texts(rootfs, "diff_ids", arena, &ret->diff_ids, &ret->diff_id_count, err);
    if (r < 0)
        return r;
    if (ret->diff_id_count > DV_LAYERS_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "image configuration: rootfs.diff_ids has %zu items, more than %d",
                            ret->diff_id_count, DV_LAYERS_MAX);
    for (size_t i = 0; i < ret->diff_id_count; i++)
        if (!dv_digest_is_valid(dv_str_of(ret->diff_ids[i])))
            return dv_error_set(err, DV_ERR_CORRUPT,
                                "image configuration: rootfs.diff_ids[%zu] is no digest", i);
    return 0;
}

static int read_run(const struct dv_json *run,
                    struct dv_arena *arena,
                    struct dv_image_config *ret,
                    struct dv_error *err)
{
    if (run && !dv_json_is(run, DV_JSON_OBJECT) && !dv_json_is(run, DV_JSON_NULL))
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: config is %s, not an object",
                            dv_json_type_name(dv_json_type_of(run)));
    if (!dv_json_is(run, DV_JSON_OBJECT))
        run = NULL;
    int r = read_texts(run, "Env", arena, &ret->env, &ret->env_count, err);
    if (r == 0)
        r = read_texts(run, "Entrypoint", arena, &ret->entrypoint, &ret->entrypoint_count, err);
    if (r == 0)
        r = read_texts(run, "Cmd", arena, &ret->cmd, &ret->cmd_count, err);
    if (r == 0)
        r = read_text(run, "WorkingDir", arena, &ret->working_dir, err);
    if (r == 0)
        r = read_text(run, "User", arena, &ret->user, err);
    if (r == 0)
        r = read_text(run, "StopSignal", arena, &ret->stop_signal, err);
    return r;
}

int dv_image_config_parse(const char *bytes,
                          size_t len,
                          struct dv_arena *arena,
                          struct dv_image_config *ret,
                          struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    if (len > DV_IMAGE_CONFIG_BYTES_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: larger than %u bytes",
                            DV_IMAGE_CONFIG_BYTES_MAX);
    DV_AUTO(dv_json) root = NULL;
    int r = dv_json_parse_cased(bytes, len, &root, &cause);
    if (r < 0)
        return dv_error_set(err, r == -DV_ERR_NO_MEMORY ? DV_ERR_NO_MEMORY : DV_ERR_CORRUPT,
                            "image configuration: %s", cause.text);
    if (!dv_json_is(root, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: it is not an object");
    struct dv_image_config config = {0};
    r = read_text(root, "os", arena, &config.os, err);
    if (r == 0)
        r = read_text(root, "architecture", arena, &config.architecture, err);
    if (r == 0)
        r = read_text(root, "variant", arena, &config.variant, err);
    if (r == 0)
        r = read_run(dv_json_get(root, "config"), arena, &config, err);
    if (r == 0)
        r = read_rootfs(root, arena, &config, err);
    if (r < 0)
        return r;
    *ret = config;
    return 0;
}
