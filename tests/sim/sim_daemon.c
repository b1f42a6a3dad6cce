/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole daemon in one thread, under many seeds.
 *
 *   sim_daemon [--seeds N] [--from SEED] [--full]   many scenarios, 300 from seed 1 by default
 *   sim_daemon --seed SEED [--trace]                one, with everything that it says
 *
 * A scenario that fails prints its seed; the same seed fails in the same way.
 */
#include "base/log.h"
#include "world.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SEEDS_DEFAULT 300
#define SEEDS_FULL    5000
#define NS_PER_MS     1000000LL

struct options {
    uint64_t first;
    uint64_t count;
    bool is_traced;
};

static void drop_line(enum dv_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

static struct daemon_sim *traced;

static void print_line(enum dv_log_level level, const char *line, void *ctx)
{
    (void)ctx;
    long long now_ms = traced ? daemon_sim_now_ns(traced) / NS_PER_MS % 100000000 : 0;
    printf("%10lld %-5s %s\n", now_ms, dv_log_level_name(level), line);
}

static bool parse(int argc, char **argv, struct options *ret)
{
    *ret = (struct options){.first = 1, .count = SEEDS_DEFAULT};
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--trace") == 0) {
            ret->is_traced = true;
        } else if (strcmp(argv[i], "--full") == 0) {
            ret->count = SEEDS_FULL;
        } else if (strcmp(argv[i], "--seeds") == 0 && has_value) {
            ret->count = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--from") == 0 && has_value) {
            ret->first = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--seed") == 0 && has_value) {
            ret->first = strtoull(argv[++i], NULL, 10);
            ret->count = 1;
        } else {
            return false;
        }
    }
    return true;
}

/* What many scenarios add up to: proof that they did something. */
struct totals {
    uint64_t commands;
    uint64_t crashes;
    uint64_t quiet_points;
};

static bool run_seed(uint64_t seed, struct totals *totals)
{
    struct world world;
    world_init(&world, seed);
    traced = world.sim;
    bool is_good = world_run(&world);
    if (!is_good)
        printf("sim_daemon: seed %" PRIu64 ": %s\n", seed, world.problem);
    totals->commands += fake_cloud_commands(world.sim->cloud);
    totals->crashes += world.crashes;
    totals->quiet_points += world.quiet_points;
    traced = NULL;
    world_done(&world);
    return is_good;
}

int main(int argc, char **argv)
{
    struct options options;
    if (!parse(argc, argv, &options)) {
        fprintf(stderr, "usage: sim_daemon [--seeds N] [--from SEED] [--full]\n"
                        "       sim_daemon --seed SEED [--trace]\n");
        return 2;
    }
    if (getenv("DAVIT_SIM_FULL") && options.count > 1)
        options.count = SEEDS_FULL;
    dv_log_set(options.is_traced ? print_line : drop_line, NULL,
               options.is_traced ? DV_LOG_DEBUG : DV_LOG_ERROR);
    struct totals totals = {0};
    unsigned failures = 0;
    for (uint64_t seed = options.first; seed < options.first + options.count; seed++)
        failures += !run_seed(seed, &totals);
    printf("sample: sim_daemon %" PRIu64 " of %u seeds, seed %" PRIu64 "\n", options.count,
           SEEDS_FULL, options.first);
    printf("sim_daemon: %" PRIu64 " seeds from seed %" PRIu64 ": %u failed; %" PRIu64
           " commands, %" PRIu64 " ends of the daemon, %" PRIu64 " quiet points checked\n",
           options.count, options.first, failures, totals.commands, totals.crashes,
           totals.quiet_points);
    return failures != 0;
}
