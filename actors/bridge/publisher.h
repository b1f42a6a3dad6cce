/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What of the twin goes out, and in which order. When the link comes up everything is published: a
 * list of all containers is asked for, and its features go out as fast as they are acknowledged,
 * then deletes that are owed, then ContainerFactory. Events go on meanwhile; one is always newer
 * than the list, so a container that was heard of since the list was asked for is published from
 * its event. A property goes out only behind the feature that it belongs to. Features that are no
 * containers are asked for one by one; ContainerFactory waits for them too.
 *
 * Containers are spread over the things of the gateway (things.h), everything else is shown by its
 * first one. When a thing becomes too large for the other side, all is published again with less of
 * each of its containers (weight.h).
 *
 * A delete is owed until the other side has acknowledged it, also over a lost link. What found no
 * room in the outbox is made good by publishing everything again.
 *
 * Pure: the owner asks for lists, sends changes and sets timers. Not thread-safe: the bridge cell
 * owns one.
 */
#include "actors/bridge/things.h"
#include "base/cleanup.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_PUBLISHER_FEATURES  16    /* that are no containers */
#define DV_PUBLISHER_FRESH_MAX 16384 /* containers heard of while a list is on its way */

struct dv_publisher;

/* `things` says where and how much of a container is shown and becomes the publisher's, NULL: no
 * memory. Limits as of dv_outbox_new(). `bridge` is for the log, borrowed. */
struct dv_publisher *dv_publisher_new(const char *bridge,
                                      struct dv_things *things,
                                      unsigned outbox_max,
                                      unsigned in_flight_max);
void dv_publisher_free(struct dv_publisher *publisher);
DV_DEFINE_CLEANUP(dv_publisher, dv_publisher_free)

/* The link came up anew, or went down: what was on its way is lost. */
void dv_publisher_link(struct dv_publisher *publisher, bool is_up);
/* Everything once more. */
void dv_publisher_again(struct dv_publisher *publisher);
void dv_publisher_event(struct dv_publisher *publisher, const struct dv_container_event *event);

/* Non-zero once for each list that is needed: the owner asks for it and hands it back under that
 * number, NULL if it did not come. */
int64_t dv_publisher_wants_list(struct dv_publisher *publisher);
void dv_publisher_list(struct dv_publisher *publisher,
                       int64_t number,
                       const struct dv_container_list *list);

/* With that list the owner asks so many features that are no containers for the whole of
 * themselves; each is handed back once, NULL if it did not come. */
void dv_publisher_await_features(struct dv_publisher *publisher, int64_t number, unsigned count);
void dv_publisher_feature(struct dv_publisher *publisher,
                          int64_t number,
                          const struct dv_feature_event *feature);
/* What such a feature published. False if it was not taken, because the feature has not gone out
 * since the link came up: what is on its way may be older, and has to be asked for again. */
bool dv_publisher_feature_event(struct dv_publisher *publisher,
                                const struct dv_feature_event *event);

/* The next change to send, numbered, if the window has room; borrowed until the next call. */
const struct dv_twin_change *dv_publisher_next(struct dv_publisher *publisher);
void dv_publisher_acknowledge(struct dv_publisher *publisher, int64_t number, bool is_failed);

/* The container whose delete that acknowledgement was about, or NULL; the caller frees it. */
char *dv_publisher_take_deleted(struct dv_publisher *publisher);
/* A container that went before this publisher was made. */
void dv_publisher_owe_delete(struct dv_publisher *publisher, const char *id);
/* What a thing shows and should not. */
void dv_publisher_delete_from(struct dv_publisher *publisher, const char *id, unsigned thing);

/* Containers may be shown where they were by other numbers of things (bit n - 1 for n), and go from
 * there with the next publishing of everything. Before the first link; later only to forget. */
void dv_publisher_was_spread(struct dv_publisher *publisher, uint64_t counts);
/* All of that is done. */
bool dv_publisher_is_moved(const struct dv_publisher *publisher);

/* Everything was published since the link came up. */
bool dv_publisher_is_complete(const struct dv_publisher *publisher);
/* A change was dropped or a list did not come: dv_publisher_again() is due, after a while. */
bool dv_publisher_is_behind(const struct dv_publisher *publisher);
/* Changes waiting or not acknowledged. */
size_t dv_publisher_depth(const struct dv_publisher *publisher);
/* Borrowed; what they weigh is about how large the twin is. */
const struct dv_things *dv_publisher_things(const struct dv_publisher *publisher);
