/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/roster/launches.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES 129

struct waiting {
    struct waiting *next;
    void *token;
    char id[ID_BYTES];
};

struct dv_launches {
    char turns[DV_LAUNCHES_MAX][ID_BYTES]; /* empty: free */
    unsigned limit;
    struct waiting *first;
    struct waiting *last;
    size_t waiting;
};

struct dv_launches *dv_launches_new(unsigned limit)
{
    struct dv_launches *launches = calloc(1, sizeof(*launches));
    if (!launches)
        return NULL;
    launches->limit = limit < 1 ? 1 : limit > DV_LAUNCHES_MAX ? DV_LAUNCHES_MAX : limit;
    return launches;
}

void dv_launches_free(struct dv_launches *launches)
{
    if (!launches)
        return;
    while (launches->first) {
        struct waiting *waiting = launches->first;
        launches->first = waiting->next;
        free(waiting);
    }
    free(launches);
}

/* The turn of that id; "" finds a free one. */
static char *turn_of(struct dv_launches *launches, const char *id)
{
    for (unsigned i = 0; i < launches->limit; i++)
        if (strcmp(launches->turns[i], id) == 0)
            return launches->turns[i];
    return NULL;
}

bool dv_launches_take(struct dv_launches *launches, const char *id)
{
    if (turn_of(launches, id))
        return true;
    char *turn = launches->first ? NULL : turn_of(launches, "");
    if (!turn)
        return false;
    snprintf(turn, ID_BYTES, "%s", id);
    return true;
}

int dv_launches_wait(struct dv_launches *launches,
                     const char *id,
                     void *token,
                     struct dv_error *err)
{
    if (launches->waiting >= DV_LAUNCHES_WAITING_MAX)
        return dv_error_set(err, DV_ERR_LIMIT,
                            "%zu containers wait for their restart already; it is tried again",
                            launches->waiting);
    struct waiting *waiting = calloc(1, sizeof(*waiting));
    if (!waiting)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the restart of '%s'", id);
    snprintf(waiting->id, ID_BYTES, "%s", id);
    waiting->token = token;
    *(launches->last ? &launches->last->next : &launches->first) = waiting;
    launches->last = waiting;
    launches->waiting++;
    return 0;
}

void dv_launches_give_back(struct dv_launches *launches, const char *id)
{
    char *turn = turn_of(launches, id);
    if (turn)
        turn[0] = '\0';
}

static void *take_out(struct dv_launches *launches, struct waiting **at, struct waiting *before)
{
    struct waiting *waiting = *at;
    void *token = waiting->token;
    *at = waiting->next;
    if (launches->last == waiting)
        launches->last = before;
    launches->waiting--;
    free(waiting);
    return token;
}

void *dv_launches_next(struct dv_launches *launches)
{
    char *turn = launches->first ? turn_of(launches, "") : NULL;
    if (!turn)
        return NULL;
    memcpy(turn, launches->first->id, ID_BYTES);
    return take_out(launches, &launches->first, NULL);
}

void *dv_launches_forget(struct dv_launches *launches, const char *id)
{
    struct waiting *before = NULL;
    dv_launches_give_back(launches, id);
    for (struct waiting **at = &launches->first; *at; at = &(*at)->next) {
        if (strcmp((*at)->id, id) == 0)
            return take_out(launches, at, before);
        before = *at;
    }
    return NULL;
}

size_t dv_launches_waiting(const struct dv_launches *launches)
{
    return launches->waiting;
}
