/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/image_config.h"

#include "json/json.h"

static int take_text(const struct dv_json *object,
                     const char *key,
                     struct dv_arena *arena,
                     const char **ret,
                     struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(object, key);
    if (dv_json_is(node, DV_JSON_NULL))
        return 0;
    const char *text = dv_json_text(node);
    if (!text)
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: %s is %s, not a string", key,
                            dv_json_type_name(dv_json_type_of(node)));
    if (!text[0])
        return 0;
    *ret = dv_arena_strdup(arena, text);
    if (!*ret)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image configuration: out of memory");
    return 0;
}

static int take_texts(const struct dv_json *object,
                      const char *key,
                      struct dv_arena *arena,
                      struct dv_texts *ret,
                      struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(object, key);
    if (dv_json_is(node, DV_JSON_NULL))
        return 0;
    size_t count = dv_json_count(node);
    if (!dv_json_is(node, DV_JSON_ARRAY) || count > DV_OCI_IMAGE_TEXTS_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "image configuration: %s is no list of at most %u strings", key,
                            DV_OCI_IMAGE_TEXTS_MAX);
    ret->items = dv_arena_array(arena, count ? count : 1, sizeof(*ret->items));
    if (!ret->items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image configuration: out of memory");
    for (const struct dv_json *item = dv_json_first(node); item; item = dv_json_next(item)) {
        const char *text = dv_json_text(item);
        if (!text)
            return dv_error_set(err, DV_ERR_CORRUPT,
                                "image configuration: %s[%zu] is %s, not a string", key, ret->count,
                                dv_json_type_name(dv_json_type_of(item)));
        ret->items[ret->count] = dv_arena_strdup(arena, text);
        if (!ret->items[ret->count++])
            return dv_error_set(err, DV_ERR_NO_MEMORY, "image configuration: out of memory");
    }
    return 0;
}

int dv_oci_image_parse(const char *bytes,
                       size_t len,
                       struct dv_arena *arena,
                       struct dv_oci_image *ret,
                       struct dv_error *err)
{
    if (len > DV_OCI_IMAGE_BYTES_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: more than %u bytes",
                            DV_OCI_IMAGE_BYTES_MAX);
    struct dv_json *parsed = NULL;
    int r = dv_json_parse(bytes, len, &parsed, err);
    DV_AUTO(dv_json) root = parsed;
    if (r < 0) {
        if (err)
            err->class = DV_ERR_CORRUPT;
        (void)dv_error_prefix(err, "image configuration: ");
        return -DV_ERR_CORRUPT;
    }
    if (!dv_json_is(root, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: it is not an object");
    const struct dv_json *config = dv_json_get(root, "config");
    if (!dv_json_is(config, DV_JSON_NULL) && !dv_json_is(config, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_CORRUPT, "image configuration: config is not an object");

    struct dv_oci_image image = {.user = NULL};
    r = take_text(config, "User", arena, &image.user, err);
    if (r == 0)
        r = take_text(config, "WorkingDir", arena, &image.working_dir, err);
    if (r == 0)
        r = take_text(config, "StopSignal", arena, &image.stop_signal, err);
    if (r == 0)
        r = take_texts(config, "Env", arena, &image.env, err);
    if (r == 0)
        r = take_texts(config, "Entrypoint", arena, &image.entrypoint, err);
    if (r == 0)
        r = take_texts(config, "Cmd", arena, &image.cmd, err);
    if (r < 0)
        return r;
    *ret = image;
    return 0;
}
