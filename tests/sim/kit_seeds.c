/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All scenarios of the kit under many seeds, each twice: the same seed must give the same trace.
 * kit_seeds [number of seeds [first seed]]; a failure names scenario and seed.
 */
#include "base/log.h"
#include "scenarios.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void drop_line(enum dv_log_level level, const char *line, void *ctx)
{
    (void)level;
    (void)line;
    (void)ctx;
}

int main(int argc, char **argv)
{
    uint64_t count = argc > 1 ? strtoull(argv[1], NULL, 10) : 300;
    uint64_t first = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    dv_log_set(drop_line, NULL, DV_LOG_ERROR);
    for (uint64_t seed = first; seed < first + count; seed++) {
        for (const struct scenario *scenario = scenarios; scenario->name; scenario++) {
            if (isatty(STDERR_FILENO))
                fprintf(stderr, "\r%s seed %" PRIu64 "\033[K", scenario->name, seed);
            if (scenario_run_sim(scenario, seed) == scenario_run_sim(scenario, seed))
                continue;
            fprintf(stderr, "\n%s: seed %" PRIu64 " gave two traces\n", scenario->name, seed);
            return 1;
        }
    }
    fprintf(stderr, "%" PRIu64 " seeds ok\n", count);
    return 0;
}
