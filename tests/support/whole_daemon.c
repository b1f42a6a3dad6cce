/* SPDX-License-Identifier: Apache-2.0 */
#include "whole_daemon.h"

#include "actors/addresses.h"
#include "base/durable.h"
#include "base/journal.h"
#include "daemon/actors.h"
#include "runtime/fake/counters.h"
#include "runtime/fake/driver.h"
#include "runtime/fake/exits.h"
#include "runtime/fake/network.h"
#include "runtime/image/settings.h"
#include "runtime/image_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JOURNAL_PATH "journal"
#define STOP_MS      60000
#define NS_PER_MS    1000000
#define SOME_NS      INT64_C(1000000000000)
#define SOME_WALL_NS INT64_C(1700000000000000000)

static void need(int r, const struct dv_error *err)
{
    if (r >= 0)
        return;
    fprintf(stderr, "\nwhole_daemon: %s\n", err->text);
    abort();
}

/* -- ports ---------------------------------------------------------------------------------- */

static int open_runtime(void *ports, unsigned worker, struct dv_runtime **ret, struct dv_error *err)
{
    (void)worker;
    return dv_fake_driver_new(((struct whole_daemon *)ports)->machine, ret, err);
}

static int open_exits(void *ports, struct dv_exit_source **ret, struct dv_error *err)
{
    return dv_fake_exits_new(((struct whole_daemon *)ports)->machine, ret, err);
}

static int open_network(void *ports, struct dv_network **ret, struct dv_error *err)
{
    return dv_fake_network_new(((struct whole_daemon *)ports)->machine, ret, err);
}

static int open_counters(void *ports, struct dv_counter_source **ret, struct dv_error *err)
{
    return dv_fake_counters_new(((struct whole_daemon *)ports)->machine, ret, err);
}

/* Every image is stored and unpacked, except those that say otherwise by their name. */
static int lookup(struct dv_image_files *files,
                  const struct dv_image_lookup_job *job,
                  struct dv_arena *arena,
                  struct dv_image_ready *ret,
                  struct dv_error *err)
{
    (void)files;
    if (strstr(job->ref, "/broken"))
        return dv_error_set(err, DV_ERR_IO, "image '%s' cannot be read", job->ref);
    char **layers = dv_arena_array(arena, 1, sizeof(*layers));
    if (!layers)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for an image");
    layers[0] = (char *)"layer";
    *ret = (struct dv_image_ready){
        .image_id = (char *)"sha256:00",
        .layers = {layers, 1},
    };
    return 0;
}

static void free_files(struct dv_image_files *files)
{
    free(files);
}

static int
open_files(void *ports, unsigned worker, struct dv_image_files **ret, struct dv_error *err)
{
    (void)ports;
    (void)worker;
    struct dv_image_files *files = calloc(1, sizeof(*files));
    if (!files)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for images");
    files->lookup = lookup;
    files->free = free_files;
    *ret = files;
    return 0;
}

/* -- the house ------------------------------------------------------------------------------ */

static void pass_time(void *ctx, int64_t ns)
{
    dv_clock_fake_advance(ctx, ns);
}

void whole_daemon_init(struct whole_daemon *w, bool is_simulated, uint64_t seed, unsigned hosts)
{
    static const struct dv_registry_settings no_registries;
    struct dv_error err = DV_ERROR_INIT;
    *w = (struct whole_daemon){
        .is_simulated = is_simulated,
        .seed = seed,
        .hosts = hosts,
        .home = "/tmp/davit-whole-XXXXXX",
        .settings =
            {
                .stop_timeout_ms = 2000,
                .command_timeout_ms = 60000,
                .job_timeout_ms = 60000,
                .pull_stall_ms = 60000,
                .restart_first_ms = 100,
                .restart_max_ms = 5000,
                .restart_stable_ms = 10000,
                .launches_max = 3,
                .unpack_timeout_ms = 60000,
                .repeat_window_ms = 600000,
                .checkpoint_ms = 1000,
                .artifact_ms = 60000,
                .replace_wait_ms = 10000,
                .workers = 4,
                .commands_max = 4096,
                .repeats_max = 4096,
                .twin_in_flight_max = 20,
                .outbox_max = 65536,
                .message_bytes_max = 16384,
                .same_boot = true,
                .boot = 1,
                .version = "test",
            },
    };
    if (!mkdtemp(w->home)) {
        perror("whole_daemon: a directory");
        abort();
    }
    dv_clock_fake_init(&w->clock, SOME_NS, SOME_WALL_NS);
    struct dv_fake_machine_options options = {
        .clock = is_simulated ? &w->clock.clock : NULL,
        .delay = is_simulated ? pass_time : NULL,
        .delay_ctx = &w->clock,
    };
    need(dv_fake_machine_new(&options, &w->machine, &err), &err);
    w->cloud = memory_cloud_new();
    journal_memory_init(&w->disk);
    w->bridges[0] = (struct dv_bridge_setup){
        .name = "memory",
        .ops = &memory_cloud_ops,
        .config = w->cloud,
        .twin_detail = DV_TWIN_FULL,
    };
    w->env = (struct dv_actor_env){
        .settings = &w->settings,
        .home_dir = w->home,
        .registries = &no_registries,
        .ingest_dir = w->home,
        .bridges = w->bridges,
        .ports = w,
        .runtime_open = open_runtime,
        .image_files_open = open_files,
        .exits_open = open_exits,
        .network_open = open_network,
        .counters_open = open_counters,
    };
}

static void close_all(struct whole_daemon *w)
{
    dv_system_free(w->system);
    w->system = NULL;
    dv_journal_close(w->journal);
    w->journal = NULL;
}

void whole_daemon_done(struct whole_daemon *w)
{
    struct dv_error err = DV_ERROR_INIT;
    close_all(w);
    memory_cloud_free(w->cloud);
    dv_fake_machine_free(w->machine);
    journal_memory_done(&w->disk);
    need(dv_tree_remove(w->home, &err), &err);
}

int whole_daemon_start(struct whole_daemon *w, struct dv_error *err)
{
    int r = dv_journal_open(JOURNAL_PATH, &w->disk.files, NULL, NULL, &w->journal, err);
    if (r < 0)
        return r;
    w->env.journal = w->journal;
    struct dv_system_options options = {
        .types = daemon_actor_types,
        .env = &w->env,
        .shared_hosts_max = w->hosts,
        .clock = w->is_simulated ? &w->clock.clock : NULL,
    };
    /* Another order each time, drawn from the same seed. */
    w->seed = w->seed * UINT64_C(6364136223846793005) + 1442695040888963407U;
    r = w->is_simulated ? dv_system_new_sim(&options, &w->clock, w->seed, &w->system, err)
                        : dv_system_new(&options, &w->system, err);
    return r < 0 ? r : daemon_actors_start(w->system, &w->env, err);
}

int whole_daemon_stop(struct whole_daemon *w, struct dv_error *err)
{
    int r = dv_system_stop(w->system, DV_ADDRESSES_THAT_COMMAND, STOP_MS, err);
    close_all(w);
    w->settings.same_boot = true;
    return r;
}

void whole_daemon_kill(struct whole_daemon *w)
{
    /* What cells do when they are freed must not reach the disk. */
    w->disk.is_cut = true;
    w->disk.fail_after = 0;
    close_all(w);
    w->disk.is_cut = false;
    w->disk.fail_after = -1;
    w->settings.same_boot = true;
}

void whole_daemon_power_cut(struct whole_daemon *w)
{
    whole_daemon_kill(w);
    dv_fake_machine_reboot(w->machine);
    w->settings.same_boot = false;
    w->settings.boot++;
}

void whole_daemon_run_ms(struct whole_daemon *w, int64_t ms)
{
    (void)dv_sim_run_until(w->system, w->clock.monotonic_ns + ms * NS_PER_MS);
}
