/* SPDX-License-Identifier: Apache-2.0 */
#include "world.h"

#include "base/log.h"
#include "software.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS       1000000LL
#define QUIET_MS        900000
#define ROUNDS          4
#define ACTIONS_A_ROUND 14
#define PERCENT         100

uint64_t world_random(struct world *world, uint64_t below)
{
    /* splitmix64 */
    uint64_t z = (world->random += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % below;
}

static bool chance(struct world *world, unsigned percent)
{
    return world_random(world, PERCENT) < percent;
}

void world_fail(struct world *world, const char *format, ...)
{
    if (world->problem[0])
        return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(world->problem, sizeof(world->problem), format, args);
    va_end(args);
}

static void note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void note(const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    dv_log(DV_LOG_INFO, "world: %s", text);
}

/* -- life of the daemon --------------------------------------------------------------------- */

static void start_daemon(struct world *world)
{
    struct dv_error err = DV_ERROR_INIT;
    world->sim->journal_files.fail_after = -1;
    world->sim->settings.workers = 1 + (unsigned)world_random(world, 4);
    world->sim->hosts = 1 + (unsigned)world_random(world, 6);
    /* Every other gateway is several things, and another number of them at each start. */
    if (world->sim->seed % 2 == 0)
        world->sim->things = 1 + (unsigned)(world->sim->seed / 2 + world->sim->lives) % 4;
    if (daemon_sim_start(world->sim, &err) < 0)
        world_fail(world, "the daemon does not start: %s", err.text);
}

static void crash(struct world *world)
{
    world->crashes++;
    if (chance(world, 15)) {
        note("power loss");
        world->reboots++;
        daemon_sim_reboot(world->sim);
    } else if (chance(world, 15)) {
        struct dv_error err = DV_ERROR_INIT;
        note("stop");
        if (daemon_sim_stop(world->sim, &err) < 0)
            world_fail(world, "the daemon does not stop: %s", err.text);
    } else {
        note("crash");
        daemon_sim_crash(world->sim);
    }
    if (chance(world, 50))
        daemon_sim_run(world->sim, (int64_t)world_random(world, 20000));
    start_daemon(world);
}

/* -- what may happen ------------------------------------------------------------------------ */

static void learn_targets(struct world *world)
{
    for (size_t i = 0; i < fake_cloud_commands(world->sim->cloud); i++) {
        const struct fake_command *command = fake_cloud_command(world->sim->cloud, i);
        if (strncmp(command->operation, "create", 6) != 0 || command->status != 200)
            continue;
        char id[129];
        snprintf(id, sizeof(id), "%.*s", (int)strcspn(command->value + 1, "\""),
                 command->value + 1);
        bool is_known = false;
        for (size_t t = 0; t < world->target_count; t++)
            is_known |= strcmp(world->targets[t].id, id) == 0;
        if (!is_known && world->target_count < WORLD_TARGETS_MAX)
            snprintf(world->targets[world->target_count++].id, sizeof(id), "%s", id);
    }
}

static const char *pick(struct world *world, char feature[FAKE_TEXT_MAX])
{
    learn_targets(world);
    if (!world->target_count || chance(world, 3)) {
        snprintf(feature, FAKE_TEXT_MAX, "Container:nobody");
        return NULL;
    }
    const struct world_target *target = &world->targets[world_random(world, world->target_count)];
    snprintf(feature, FAKE_TEXT_MAX, "Container:%s", target->id);
    return target->id;
}

static void send(struct world *world, const char *feature, const char *operation, const char *args)
{
    char key[64];
    snprintf(key, sizeof(key), "key-%zu", fake_cloud_commands(world->sim->cloud));
    size_t index =
        fake_cloud_send(world->sim->cloud, feature, operation, args, key, !chance(world, 10));
    if (chance(world, 15))
        (void)fake_cloud_repeat(world->sim->cloud, index);
}

static void do_create(struct world *world)
{
    static const char *const policies[] = {
        "\"type\":\"no\"",
        "\"type\":\"always\"",
        "\"type\":\"unless-stopped\"",
        "\"type\":\"on-failure\",\"maxRetryCount\":3",
        "\"type\":\"on-failure\",\"retryTimeout\":5",
    };
    char args[512];
    char name[64] = "";
    const char *start = chance(world, 60) ? "true" : "false";
    unsigned image = world->images++;
    if (chance(world, 20)) {
        snprintf(args, sizeof(args), "{\"imageRef\":\"reg.sim/app:%u\",\"start\":%s}", image,
                 start);
        send(world, "ContainerFactory", "create", args);
        return;
    }
    if (chance(world, 60))
        snprintf(name, sizeof(name), "\"name\":\"n%u\",",
                 chance(world, 80) ? world->names++ : (unsigned)world_random(world, 8));
    snprintf(args, sizeof(args),
             "{\"imageRef\":\"reg.sim/app:%u\",%s\"start\":%s,\"config\":{\"restartPolicy\":{%s}}}",
             image, name, start, policies[world_random(world, 5)]);
    send(world, "ContainerFactory", "createWithConfig", args);
}

static void do_command(struct world *world)
{
    char feature[FAKE_TEXT_MAX];
    char args[128] = "";
    const char *operation = "start";
    (void)pick(world, feature);
    switch (world_random(world, 14)) {
    case 0:
    case 1:
    case 2:
    case 3:
        break;
    case 4:
    case 5:
        operation = "stop";
        break;
    case 6:
        operation = "stopWithOptions";
        snprintf(args, sizeof(args), "{\"timeout\":%d,\"force\":%s,\"signal\":\"SIGINT\"}",
                 1 + (int)world_random(world, 20), chance(world, 50) ? "true" : "false");
        break;
    case 7:
        operation = "pause";
        break;
    case 8:
        operation = "resume";
        break;
    case 9:
        operation = "rename";
        snprintf(args, sizeof(args), "\"n%u\"",
                 chance(world, 70) ? world->names++ : (unsigned)world_random(world, 8));
        break;
    case 10:
        if (!world->has_policy_updates)
            break;
        operation = "update";
        snprintf(args, sizeof(args), "{\"restartPolicy\":{\"type\":\"%s\"}}",
                 chance(world, 50) ? "always" : "no");
        break;
    case 11:
        operation = "frobnicate";
        break;
    default:
        operation = "remove";
        snprintf(args, sizeof(args), "%s", chance(world, 60) ? "true" : "false");
        break;
    }
    send(world, feature, operation, args);
}

/* Seldom enough for the quiet time at the end of a round to stay short. */
static void do_metrics(struct world *world)
{
    static const char *const requests[] = {
        "{}",
        "{\"frequency\":120}",
        "{\"frequency\":\"5m\",\"filter\":[{\"id\":[\"cpu.*\"],\"originator\":\"SYSTEM\"}]}",
        "{\"frequency\":\"never\"}",
    };
    send(world, "Metrics", "request", requests[world_random(world, 4)]);
}

static void do_exit(struct world *world)
{
    char feature[FAKE_TEXT_MAX];
    const char *id = pick(world, feature);
    if (!id)
        return;
    int code = (int)world_random(world, 3);
    if (dv_fake_machine_end(world->sim->machine, id, code, chance(world, 10), NULL) == 0)
        note("%s ends with %d", id, code);
}

static void do_behaviour(struct world *world)
{
    struct dv_fake_behaviour behaviour = {
        .ends_by_itself = chance(world, 30),
        .runs_ns = (int64_t)world_random(world, 15000) * NS_PER_MS,
        .exit_code = (int)world_random(world, 2),
        .ignores_signals = chance(world, 20),
        .signal_delay_ns =
            (int64_t)world_random(world, 2) * (int64_t)world_random(world, 15000) * NS_PER_MS,
        .call_ns = chance(world, 20) ? (int64_t)world_random(world, 40000) * NS_PER_MS : 0,
    };
    /* Slow calls pass time for all: restarts that come faster than that would never end. */
    if (behaviour.ends_by_itself)
        behaviour.call_ns %= 1000 * NS_PER_MS;
    if (chance(world, 30))
        snprintf(behaviour.stop_signal, sizeof(behaviour.stop_signal), "SIGQUIT");
    if (dv_fake_machine_script(world->sim->machine, NULL, &behaviour, NULL) < 0)
        abort();
    note("behaviour: ends %d after %lld ms, ignores %d, delay %lld ms, calls %lld ms",
         behaviour.ends_by_itself, (long long)(behaviour.runs_ns / NS_PER_MS),
         behaviour.ignores_signals, (long long)(behaviour.signal_delay_ns / NS_PER_MS),
         (long long)(behaviour.call_ns / NS_PER_MS));
}

static void set_fault(struct world *world, enum dv_fake_call call, unsigned times)
{
    static const enum dv_error_class classes[] = {DV_ERR_FAILED, DV_ERR_IO, DV_ERR_TIMED_OUT};
    if (dv_fake_machine_fail(world->sim->machine, call, NULL, times,
                             classes[world_random(world, 3)], "scripted failure", NULL) < 0)
        abort();
}

static void do_disk_fault(struct world *world)
{
    if (chance(world, 40)) {
        world->sim->record_files.failures = 1 + (unsigned)world_random(world, 3);
        note("the record files fail");
        return;
    }
    /* A journal that is mended may give up the answer of a command that has taken effect: the
     * daemon still has it, unless the power goes in that moment. */
    if (world->sim->journal_files.is_watched)
        return;
    /* The journal takes nothing any more until the store has mended it. */
    world->sim->journal_files.fail_after = (int)world_random(world, 6);
    note("the journal fails after %d changes", world->sim->journal_files.fail_after);
}

static void do_fault(struct world *world)
{
    if (world->has_disk_faults && chance(world, 40)) {
        do_disk_fault(world);
        return;
    }
    if (chance(world, 15)) {
        world->sim->images.failures = 1;
        note("an image lookup fails");
        return;
    }
    enum dv_fake_call call = (enum dv_fake_call)world_random(world, DV_FAKE_CALLS);
    if (call == DV_FAKE_STATE || (call == DV_FAKE_RELEASE && !world->has_release_faults))
        return;
    unsigned times = 1 + (unsigned)world_random(world, 2);
    note("%u calls of sort %d fail", times, (int)call);
    set_fault(world, call, times);
}

static void do_delay(struct world *world)
{
    static const char *const addresses[] = {"worker/0",
                                            "workers",
                                            "store",
                                            "exits",
                                            "network",
                                            "roster",
                                            "session/" DAEMON_SIM_BRIDGE,
                                            "bridge/" DAEMON_SIM_BRIDGE};
    const char *address = addresses[world_random(world, 8)];
    int64_t ms = (int64_t)world_random(world, 3000);
    note("%s is slow for %lld ms", address, (long long)ms);
    dv_sim_delay(world->sim->system, address, daemon_sim_now_ns(world->sim) + ms * NS_PER_MS);
}

/* A cloud that was away may come back with something that is long gone. */
static void do_link(struct world *world)
{
    bool is_up = fake_cloud_link(world->sim->cloud);
    if (is_up && chance(world, 10)) {
        char id[FAKE_TEXT_MAX];
        snprintf(id, sizeof(id), "Container:ghost-%u", world->steps_done);
        note("the cloud shows %s", id);
        fake_cloud_haunt(world->sim->cloud, id, 0);
    }
    fake_cloud_set_link(world->sim->cloud, !is_up);
}

/* Somebody sets the clock: nothing that is checked may depend on it. Never before 1970, which no
 * clock shows. */
static void do_clock(struct world *world)
{
    static const int64_t year_ns = 365 * 24 * 3600 * 1000000000LL;
    int64_t to_ns =
        (int64_t)world_random(world, 100) * year_ns + (int64_t)world_random(world, 1000);
    note("the clock moves by %lld years",
         (long long)((to_ns - world->sim->clock.wall_ns) / year_ns));
    world->sim->clock.wall_ns = to_ns;
}

static void act(struct world *world)
{
    switch (world_random(world, 25)) {
    case 24:
        do_clock(world);
        break;
    case 20:
        do_metrics(world);
        break;
    case 0:
    case 1:
    case 2:
    case 3:
        do_create(world);
        break;
    case 4:
    case 5:
        do_exit(world);
        break;
    case 6:
        do_behaviour(world);
        break;
    case 7:
        do_fault(world);
        break;
    case 8:
        do_delay(world);
        break;
    case 9:
        do_link(world);
        break;
    case 10:
        if (chance(world, 40)) {
            note("the monitor is dead");
            dv_fake_machine_set_monitor(world->sim->machine, false);
        } else {
            note("the monitor lives");
            dv_fake_machine_set_monitor(world->sim->machine, true);
        }
        break;
    case 11:
        if (chance(world, 60))
            crash(world);
        break;
    case 21:
    case 22:
    case 23:
        world_software_act(world);
        break;
    default:
        do_command(world);
        break;
    }
}

/* -- quiet ---------------------------------------------------------------------------------- */

/* Nothing unusual goes on any more: what is under way comes to its end. */
static void settle(struct world *world)
{
    static const struct dv_fake_behaviour normal;
    note("settling");
    if (dv_fake_machine_script(world->sim->machine, NULL, &normal, NULL) < 0)
        abort();
    for (int call = 0; call < DV_FAKE_CALLS; call++)
        set_fault(world, (enum dv_fake_call)call, 0);
    world->sim->images.failures = 0;
    world->sim->downloads.failures = 0;
    world->sim->record_files.failures = 0;
    world->sim->journal_files.fail_after = -1;
    dv_fake_machine_set_monitor(world->sim->machine, true);
    fake_cloud_set_link(world->sim->cloud, true);
    daemon_sim_run(world->sim, QUIET_MS);
    world->quiet_points++;
    note("quiet");
}

void world_init(struct world *world, uint64_t seed)
{
    *world = (struct world){.sim = daemon_sim_new(seed), .random = seed};
    world->has_release_faults = chance(world, 20);
    world->has_disk_faults = chance(world, 25);
    world->has_policy_updates = chance(world, 50);
    if (chance(world, 10))
        world->sim->settings.commands_max = 3;
    if (chance(world, 20))
        world->sim->settings.outbox_max = 4;
    world->sim->settings.twin_in_flight_max = 1 + (unsigned)world_random(world, 20);
    if (chance(world, 50))
        world->sim->settings.rotate_bytes = 1 + (int64_t)world_random(world, 20000);
    world->sim->settings.checkpoint_ms = 1 + (int64_t)world_random(world, 20000);
}

void world_done(struct world *world)
{
    daemon_sim_free(world->sim);
}

void world_cut_at(struct world *world, uint64_t change)
{
    daemon_sim_watch_power(world->sim);
    world->sim->journal_files.cut_at = change;
}

/* Nothing of the scenario happens any more after a power cut. */
static bool may_go_on(const struct world *world)
{
    return !world->problem[0] && !world->sim->was_cut;
}

static void go_on_after_cut(struct world *world)
{
    note("power is back");
    world->sim->was_cut = false;
    world->reboots++;
    start_daemon(world);
    settle(world);
    if (!world->problem[0])
        world_check(world);
    if (!world->problem[0])
        world_check_restart(world);
    if (!world->problem[0])
        world_check_metrics(world);
}

bool world_run(struct world *world)
{
    start_daemon(world);
    for (int round = 0; round < ROUNDS && may_go_on(world); round++) {
        for (int i = 0; i < ACTIONS_A_ROUND && may_go_on(world); i++) {
            act(world);
            if (!may_go_on(world))
                break;
            if (chance(world, 70))
                daemon_sim_steps(world->sim, (unsigned)world_random(world, 120), 3000);
            else if (chance(world, 50))
                daemon_sim_run(world->sim, (int64_t)world_random(world, 8000));
        }
        if (may_go_on(world))
            settle(world);
        if (may_go_on(world))
            world_check(world);
        if (may_go_on(world) && chance(world, 50))
            world_check_restart(world);
        if (may_go_on(world) && chance(world, 25))
            world_check_metrics(world);
    }
    if (!world->problem[0] && world->sim->was_cut)
        go_on_after_cut(world);
    return !world->problem[0];
}
