/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/ask.h"

#include "actors/kit/memory.h"

#define FIRST_BUCKETS 8U

static struct dv_ask **bucket_of(const struct dv_asks *asks, int64_t correlation)
{
    /* Correlations of a host count up, so their low bits spread evenly. */
    return &asks->buckets[(uint64_t)correlation & (asks->bucket_count - 1)];
}

void dv_ask_free(struct dv_ask *ask)
{
    free(ask->error);
    free(ask);
}

void dv_asks_done(struct dv_asks *asks)
{
    for (size_t i = 0; i < asks->bucket_count; i++) {
        struct dv_ask *ask;
        while ((ask = asks->buckets[i])) {
            asks->buckets[i] = ask->next;
            dv_ask_free(ask);
        }
    }
    free(asks->buckets);
    *asks = (struct dv_asks){0};
}

static void resize(struct dv_asks *asks, size_t bucket_count)
{
    struct dv_asks larger = {dv_need(calloc(bucket_count, sizeof(*larger.buckets))), bucket_count,
                             asks->count};
    for (size_t i = 0; i < asks->bucket_count; i++) {
        struct dv_ask *ask;
        while ((ask = asks->buckets[i])) {
            asks->buckets[i] = ask->next;
            struct dv_ask **bucket = bucket_of(&larger, ask->correlation);
            ask->next = *bucket;
            *bucket = ask;
        }
    }
    free(asks->buckets);
    *asks = larger;
}

void dv_asks_add(struct dv_asks *asks, struct dv_ask *ask)
{
    if (asks->count >= asks->bucket_count)
        resize(asks, asks->bucket_count ? asks->bucket_count * 2 : FIRST_BUCKETS);
    struct dv_ask **bucket = bucket_of(asks, ask->correlation);
    ask->next = *bucket;
    *bucket = ask;
    asks->count++;
}

static struct dv_ask *unlink_ask(struct dv_asks *asks, struct dv_ask **at)
{
    struct dv_ask *ask = *at;
    *at = ask->next;
    ask->next = NULL;
    asks->count--;
    /* Gives the memory of a rush back. */
    if (asks->count == 0 && asks->bucket_count > FIRST_BUCKETS)
        dv_asks_done(asks);
    return ask;
}

struct dv_ask *dv_asks_take(struct dv_asks *asks, int64_t correlation, const struct dv_cell *cell)
{
    if (asks->count == 0)
        return NULL;
    for (struct dv_ask **at = bucket_of(asks, correlation); *at; at = &(*at)->next)
        if ((*at)->correlation == correlation && (*at)->cell == cell)
            return unlink_ask(asks, at);
    return NULL;
}

struct dv_ask *dv_asks_take_any(struct dv_asks *asks, const struct dv_cell *cell)
{
    for (size_t i = 0; i < asks->bucket_count; i++)
        for (struct dv_ask **at = &asks->buckets[i]; *at; at = &(*at)->next)
            if ((*at)->cell == cell)
                return unlink_ask(asks, at);
    return NULL;
}

size_t dv_asks_open(const struct dv_asks *asks, const struct dv_cell *cell, int64_t *ret_oldest_ns)
{
    size_t open = 0;
    *ret_oldest_ns = INT64_MAX;
    for (size_t i = 0; i < asks->bucket_count; i++) {
        for (const struct dv_ask *ask = asks->buckets[i]; ask; ask = ask->next) {
            if (ask->cell != cell)
                continue;
            open++;
            if (ask->asked_ns < *ret_oldest_ns)
                *ret_oldest_ns = ask->asked_ns;
        }
    }
    return open;
}
