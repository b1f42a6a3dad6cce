/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How the last runs of a container ended, and what those ends have in common: a program that always
 * fails at once is most likely configured wrongly, one that fails later meets something while it
 * runs. Pure, any thread; the memory of one daemon, bounded.
 */
#include "messages/messages.h"

#include <stddef.h>
#include <stdint.h>

#define DV_ENDS_MAX 8
/* A run shorter than this failed at once. */
#define DV_ENDS_AT_ONCE_MS 1000

struct dv_ends {
    struct dv_container_end last[DV_ENDS_MAX]; /* newest first */
    size_t count;
    /* The newest ends that are of one sort, also those that have left the list. */
    int64_t alike;
    int64_t shortest_ms; /* -1: no length is known */
    int64_t longest_ms;
};

void dv_ends_add(struct dv_ends *ends, const struct dv_container_end *end);
/* A start by a command: what was before it says nothing about what comes. The list stays. */
void dv_ends_begin(struct dv_ends *ends);
/* NONE as long as fewer than two ends are alike. */
enum dv_end_pattern dv_ends_pattern(const struct dv_ends *ends);
