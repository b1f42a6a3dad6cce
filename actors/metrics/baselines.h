/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Processor time as a share: what was used since the last look, of what the whole machine had since
 * then. One baseline for each originator, in order of id. Pure; not thread-safe: the Metrics cell
 * owns one.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_BASELINES_MAX 32768U

struct dv_baseline;

struct dv_baselines {
    struct dv_baseline **items;
    size_t count;
    size_t room;
    uint64_t pass;
};

void dv_baselines_done(struct dv_baselines *baselines);

/* A pass begins: those that are not looked at until the next sweep are forgotten by it. */
void dv_baselines_begin(struct dv_baselines *baselines);
void dv_baselines_sweep(struct dv_baselines *baselines);

/* One look: the share in percent since the last one of the same run (`pid`), in *ret. False at the
 * first look, and when no time has passed for the machine: then the old baseline stays. */
bool dv_baselines_look(struct dv_baselines *baselines,
                       const char *id,
                       int64_t pid,
                       int64_t used_ns,
                       int64_t total_ns,
                       double *ret);
