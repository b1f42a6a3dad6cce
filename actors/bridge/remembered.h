/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the store remembers for a bridge from before the start: which commands it answered, so that
 * a repeat gets the same answer; which containers went while the twin may still show them; and over
 * how many things containers were spread, since those things may still show them too.
 *
 * The last is a value of the store, "things.<bridge>": the numbers of things that are not done
 * with, as text. None means one. The number of now is in it before anything is published, and alone
 * there once everything is gone from where it was by the others.
 *
 * A part of the bridge cell, on its thread. An answer that does not come is asked for again.
 */
#include "actors/bridge/publisher.h"
#include "actors/bridge/repeats.h"
#include "actors/kit/cell.h"

#include <stdbool.h>
#include <stdint.h>

struct dv_remembered {
    struct dv_cell *cell;
    const char *bridge;
    struct dv_publisher *publisher;
    struct dv_repeats *repeats;
    int64_t boot; /* of dv_repeats_age_ns() */
    int64_t repeat_window_ms;
    int64_t timeout_ms;
    /* The publisher may have something to send, or is_ready has become true. */
    void (*changed)(struct dv_cell *cell);

    bool is_ready; /* the publisher knows where containers may be: it may be told of a link */
    bool is_gone_known;
    uint64_t spread; /* numbers of things: bit n - 1 for n */
};

/* `has_twin`: the other side shows a feature until it is deleted, also while nobody is connected;
 * else there is nothing to be asked but the answers. */
void dv_remembered_ask(struct dv_remembered *remembered, bool has_twin);
/* After each acknowledgement. */
void dv_remembered_settle(struct dv_remembered *remembered);
