/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics when nothing else is left to do: what was asked for comes, of all who run and of nobody
 * else, also from a new daemon, and stops when it is no longer wanted.
 */
#include "base/log.h"
#include "world.h"

#include <stdlib.h>
#include <string.h>

#define PERIODS_MS 7000 /* more than three periods of the request */

static bool ask(struct world *world, const char *args)
{
    struct fake_cloud *cloud = world->sim->cloud;
    char key[64];
    snprintf(key, sizeof(key), "metrics-%zu", fake_cloud_commands(cloud));
    size_t index = fake_cloud_send(cloud, "Metrics", "request", args, key, true);
    daemon_sim_run(world->sim, PERIODS_MS);
    const struct fake_command *command = fake_cloud_command(cloud, index);
    if (world->sim->was_cut)
        return false;
    if (command->status != 204)
        world_fail(world, "a request for metrics is answered %lld: %s", command->status,
                   command->error);
    return command->status == 204;
}

/* The newest batch has each container that runs, with its share of the processors, and no other. */
static void check_data(struct world *world, uint64_t before, const char *when)
{
    uint64_t batches = fake_cloud_live_batches(world->sim->cloud);
    const char *text = fake_cloud_live(world->sim->cloud);
    struct dv_fake_counts counts;
    size_t reported = 0;
    if (world->sim->was_cut)
        return;
    dv_fake_machine_count(world->sim->machine, &counts);
    for (const char *at = text; (at = strstr(at, "\"Container:")); at++) {
        char id[129];
        at += strlen("\"Container:");
        snprintf(id, sizeof(id), "%.*s", (int)strcspn(at, "\""), at);
        enum dv_status status = dv_fake_machine_status(world->sim->machine, id);
        if (status != DV_STATUS_RUNNING && status != DV_STATUS_PAUSED)
            world_fail(world, "metrics %s tell of %s, which does not run", when, id);
        reported++;
    }
    if (batches - before < 2 || batches - before > 4)
        world_fail(world, "metrics %s came %llu times, not 3", when,
                   (unsigned long long)(batches - before));
    if (reported != counts.running)
        world_fail(world, "metrics %s are of %zu containers, %zu run", when, reported,
                   counts.running);
    if (counts.running && !strstr(text, "{\"id\":\"cpu.utilization\",\"value\":5}"))
        world_fail(world, "metrics %s have no share of the processors: %.200s", when, text);
}

void world_check_metrics(struct world *world)
{
    struct fake_cloud *cloud = world->sim->cloud;
    struct dv_error err = DV_ERROR_INIT;
    dv_log(DV_LOG_INFO, "world: metrics");
    uint64_t before = fake_cloud_live_batches(cloud);
    /* The machine itself keeps data coming when no container runs. */
    if (!ask(world, "{\"frequency\":\"2s\",\"filter\":[{\"originator\":\"*\"}]}"))
        return;
    check_data(world, before, "asked for");
    if (world->sim->was_cut)
        return;
    daemon_sim_crash(world->sim);
    if (daemon_sim_start(world->sim, &err) < 0) {
        if (world->sim->was_cut)
            return;
        world_fail(world, "the daemon does not start again: %s", err.text);
        return;
    }
    /* Until then a daemon that has just started is busy with itself. */
    daemon_sim_run(world->sim, 60000);
    before = fake_cloud_live_batches(cloud);
    daemon_sim_run(world->sim, PERIODS_MS);
    check_data(world, before, "after a restart");
    if (!ask(world, "{}"))
        return;
    before = fake_cloud_live_batches(cloud);
    daemon_sim_run(world->sim, PERIODS_MS);
    if (!world->sim->was_cut && fake_cloud_live_batches(cloud) != before)
        world_fail(world, "metrics come though they are not wanted any more");
}
