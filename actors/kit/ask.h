/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The asks of one host that wait for their answers, by correlation. One owner. Private to the kit.
 */
#include "actors/kit/cell.h"

#include <stddef.h>
#include <stdint.h>

struct dv_ask {
    struct dv_ask *next; /* in its bucket */
    int64_t correlation;
    int64_t asked_ns;
    uint64_t timer;
    struct dv_cell *cell;
    dv_outcome_fn *fn;
    void *ctx;
    struct dv_error *error; /* it could not be sent; owned */
    uint16_t kind;
    char to[]; /* for the text of a time-out */
};

struct dv_asks {
    struct dv_ask **buckets;
    size_t bucket_count;
    size_t count;
};

void dv_asks_done(struct dv_asks *asks);
/* Takes `ask`. */
void dv_asks_add(struct dv_asks *asks, struct dv_ask *ask);
/* Hands it to the caller; NULL if there is no such ask of that cell. */
struct dv_ask *dv_asks_take(struct dv_asks *asks, int64_t correlation, const struct dv_cell *cell);
/* Any ask of that cell, handed to the caller; NULL when there is none. */
struct dv_ask *dv_asks_take_any(struct dv_asks *asks, const struct dv_cell *cell);
/* How many the cell has open and since when the oldest waits (INT64_MAX: none). */
size_t dv_asks_open(const struct dv_asks *asks, const struct dv_cell *cell, int64_t *ret_oldest_ns);
void dv_ask_free(struct dv_ask *ask);
