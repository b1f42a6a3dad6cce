/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether the other side holds the features that there are. When a link has come up and it is
 * quiet, the other side is asked, one thing after the other; a feature that a thing holds too much
 * is deleted, and when one lacks everything is published again, once a link. A cloud that does not
 * answer costs one message a thing. One that answers for some things only is suspected not to have
 * the others.
 *
 * A part of the bridge cell, on its thread.
 */
#include "actors/bridge/publisher.h"
#include "actors/kit/cell.h"

#include <stdbool.h>
#include <stdint.h>

struct dv_twin_check {
    struct dv_cell *cell;
    struct dv_publisher *publisher;
    const char *bridge;
    const char *session;
    unsigned things;
    int64_t delay_ms;                      /* of quiet before it is asked, 0: never */
    int64_t timeout_ms;                    /* of an answer */
    void (*changed)(struct dv_cell *cell); /* the publisher may have something to send */

    bool is_repaired; /* on this link */
    int64_t link;
    unsigned asked;    /* things that were asked for on this link */
    uint64_t answered; /* bit n: thing n was answered for */
    uint64_t timer;
};

/* The link came up, or went down. */
void dv_twin_check_link(struct dv_twin_check *check, bool is_up, int64_t number);
void dv_twin_check_seen(struct dv_twin_check *check, const struct dv_twin_seen *seen);
