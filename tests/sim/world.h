/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One scenario of the whole daemon under a seed: random commands, exits, faults, lost links,
 * crashes and reboots; and what must hold whenever nothing is left to do. One thread.
 */
#include "tests/support/daemon_sim.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WORLD_TARGETS_MAX    64
#define WORLD_PROBLEM_MAX    8192
#define WORLD_SOFTWARE_NAMES 4

/* A container that the scenario knows by its id. */
struct world_target {
    char id[129];
    bool may_be_gone; /* a remove was sent */
};

/* A container that only software updates touch. */
struct world_software {
    bool was_there;   /* at the last quiet point */
    bool may_be_gone; /* a remove was sent since then */
    bool may_be_down; /* a remove was sent, and may have failed half way */
};

struct world {
    struct daemon_sim *sim;
    uint64_t random;
    struct world_target targets[WORLD_TARGETS_MAX];
    size_t target_count;
    size_t commands_seen; /* answers up to here have been looked at */
    unsigned images;      /* references given out: each create has its own */
    unsigned names;
    struct world_software software[WORLD_SOFTWARE_NAMES];
    bool has_disk_faults;    /* journal and record files fail at times */
    bool has_release_faults; /* leftovers in the runtime are allowed */
    bool has_policy_updates; /* restart policies change under way */
    unsigned steps_done;
    unsigned crashes;
    unsigned reboots;
    unsigned quiet_points;
    char problem[WORLD_PROBLEM_MAX]; /* the first thing that does not hold; empty: none */
};

void world_init(struct world *world, uint64_t seed);
void world_done(struct world *world);
/* Before world_run(): the power goes at this operation of the disks, of which a whole run has
 * sim->journal_files.changes. Then the scenario ends: the daemon starts again, comes to rest and is
 * checked. */
void world_cut_at(struct world *world, uint64_t change);
/* Runs the scenario; false with `problem` set if something does not hold. */
bool world_run(struct world *world);

uint64_t world_random(struct world *world, uint64_t below);
/* Keeps the first problem. */
void world_fail(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* checks.c: everything that holds at a quiet point. */
void world_check(struct world *world);
/* check_metrics.c: metrics come as they are asked for, over a restart too. */
void world_check_metrics(struct world *world);
/* A crash and a new daemon do not change what is known of containers. */
void world_check_restart(struct world *world);
