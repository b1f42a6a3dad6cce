/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/watch.h"

#include "actors/kit/memory.h"

#define FIRST_CAPACITY 4U

void dv_watches_done(struct dv_watches *watches)
{
    free(watches->rows);
    *watches = (struct dv_watches){0};
}

const struct dv_watch_row *
dv_watches_find(const struct dv_watches *watches, const struct dv_cell *cell, int fd)
{
    for (size_t i = 0; i < watches->count; i++)
        if (watches->rows[i].fd == fd && watches->rows[i].cell == cell)
            return &watches->rows[i];
    return NULL;
}

static void remove_at(struct dv_watches *watches, size_t index)
{
    watches->rows[index] = watches->rows[--watches->count];
    if (watches->count == 0)
        dv_watches_done(watches);
}

int dv_watches_set(struct dv_watches *watches, struct dv_watch_row row, struct dv_error *err)
{
    const struct dv_watch_row *old = dv_watches_find(watches, row.cell, row.fd);
    if (old) {
        size_t index = (size_t)(old - watches->rows);
        if (row.events)
            watches->rows[index] = row;
        else
            remove_at(watches, index);
        return 0;
    }
    if (!row.events)
        return 0;
    if (row.fd < 0)
        return dv_error_set(err, DV_ERR_INVALID, "watch of '%s': descriptor %d does not exist",
                            dv_cell_address(row.cell), row.fd);
    if (watches->count >= DV_WATCHES_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "watch of '%s': its host has %u descriptors already",
                            dv_cell_address(row.cell), DV_WATCHES_MAX);
    if (watches->count == watches->capacity) {
        watches->capacity = watches->capacity ? watches->capacity * 2 : FIRST_CAPACITY;
        watches->rows =
            dv_need(reallocarray(watches->rows, watches->capacity, sizeof(*watches->rows)));
    }
    watches->rows[watches->count++] = row;
    return 0;
}

void dv_watches_cancel_cell(struct dv_watches *watches, const struct dv_cell *cell)
{
    for (size_t i = watches->count; i > 0; i--)
        if (watches->rows[i - 1].cell == cell)
            remove_at(watches, i - 1);
}

void dv_watches_poll_set(const struct dv_watches *watches, struct pollfd *fds)
{
    for (size_t i = 0; i < watches->count; i++)
        fds[i] = (struct pollfd){.fd = watches->rows[i].fd, .events = watches->rows[i].events};
}
