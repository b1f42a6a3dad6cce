/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/gone.h"

#include <stdlib.h>
#include <string.h>

struct dv_gone {
    size_t count;
    char *ids[DV_GONE_MAX];
    uint64_t entries[DV_GONE_MAX]; /* of the journal */
};

struct dv_gone *dv_gone_new(void)
{
    return calloc(1, sizeof(struct dv_gone));
}

void dv_gone_free(struct dv_gone *gone)
{
    if (!gone)
        return;
    for (size_t i = 0; i < gone->count; i++)
        free(gone->ids[i]);
    free(gone);
}

static size_t index_of(const struct dv_gone *gone, const char *id)
{
    size_t i = 0;
    while (i < gone->count && strcmp(gone->ids[i], id) != 0)
        i++;
    return i;
}

static void drop(struct dv_gone *gone, size_t index)
{
    free(gone->ids[index]);
    gone->count--;
    memmove(&gone->ids[index], &gone->ids[index + 1], (gone->count - index) * sizeof(gone->ids[0]));
    memmove(&gone->entries[index], &gone->entries[index + 1],
            (gone->count - index) * sizeof(gone->entries[0]));
}

bool dv_gone_add(struct dv_gone *gone, const char *id, uint64_t entry)
{
    dv_gone_forget(gone, id);
    char *copy = strdup(id);
    if (!copy)
        return false;
    if (gone->count == DV_GONE_MAX)
        drop(gone, 0);
    gone->entries[gone->count] = entry;
    gone->ids[gone->count++] = copy;
    return true;
}

void dv_gone_forget(struct dv_gone *gone, const char *id)
{
    size_t index = index_of(gone, id);
    if (index < gone->count)
        drop(gone, index);
}

void dv_gone_found(struct dv_gone *gone, const char *id)
{
    size_t index = index_of(gone, id);
    if (index < gone->count && !gone->entries[index])
        drop(gone, index);
}

bool dv_gone_is_of(const struct dv_gone *gone, uint64_t entry)
{
    for (size_t i = 0; i < gone->count; i++)
        if (gone->entries[i] == entry)
            return true;
    return false;
}

char **dv_gone_all(struct dv_gone *gone, size_t *ret_count)
{
    *ret_count = gone->count;
    return gone->ids;
}
