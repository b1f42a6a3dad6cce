/* SPDX-License-Identifier: Apache-2.0 */
/* Removing what nobody needs any more. */
#include "base/durable.h"
#include "runtime/image/config.h"
#include "runtime/image/layers.h"
#include "runtime/image/store_state.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define IMAGE_MEMORY_MAX (64U << 20) /* one image's documents */
#define NAMES_MEMORY_MAX (16U << 20) /* references and ids */

/* A set of short texts; small enough in practice to be searched from end to end. */
struct names {
    struct dv_arena *arena;
    const char **items;
    size_t count;
    size_t capacity;
};

static bool has_name(const struct names *names, const char *name)
{
    for (size_t i = 0; i < names->count; i++)
        if (strcmp(names->items[i], name) == 0)
            return true;
    return false;
}

static int add_name(struct names *names, const char *name, struct dv_error *err)
{
    if (has_name(names, name))
        return 0;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 64;
        const char **items = dv_arena_array(names->arena, capacity, sizeof(*items));
        if (!items)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "collect layers: out of memory");
        if (names->count)
            memcpy(items, names->items, names->count * sizeof(*items));
        names->items = items;
        names->capacity = capacity;
    }
    names->items[names->count] = dv_arena_strdup(names->arena, name);
    if (!names->items[names->count])
        return dv_error_set(err, DV_ERR_NO_MEMORY, "collect layers: out of memory");
    names->count++;
    return 0;
}

static int add_layers_of(struct dv_image_store *store,
                         const struct dv_stored_image *image,
                         struct names *needed,
                         struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(IMAGE_MEMORY_MAX);
    struct dv_document document;
    struct dv_image_config config = {0};
    const char *bytes = NULL;
    size_t len = 0;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "collect layers: out of memory");
    int r = dv_image_store_manifest(store, &image->manifest, arena, &document, err);
    if (r == 0)
        r = dv_image_store_read(store, document.config.digest, DV_IMAGE_CONFIG_BYTES_MAX, arena,
                                &bytes, &len, err);
    if (r == 0)
        r = dv_image_config_parse(bytes, len, arena, &config, err);
    for (size_t i = 0; r == 0 && i < config.diff_id_count; i++) {
        char id[DV_LAYER_ID_SIZE];
        struct dv_error cause = DV_ERROR_INIT;
        r = dv_layers_find(store, config.diff_ids[i], id, &cause);
        if (r == -DV_ERR_NOT_FOUND)
            r = 0;
        else
            r = r < 0 ? dv_error_set(err, cause.class, "%s", cause.text)
                      : add_name(needed, id, err);
    }
    return r;
}

/* Renamed away under the lock, so that it is gone for everybody at once; the record goes with it.
 */
static int take_away(struct dv_image_store *store,
                     const char *id,
                     char ret_staged[PATH_MAX],
                     struct dv_error *err)
{
    char path[PATH_MAX], record[PATH_MAX];
    pthread_mutex_lock(&store->layers_lock);
    unsigned long number = ++store->staged;
    int n = snprintf(ret_staged, PATH_MAX, "%s/out-%lu", store->staging_dir, number);
    int m = snprintf(path, sizeof(path), "%s/%s", store->layers_dir, id);
    int k = snprintf(record, sizeof(record), "%s/%s", store->ids_dir, id);
    int r = 0;
    if (n < 0 || n >= PATH_MAX || m < 0 || m >= PATH_MAX || k < 0 || k >= PATH_MAX)
        r = dv_error_set(err, DV_ERR_LIMIT, "path of layer %s is too long", id);
    else if (rename(path, ret_staged) < 0)
        r = dv_error_sys(err, DV_ERR_IO, errno, "rename '%s' to '%s'", path, ret_staged);
    else
        (void)unlink(record);
    pthread_mutex_unlock(&store->layers_lock);
    return r;
}

static bool is_layer_id(const char *name)
{
    size_t len = strlen(name);
    return len >= 12 && len < DV_LAYER_ID_SIZE && strspn(name, "0123456789abcdef") == len;
}

static int remove_others(struct dv_image_store *store,
                         const struct names *needed,
                         size_t *ret_removed,
                         struct dv_error *err)
{
    dv_autoclosedir DIR *dir = opendir(store->layers_dir);
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "read '%s'", store->layers_dir);
    struct dirent *entry;
    size_t removed = 0;
    while ((entry = readdir(dir))) {
        char staged[PATH_MAX];
        if (!is_layer_id(entry->d_name) || has_name(needed, entry->d_name))
            continue;
        int r = take_away(store, entry->d_name, staged, err);
        if (r == 0)
            r = dv_tree_remove(staged, err);
        if (r < 0)
            return r;
        removed++;
    }
    *ret_removed = removed;
    return 0;
}

int dv_layers_collect(struct dv_image_store *store,
                      const char *const *used,
                      size_t used_count,
                      size_t *ret_removed,
                      struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(NAMES_MEMORY_MAX);
    struct names needed = {.arena = arena};
    struct dv_stored_image *images = NULL;
    size_t count = 0;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "collect layers: out of memory");
    int r = dv_image_store_list(store, arena, &images, &count, err);
    for (size_t i = 0; r == 0 && i < used_count; i++)
        r = add_name(&needed, used[i], err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        r = add_layers_of(store, &images[i], &needed, err);
        if (r < 0)
            (void)dv_error_prefix(err, "collect layers: image '%s': ", images[i].reference);
    }
    return r < 0 ? r : remove_others(store, &needed, ret_removed, err);
}
