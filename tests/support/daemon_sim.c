/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/daemon_sim.h"

#include "actors/addresses.h"
#include "actors/bridge/bridge_cell.h"
#include "actors/container/actor.h"
#include "actors/exits/exits.h"
#include "actors/factory/factory.h"
#include "actors/image/image.h"
#include "actors/metrics/metrics.h"
#include "actors/network/network.h"
#include "actors/roster/roster.h"
#include "actors/sampler/sampler.h"
#include "actors/session/session.h"
#include "actors/software/software.h"
#include "actors/store/store.h"
#include "actors/worker/worker.h"
#include "runtime/fake/counters.h"
#include "runtime/fake/driver.h"
#include "runtime/fake/exits.h"
#include "runtime/fake/network.h"
#include "runtime/image/registry.h"

#include <limits.h>
#include <stdlib.h>

#define NS_PER_MS     1000000LL
#define START_NS      1000000000000LL
#define START_WALL_NS 1719561600000000000LL
#define JOURNAL_PATH  "/sim/journal"
#define STOP_MS       60000
#define RESTORE_MS    600000
#define LIST_BYTES    (64U << 20)

static const struct dv_cell_type *const cell_types[] = {
    &dv_bridge_cell,  &dv_container_cell, &dv_exits_cell,   &fake_downloader_cell,
    &dv_factory_cell, &dv_image_cell,     &dv_metrics_cell, &dv_network_cell,
    &dv_roster_cell,  &dv_sampler_cell,   &dv_session_cell, &dv_software_cell,
    &dv_store_cell,   &dv_worker_cell,    &dv_workers_cell, NULL,
};

static const struct dv_registry_settings no_registries;

/* -- ports ---------------------------------------------------------------------------------- */

static int open_runtime(void *ports, unsigned worker, struct dv_runtime **ret, struct dv_error *err)
{
    (void)worker;
    return dv_fake_driver_new(((struct daemon_sim *)ports)->machine, ret, err);
}

static int
open_images(void *ports, unsigned worker, struct dv_image_files **ret, struct dv_error *err)
{
    (void)worker;
    return fake_images_open(&((struct daemon_sim *)ports)->images, ret, err);
}

static int open_exits(void *ports, struct dv_exit_source **ret, struct dv_error *err)
{
    return dv_fake_exits_new(((struct daemon_sim *)ports)->machine, ret, err);
}

static int open_network(void *ports, struct dv_network **ret, struct dv_error *err)
{
    return dv_fake_network_new(((struct daemon_sim *)ports)->machine, ret, err);
}

static int open_counters(void *ports, struct dv_counter_source **ret, struct dv_error *err)
{
    return dv_fake_counters_new(((struct daemon_sim *)ports)->machine, ret, err);
}

/* A slow call of the runtime: its worker is busy for that time, which passes for all. */
static void pass_time(void *ctx, int64_t ns)
{
    dv_clock_fake_advance(&((struct daemon_sim *)ctx)->clock, ns);
}

/* -- the world ------------------------------------------------------------------------------ */

struct daemon_sim *daemon_sim_new(uint64_t seed)
{
    struct daemon_sim *sim = calloc(1, sizeof(*sim));
    if (!sim)
        abort();
    dv_clock_fake_init(&sim->clock, START_NS, START_WALL_NS);
    struct dv_fake_machine_options options = {&sim->clock.clock, pass_time, sim};
    if (dv_fake_machine_new(&options, &sim->machine, NULL) < 0)
        abort();
    sim->cloud = fake_cloud_new();
    journal_memory_init(&sim->journal_files);
    record_memory_init(&sim->record_files);
    sim->record_files.power = &sim->journal_files;
    sim->seed = seed;
    sim->hosts = 4;
    sim->things = 1;
    sim->settings = (struct dv_actor_settings){
        .stop_timeout_ms = 10000,
        .command_timeout_ms = 60000,
        .job_timeout_ms = 30000,
        .pull_stall_ms = 60000,
        .restart_first_ms = 1000,
        .restart_max_ms = 30000,
        .restart_stable_ms = 10000,
        .launches_max = 2,
        .unpack_timeout_ms = 60000,
        .image_expiry_ms = 5000,
        .repeat_window_ms = 600000,
        .checkpoint_ms = 5000,
        .artifact_ms = 60000,
        .replace_wait_ms = 10000,
        .workers = 2,
        .commands_max = 256,
        .repeats_max = 256,
        .twin_in_flight_max = 20,
        .outbox_max = 1000,
        .message_bytes_max = 4096,
        .same_boot = true,
        .boot = 1,
        .version = "sim",
    };
    return sim;
}

void daemon_sim_free(struct daemon_sim *sim)
{
    if (!sim)
        return;
    daemon_sim_crash(sim);
    dv_fake_machine_free(sim->machine);
    fake_cloud_free(sim->cloud);
    journal_memory_done(&sim->journal_files);
    record_memory_done(&sim->record_files);
    free(sim);
}

/* -- a daemon ------------------------------------------------------------------------------- */

static int spawn_services(struct daemon_sim *sim, struct dv_error *err)
{
    static const struct {
        const char *address;
        const char *type;
    } services[] = {
        {DV_ADDRESS_STORE, "store"},
        {DV_ADDRESS_EXITS, "exits"},
        {DV_ADDRESS_NETWORK, "network"},
        {DV_ADDRESS_WORKERS, "workers"},
        {DV_ADDRESS_IMAGE, "image"},
        {DV_ADDRESS_ROSTER, "roster"},
        {DV_ADDRESS_FACTORY, "ContainerFactory"},
        {DV_ADDRESS_DOWNLOADER, "downloader"},
        {DV_ADDRESS_SOFTWARE, "SoftwareUpdatable"},
        {DV_ADDRESS_SAMPLER, "sampler"},
        {DV_ADDRESS_METRICS, "Metrics"},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(services) / sizeof(services[0]); i++)
        r = dv_system_spawn(sim->system, services[i].address, services[i].type, NULL, err);
    return r;
}

static int spawn_bridge(struct daemon_sim *sim, struct dv_error *err)
{
    struct dv_bridge_start_args args = {.name = (char *)DAEMON_SIM_BRIDGE};
    int r = dv_system_spawn(sim->system, "bridge/" DAEMON_SIM_BRIDGE, "bridge", &args, err);
    return r < 0
               ? r
               : dv_system_spawn(sim->system, "session/" DAEMON_SIM_BRIDGE, "session", &args, err);
}

static int wait_for_restore(struct daemon_sim *sim, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(LIST_BYTES);
    const struct dv_container_list *list;
    struct dv_feature_query feature;
    uint16_t kind;
    void *body;
    int r = arena ? daemon_sim_list(sim, arena, &list, err)
                  : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory");
    return r < 0 ? r
                 : dv_system_ask(sim->system, DV_ADDRESS_SOFTWARE, DV_KIND_feature_query, &feature,
                                 RESTORE_MS, arena, &kind, &body, err);
}

static bool has_lost_power(struct daemon_sim *sim);

int daemon_sim_start(struct daemon_sim *sim, struct dv_error *err)
{
    int r =
        dv_journal_open(JOURNAL_PATH, &sim->journal_files.files, NULL, NULL, &sim->journal, err);
    if (r < 0)
        return has_lost_power(sim) ? 0 : r;
    sim->bridges[0] = (struct dv_bridge_setup){
        .name = DAEMON_SIM_BRIDGE,
        .ops = &fake_bridge_ops,
        .config = sim->cloud,
        .twin_detail = DV_TWIN_FULL,
        .things = sim->things,
        .twin_check_ms = 30000,
    };
    sim->env = (struct dv_actor_env){
        .settings = &sim->settings,
        .journal = sim->journal,
        .home_dir = "/sim",
        .record_files = &sim->record_files.files,
        .registries = &no_registries,
        .ingest_dir = "/sim/ingest",
        .bridges = sim->bridges,
        .ports = sim,
        .runtime_open = open_runtime,
        .image_files_open = open_images,
        .exits_open = open_exits,
        .network_open = open_network,
        .counters_open = open_counters,
    };
    struct dv_system_options options = {
        .types = cell_types, .env = &sim->env, .shared_hosts_max = sim->hosts};
    sim->lives++;
    fake_downloads_use(&sim->downloads);
    r = dv_system_new_sim(&options, &sim->clock, sim->seed * 1000 + sim->lives, &sim->system, err);
    if (r == 0)
        r = spawn_services(sim, err);
    if (r == 0)
        r = wait_for_restore(sim, err);
    if (r == 0)
        r = spawn_bridge(sim, err);
    return has_lost_power(sim) ? 0 : r;
}

static void end(struct daemon_sim *sim)
{
    sim->system = NULL;
    if (sim->journal)
        dv_journal_close(sim->journal);
    sim->journal = NULL;
    sim->settings.same_boot = true;
}

void daemon_sim_crash(struct daemon_sim *sim)
{
    if (!sim->system)
        return;
    /* Cells free what they own when they are dropped; that must not reach the world. */
    sim->journal_files.fail_after = 0;
    sim->journal_files.is_cut = true;
    sim->record_files.is_cut = true;
    fake_cloud_cut(sim->cloud);
    dv_sim_crash(sim->system);
    end(sim);
    sim->journal_files.fail_after = -1;
    sim->journal_files.is_cut = false;
    sim->record_files.is_cut = false;
}

int daemon_sim_stop(struct daemon_sim *sim, struct dv_error *err)
{
    int r = dv_system_stop(sim->system, DV_ADDRESSES_THAT_COMMAND, STOP_MS, err);
    dv_system_free(sim->system);
    end(sim);
    return r;
}

void daemon_sim_reboot(struct daemon_sim *sim)
{
    daemon_sim_crash(sim);
    dv_fake_machine_reboot(sim->machine);
    sim->settings.same_boot = false;
    sim->settings.boot++;
}

static uint64_t draw(void *ctx)
{
    uint64_t *state = ctx;
    /* splitmix64 */
    uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

void daemon_sim_watch_power(struct daemon_sim *sim)
{
    sim->journal_files.is_watched = true;
}

/* True if the power went: then nothing of the machine and of the daemon is left. */
static bool has_lost_power(struct daemon_sim *sim)
{
    if (!sim->journal_files.is_power_gone)
        return false;
    uint64_t state = sim->seed ^ sim->journal_files.cut_at << 20;
    daemon_sim_reboot(sim);
    journal_memory_lose(&sim->journal_files, draw, &state);
    sim->was_cut = true;
    return true;
}

int64_t daemon_sim_now_ns(const struct daemon_sim *sim)
{
    return sim->clock.monotonic_ns;
}

void daemon_sim_run(struct daemon_sim *sim, int64_t ms)
{
    if (sim->system && sim->journal_files.is_watched)
        daemon_sim_steps(sim, UINT_MAX, ms);
    else if (sim->system)
        (void)dv_sim_run_until(sim->system, daemon_sim_now_ns(sim) + ms * NS_PER_MS);
    else
        dv_clock_fake_advance(&sim->clock, ms * NS_PER_MS);
}

void daemon_sim_steps(struct daemon_sim *sim, unsigned steps, int64_t ms)
{
    int64_t end_ns = daemon_sim_now_ns(sim) + ms * NS_PER_MS;
    if (has_lost_power(sim))
        return;
    while (sim->system && steps) {
        if (dv_sim_step(sim->system)) {
            steps--;
            if (has_lost_power(sim))
                return;
            continue;
        }
        int64_t wake_ns = dv_sim_next_timer_ns(sim->system);
        int64_t now_ns = daemon_sim_now_ns(sim);
        if (wake_ns > end_ns) {
            if (end_ns > now_ns && steps > UINT_MAX / 2)
                dv_clock_fake_advance(&sim->clock, end_ns - now_ns);
            return;
        }
        if (wake_ns > now_ns)
            dv_clock_fake_advance(&sim->clock, wake_ns - now_ns);
        else
            return;
    }
}

int daemon_sim_list(struct daemon_sim *sim,
                    struct dv_arena *arena,
                    const struct dv_container_list **ret,
                    struct dv_error *err)
{
    struct dv_container_list_query query = {0};
    uint16_t kind;
    void *body;
    int r = dv_system_ask(sim->system, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
                          RESTORE_MS, arena, &kind, &body, err);
    if (r == 0)
        *ret = body;
    return r;
}
