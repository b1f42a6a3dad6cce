/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power cuts of the simulated daemon at operations of its disks: each seed is a scenario of
 * world.c, run once whole to count the operations of journal and records, then again and again,
 * each time with the power gone at another of them. What was not synced is lost, kept or torn.
 * Afterwards every state must load, every acknowledged command have its effect, once.
 *
 *   sim_power [--seeds N] [--from SEED] [--points N]   N points of each seed, drawn (default 20)
 *   sim_power --full                                   every point of 20 seeds; DAVIT_SIM_FULL
 *   --in-order   the disk takes what is not synced in the order of the writes
 *   sim_power --seed SEED --point N [--trace]          one of them
 */
#include "base/log.h"
#include "base/str.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_SEEDS 20

struct options {
    uint64_t first;
    uint64_t count;
    uint64_t points;
    uint64_t point; /* 0: not only one */
    bool is_full;
    bool is_in_order;
    bool is_traced;
};

static const struct daemon_sim *traced;

static void print_line(enum dv_log_level level, const char *line, void *ctx)
{
    (void)ctx;
    long long now_ms = traced ? daemon_sim_now_ns(traced) / 1000000 % 100000000 : 0;
    printf("%10lld %-5s %s\n", now_ms, dv_log_level_name(level), line);
}

static void drop_line(enum dv_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static bool number(const char *text, uint64_t *ret)
{
    int64_t value;
    if (!text || dv_str_to_i64(dv_str_of(text), 1, INT64_MAX, &value, NULL) < 0)
        return false;
    *ret = (uint64_t)value;
    return true;
}

static bool parse(int argc, char **argv, struct options *o)
{
    *o = (struct options){.first = 1, .count = 10, .points = 20};
    if (getenv("DAVIT_SIM_FULL")) {
        o->is_full = true;
        o->count = FULL_SEEDS;
    }
    for (int i = 1; i < argc; i++) {
        bool is_good = true;
        if (strcmp(argv[i], "--full") == 0) {
            o->is_full = true;
            o->count = FULL_SEEDS;
        } else if (strcmp(argv[i], "--in-order") == 0) {
            o->is_in_order = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            o->is_traced = true;
        } else if (strcmp(argv[i], "--seed") == 0) {
            is_good = number(argv[++i], &o->first);
            o->count = 1;
        } else if (strcmp(argv[i], "--from") == 0) {
            is_good = number(argv[++i], &o->first);
        } else if (strcmp(argv[i], "--seeds") == 0) {
            is_good = number(argv[++i], &o->count);
        } else if (strcmp(argv[i], "--points") == 0) {
            is_good = number(argv[++i], &o->points);
        } else if (strcmp(argv[i], "--point") == 0) {
            is_good = number(argv[++i], &o->point);
        } else {
            is_good = false;
        }
        if (!is_good)
            return false;
    }
    return true;
}

static uint64_t count_changes(uint64_t seed)
{
    struct world world;
    world_init(&world, seed);
    world_cut_at(&world, 0);
    (void)world_run(&world);
    uint64_t changes = world.sim->journal_files.changes;
    world_done(&world);
    return changes;
}

static bool cut(uint64_t seed, uint64_t point, bool is_reordered)
{
    struct world world;
    world_init(&world, seed);
    world_cut_at(&world, point);
    world.sim->journal_files.is_reordered = is_reordered;
    traced = world.sim;
    bool is_good = world_run(&world);
    if (!is_good)
        printf("sim_power: seed %" PRIu64 ", point %" PRIu64 ": %s\n", seed, point, world.problem);
    traced = NULL;
    world_done(&world);
    return is_good;
}

/* Which points of a seed: all, or so many spread over its run. */
static uint64_t run_seed(uint64_t seed, const struct options *o, uint64_t *failures, uint64_t *all)
{
    if (o->point) {
        *failures += !cut(seed, o->point, !o->is_in_order);
        return 1;
    }
    uint64_t changes = count_changes(seed);
    *all += changes;
    uint64_t points = o->is_full || o->points > changes ? changes : o->points;
    uint64_t stride = points ? changes / points : 1;
    for (uint64_t i = 0; i < points; i++)
        *failures +=
            !cut(seed, 1 + i * stride + (o->is_full ? 0 : seed * 7 % stride), !o->is_in_order);
    return points;
}

/* shows: acknowledged */
int main(int argc, char **argv)
{
    struct options o;
    if (!parse(argc, argv, &o)) {
        fprintf(stderr,
                "usage: sim_power [--seeds N] [--from SEED] [--points N] [--full] [--in-order]\n"
                "       sim_power --seed SEED --point N [--trace]\n");
        return 2;
    }
    dv_log_set(o.is_traced ? print_line : drop_line, NULL,
               o.is_traced ? DV_LOG_DEBUG : DV_LOG_ERROR);
    uint64_t failures = 0;
    uint64_t points = 0;
    uint64_t all = 0;
    for (uint64_t seed = o.first; seed < o.first + o.count; seed++)
        points += run_seed(seed, &o, &failures, &all);
    printf("sample: sim_power %" PRIu64 " of %" PRIu64 " operations, seed %" PRIu64 "\n", points,
           all, o.first);
    printf("sim_power: power cut at %" PRIu64 " operations of %" PRIu64 " seeds from seed %" PRIu64
           ": %" PRIu64 " failed\n",
           points, o.count, o.first, failures);
    return failures != 0;
}
