/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the kit promises, as scenarios that run the same with threads and in a simulation. A broken
 * promise is printed and aborts, so that they also serve programs without a test framework.
 */
#include "actors.h"

struct scenario_run {
    struct dv_system *kit;
    struct test_env *env;
    struct dv_clock_fake *clock; /* NULL: with threads */
};

struct scenario {
    const char *name;
    void (*fn)(struct scenario_run *run);
};

extern const struct scenario scenarios[]; /* ends with a NULL name */

/* Each gets a fresh system with the service "a" and the containers "b" and "c". */
void scenario_run_threads(const struct scenario *scenario);
/* Returns the trace: equal for equal seeds. */
uint64_t scenario_run_sim(const struct scenario *scenario, uint64_t seed);
const struct scenario *scenario_find(const char *name);
