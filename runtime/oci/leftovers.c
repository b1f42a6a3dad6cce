/* SPDX-License-Identifier: Apache-2.0 */
/* Folders by the name of a container, for whoever knows which containers there are. */
#include "base/cleanup.h"
#include "runtime/oci/state.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define LEFTOVERS_MAX 16384

static bool has(const struct dv_oci_place *place, const char *name)
{
    char path[PATH_MAX];
    return access(dv_oci_place_join(path, place->data, name), F_OK) == 0;
}

bool dv_oci_has_record(const struct dv_oci_place *place)
{
    return has(place, "config.json") || has(place, "config.json.bad");
}

/* What the container wrote and nobody else has. */
static bool has_data(const struct dv_oci_place *place)
{
    char path[PATH_MAX];
    dv_autoclosedir DIR *dir = opendir(dv_oci_place_join(path, place->data, "upper"));
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return true;
    return false;
}

static int add(struct dv_texts *list, const char *id, struct dv_arena *arena, struct dv_error *err)
{
    for (size_t i = 0; i < list->count; i++)
        if (strcmp(list->items[i], id) == 0)
            return 0;
    if (list->count == LEFTOVERS_MAX)
        return 0; /* the rest is found at the next start */
    char *copy = dv_arena_printf(arena, "%s", id);
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a list of folders");
    list->items[list->count++] = copy;
    return 0;
}

static int list_folder(const struct dv_oci_driver *driver,
                       const char *folder,
                       struct dv_arena *arena,
                       struct dv_runtime_leftovers *ret,
                       struct dv_error *err)
{
    dv_autoclosedir DIR *dir = opendir(folder);
    if (!dir && errno == ENOENT)
        return 0;
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%s'", folder);
    const struct dirent *entry;
    int r = 0;
    while (r == 0 && (entry = readdir(dir)) != NULL) {
        struct dv_oci_place place;
        if (entry->d_name[0] == '.' ||
            dv_oci_place_of(driver->home_dir, driver->run_dir, entry->d_name, &place, NULL) < 0)
            continue;
        bool is_kept = dv_oci_has_record(&place) || has_data(&place);
        r = add(is_kept ? &ret->kept : &ret->ids, entry->d_name, arena, err);
    }
    return r;
}

int dv_oci_driver_leftovers(struct dv_runtime *runtime,
                            struct dv_arena *arena,
                            struct dv_runtime_leftovers *ret,
                            struct dv_error *err)
{
    const struct dv_oci_driver *driver = (const struct dv_oci_driver *)runtime;
    char path[PATH_MAX];
    struct dv_runtime_leftovers found = {
        .ids = {dv_arena_array(arena, LEFTOVERS_MAX, sizeof(char *)), 0},
        .kept = {dv_arena_array(arena, LEFTOVERS_MAX, sizeof(char *)), 0},
    };
    if (!found.ids.items || !found.kept.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a list of folders");
    int r = list_folder(driver, dv_oci_place_join(path, driver->home_dir, "containers"), arena,
                        &found, err);
    if (r == 0)
        r = list_folder(driver, dv_oci_place_join(path, driver->run_dir, "containers"), arena,
                        &found, err);
    if (r == 0)
        r = list_folder(driver, driver->root, arena, &found, err);
    if (r == 0)
        *ret = found;
    return r;
}
