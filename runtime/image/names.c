/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/names.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

int dv_names_add(struct dv_names *names, const char *name, struct dv_error *err)
{
    assert(!names->is_sealed);
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 64;
        const char **items = dv_arena_array(names->arena, capacity, sizeof(*items));
        if (!items)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "collect images: out of memory");
        if (names->count)
            memcpy(items, names->items, names->count * sizeof(*items));
        names->items = items;
        names->capacity = capacity;
    }
    const char *copy = dv_arena_strdup(names->arena, name);
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "collect images: out of memory");
    names->items[names->count++] = copy;
    return 0;
}

void dv_names_seal(struct dv_names *names)
{
    if (names->count)
        qsort(names->items, names->count, sizeof(*names->items), compare);
    names->is_sealed = true;
}

bool dv_names_has(const struct dv_names *names, const char *name)
{
    assert(names->is_sealed);
    return names->count &&
           bsearch(&name, names->items, names->count, sizeof(*names->items), compare) != NULL;
}
