/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which containers run, as the sampler hears of it: a list of all, and events that are always newer
 * than a list that is on its way. In order of id. Not thread-safe: the sampler cell owns one.
 */
#include "base/cleanup.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_TARGETS_MAX 16384U

struct dv_counter_set;

struct dv_target {
    char *id;
    char *name;
    int64_t pid;     /* of its init process; another one is another run */
    char *interface; /* the host's end of its cable; NULL: none */
    bool is_host_network;
    bool is_running; /* or paused */
    bool is_fresh;   /* heard of since the list was asked for */
    bool is_listed;
    struct dv_counter_set *set; /* of this run; NULL: not opened */
};

struct dv_targets {
    struct dv_target **items;
    size_t count;
    size_t room;
    bool is_expecting; /* a list is on its way: who does not run must be remembered until then */
    /* Closes the set of a run that is over. */
    void (*close)(void *ctx, struct dv_counter_set *set);
    void *ctx;
};

void dv_targets_done(struct dv_targets *targets);

/* A list is asked for: events from now on are newer than it. */
void dv_targets_expect(struct dv_targets *targets);
/* What the list says of containers that no event spoke of meanwhile; others that it does not have
 * are forgotten. False if memory is short or there are too many. */
bool dv_targets_list(struct dv_targets *targets, const struct dv_container_list *list);
bool dv_targets_event(struct dv_targets *targets, const struct dv_container_event *event);
