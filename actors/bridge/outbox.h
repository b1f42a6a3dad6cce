/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Twin changes on their way out, in order, with a window of unacknowledged ones. Up to its bound
 * every change is kept; beyond it the last value of a (feature, path) replaces an earlier one that
 * still waits, and what has nothing to replace is dropped and counted: then the owner publishes all
 * features anew. A delete is never dropped. Not thread-safe: the bridge cell owns one.
 */
#include "base/cleanup.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_outbox;

struct dv_outbox *dv_outbox_new(unsigned max, unsigned window);
void dv_outbox_free(struct dv_outbox *outbox);
DV_DEFINE_CLEANUP(dv_outbox, dv_outbox_free)

/* Copies the change. False if it was dropped. */
bool dv_outbox_add(struct dv_outbox *outbox, const struct dv_twin_change *change);
/* The next change to send, numbered, if the window has room; borrowed until the next call. */
const struct dv_twin_change *dv_outbox_next(struct dv_outbox *outbox);
/* One of the sent was acknowledged or failed. */
void dv_outbox_acknowledge(struct dv_outbox *outbox, int64_t number);
/* The link is gone: nothing waits and nothing is open. */
void dv_outbox_clear(struct dv_outbox *outbox);

size_t dv_outbox_waiting(const struct dv_outbox *outbox);
size_t dv_outbox_open(const struct dv_outbox *outbox);
uint64_t dv_outbox_dropped(const struct dv_outbox *outbox);
