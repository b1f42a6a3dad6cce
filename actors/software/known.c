/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/software/known.h"

#include "spec/software.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct known_set {
    struct known **items; /* by id */
    size_t count;
    size_t room;
};

static void free_known(struct known *known)
{
    if (!known)
        return;
    free(known->id);
    free(known->name);
    free(known->image_ref);
    free(known->module);
    free(known->version);
    free(known->artifact);
    free(known);
}

struct known_set *known_new(void)
{
    return calloc(1, sizeof(struct known_set));
}

void known_free(struct known_set *set)
{
    if (!set)
        return;
    while (set->count)
        free_known(set->items[--set->count]);
    free(set->items);
    free(set);
}

static bool find(const struct known_set *set, const char *id, size_t *ret)
{
    size_t low = 0;
    size_t high = set->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(set->items[middle]->id, id) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *ret = low;
    return low < set->count && strcmp(set->items[low]->id, id) == 0;
}

/* -- changes -------------------------------------------------------------------------------- */

static char *copy_of(const char *text, bool *is_short)
{
    char *copy = text ? strdup(text) : NULL;
    *is_short |= text && !copy;
    return copy;
}

static bool is_up(enum dv_status status)
{
    return status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED;
}

static void take_state(struct known *known, const struct dv_container_record *record)
{
    const struct dv_restart_policy *policy = record->spec->restart_policy;
    known->status = record->state->status;
    known->comes_back =
        policy && !is_up(known->status) && record->started_before && !record->manually_stopped &&
        (policy->type == DV_RESTART_ALWAYS || policy->type == DV_RESTART_UNLESS_STOPPED ||
         (policy->type == DV_RESTART_ON_FAILURE && record->state->exit_code));
}

static struct known *known_of(const struct dv_container_record *record)
{
    struct known *known = calloc(1, sizeof(*known));
    bool is_short = !known;
    if (!known)
        return NULL;
    known->id = copy_of(record->id, &is_short);
    known->name = copy_of(record->name, &is_short);
    known->image_ref = copy_of(record->spec->image_ref, &is_short);
    known->module = copy_of(record->module_name, &is_short);
    known->version = copy_of(record->module_version, &is_short);
    known->artifact = copy_of(record->artifact_digest, &is_short);
    take_state(known, record);
    if (!is_short)
        return known;
    free_known(known);
    return NULL;
}

static int insert(struct known_set *set, struct known *known, size_t at, struct dv_error *err)
{
    if (set->count == set->room) {
        size_t room = set->room ? set->room * 2 : 64;
        struct known **grown = reallocarray(set->items, room, sizeof(*grown));
        if (!grown) {
            free_known(known);
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for software");
        }
        set->items = grown;
        set->room = room;
    }
    memmove(&set->items[at + 1], &set->items[at], (set->count - at) * sizeof(struct known *));
    set->items[at] = known;
    set->count++;
    return 1;
}

int known_put(struct known_set *set, const struct dv_container_record *record, struct dv_error *err)
{
    size_t at;
    bool is_there = find(set, record->id, &at);
    /* Most events are about the state alone. */
    if (is_there && strcmp(set->items[at]->name, record->name) == 0 &&
        strcmp(set->items[at]->image_ref, record->spec->image_ref) == 0) {
        take_state(set->items[at], record);
        return 0;
    }
    struct known *fresh = known_of(record);
    if (!fresh)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for software");
    if (!is_there)
        return insert(set, fresh, at, err);
    bool is_changed = strcmp(set->items[at]->image_ref, fresh->image_ref) != 0;
    free_known(set->items[at]);
    set->items[at] = fresh;
    return is_changed;
}

bool known_drop(struct known_set *set, const char *id)
{
    size_t at;
    if (!find(set, id, &at))
        return false;
    free_known(set->items[at]);
    set->count--;
    memmove(&set->items[at], &set->items[at + 1], (set->count - at) * sizeof(struct known *));
    return true;
}

/* -- questions ------------------------------------------------------------------------------ */

size_t known_count(const struct known_set *set)
{
    return set->count;
}

const struct known *known_at(const struct known_set *set, size_t index)
{
    return index < set->count ? set->items[index] : NULL;
}

const struct known *known_by_id(const struct known_set *set, const char *id)
{
    size_t at;
    return find(set, id, &at) ? set->items[at] : NULL;
}

const struct known *
known_by_name(const struct known_set *set, const char *name, bool *ret_is_ambiguous)
{
    const struct known *found = NULL;
    *ret_is_ambiguous = false;
    for (size_t i = 0; i < set->count; i++) {
        if (strcmp(set->items[i]->name, name) != 0)
            continue;
        *ret_is_ambiguous = found != NULL;
        found = set->items[i];
    }
    return found;
}

static bool matches(const struct known *known, const struct dv_dependency *item)
{
    size_t group = strcspn(known->image_ref, ":");
    if (item->type && strcasecmp(item->type, DV_SOFTWARE_TYPE) != 0)
        return false;
    return !item->group ||
           (strlen(item->group) == group && strncmp(item->group, known->image_ref, group) == 0);
}

static bool is_of_module(const struct known *known, const struct dv_dependency *item)
{
    return known->module && strcmp(known->module, item->name) == 0 &&
           (!item->version || (known->version && strcmp(known->version, item->version) == 0));
}

static size_t take(const struct known *known, char **ret_ids, size_t count, size_t max)
{
    if (count < max && (ret_ids[count] = strdup(known->id)) != NULL)
        count++;
    return count;
}

size_t known_resolve(const struct known_set *set,
                     const struct dv_dependency *item,
                     char **ret_ids,
                     size_t max,
                     struct dv_error *err)
{
    size_t count = 0;
    bool is_ambiguous = false;
    const struct known *known = known_by_id(set, item->name);
    for (size_t i = 0; !known && i < set->count; i++)
        if (is_of_module(set->items[i], item) && matches(set->items[i], item))
            count = take(set->items[i], ret_ids, count, max);
    if (count)
        return count;
    if (!known)
        known = known_by_name(set, item->name, &is_ambiguous);
    if (is_ambiguous)
        dv_error_set(err, DV_ERR_NOT_FOUND, "several containers are called %s; name one by its id",
                     item->name);
    else if (!known)
        dv_error_set(err, DV_ERR_NOT_FOUND, "container with ID = %s does not exist", item->name);
    else if (!matches(known, item))
        dv_error_set(err, DV_ERR_NOT_FOUND,
                     "container with ID = %s does not exist in that group, or as that type",
                     item->name);
    else
        return take(known, ret_ids, 0, max);
    return 0;
}
