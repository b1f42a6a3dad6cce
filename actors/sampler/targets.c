/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/sampler/targets.h"

#include <stdlib.h>
#include <string.h>

static void close_set(struct dv_targets *targets, struct dv_target *target)
{
    if (target->set)
        targets->close(targets->ctx, target->set);
    target->set = NULL;
}

static void free_target(struct dv_targets *targets, struct dv_target *target)
{
    if (!target)
        return;
    close_set(targets, target);
    free(target->id);
    free(target->name);
    free(target->interface);
    free(target);
}

void dv_targets_done(struct dv_targets *targets)
{
    for (size_t i = 0; i < targets->count; i++)
        free_target(targets, targets->items[i]);
    free(targets->items);
    targets->items = NULL;
    targets->count = 0;
    targets->room = 0;
}

static size_t place_of(const struct dv_targets *targets, const char *id)
{
    size_t low = 0;
    size_t high = targets->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(targets->items[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static struct dv_target *find(const struct dv_targets *targets, const char *id)
{
    size_t place = place_of(targets, id);
    return place < targets->count && strcmp(targets->items[place]->id, id) == 0
               ? targets->items[place]
               : NULL;
}

static struct dv_target *enter(struct dv_targets *targets, const char *id)
{
    size_t place = place_of(targets, id);
    if (place < targets->count && strcmp(targets->items[place]->id, id) == 0)
        return targets->items[place];
    if (targets->count == targets->room) {
        size_t room = targets->room ? targets->room * 2 : 64;
        struct dv_target **grown =
            room > DV_TARGETS_MAX ? NULL : reallocarray(targets->items, room, sizeof(*grown));
        if (!grown)
            return NULL;
        targets->items = grown;
        targets->room = room;
    }
    struct dv_target *target = calloc(1, sizeof(*target));
    if (target)
        target->id = strdup(id);
    if (!target || !target->id) {
        free(target);
        return NULL;
    }
    memmove(&targets->items[place + 1], &targets->items[place],
            (targets->count - place) * sizeof(*targets->items));
    targets->items[place] = target;
    targets->count++;
    return target;
}

static bool is_running(const struct dv_container_record *record)
{
    enum dv_status status = record->state->status;
    return (status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED) && record->state->pid > 0;
}

/* Keeps `*at` if it says so already. */
static bool set_text(char **at, const char *text)
{
    if (*at && text && strcmp(*at, text) == 0)
        return true;
    char *copy = text ? strdup(text) : NULL;
    if (text && !copy)
        return false;
    free(*at);
    *at = copy;
    return true;
}

/* Counters begin anew with each run, and its descriptors are of no use for the next one. */
static bool
take(struct dv_targets *targets, struct dv_target *target, const struct dv_container_record *record)
{
    bool runs = is_running(record);
    const char *interface = record->network ? record->network->interface : NULL;
    bool is_same_cable = interface && target->interface ? strcmp(interface, target->interface) == 0
                                                        : !interface == !target->interface;
    if (!runs || target->pid != record->state->pid || !is_same_cable)
        close_set(targets, target);
    target->is_running = runs;
    target->pid = record->state->pid;
    target->is_host_network = record->spec->network_mode == DV_NETWORK_HOST;
    return set_text(&target->interface, interface) && set_text(&target->name, record->name);
}

void dv_targets_expect(struct dv_targets *targets)
{
    targets->is_expecting = true;
    for (size_t i = 0; i < targets->count; i++)
        targets->items[i]->is_fresh = false;
}

bool dv_targets_list(struct dv_targets *targets, const struct dv_container_list *list)
{
    bool is_whole = true;
    size_t kept = 0;
    for (size_t i = 0; i < list->containers.count; i++) {
        const struct dv_container_record *record = &list->containers.items[i];
        struct dv_target *target = find(targets, record->id);
        if (!target && is_running(record))
            target = enter(targets, record->id);
        if (target)
            target->is_listed = true;
        if (target && !target->is_fresh)
            is_whole &= take(targets, target, record);
        is_whole &= target || !is_running(record);
    }
    for (size_t i = 0; i < targets->count; i++) {
        struct dv_target *target = targets->items[i];
        bool stays = (target->is_listed || target->is_fresh) && target->is_running && target->name;
        target->is_listed = false;
        if (stays)
            targets->items[kept++] = target;
        else
            free_target(targets, target);
    }
    targets->count = kept;
    targets->is_expecting = false;
    return is_whole;
}

static void drop(struct dv_targets *targets, struct dv_target *target)
{
    size_t place = place_of(targets, target->id);
    free_target(targets, target);
    targets->count--;
    memmove(&targets->items[place], &targets->items[place + 1],
            (targets->count - place) * sizeof(*targets->items));
}

bool dv_targets_event(struct dv_targets *targets, const struct dv_container_event *event)
{
    bool runs = is_running(event->record) && event->change != DV_CHANGE_REMOVED;
    struct dv_target *target = find(targets, event->record->id);
    if (!target && (runs || targets->is_expecting))
        target = enter(targets, event->record->id);
    if (!target)
        return !runs && !targets->is_expecting;
    target->is_fresh = true;
    bool is_whole = take(targets, target, event->record);
    target->is_running = runs;
    if (!runs)
        close_set(targets, target);
    if (!target->name || (!runs && !targets->is_expecting))
        drop(targets, target);
    return is_whole;
}
