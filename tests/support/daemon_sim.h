/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The whole daemon in one thread: all cells as daemon/main.c composes them, on a fake clock, a fake
 * machine, images, a cloud, and journal and record files in memory. The world outlives daemons:
 * start, crash, start again. The same seed and the same calls give the same run.
 */
#include "actors/env.h"
#include "actors/kit/system.h"
#include "runtime/fake/machine.h"
#include "tests/support/fake_bridge.h"
#include "tests/support/fake_downloader.h"
#include "tests/support/fake_images.h"
#include "tests/support/journal_memory.h"
#include "tests/support/record_memory.h"

#define DAEMON_SIM_BRIDGE "cloud"

struct daemon_sim {
    /* The world. */
    struct dv_clock_fake clock;
    struct dv_fake_machine *machine;
    struct fake_images images;
    struct fake_downloads downloads;
    struct fake_cloud *cloud;
    struct journal_memory journal_files;
    struct record_memory record_files;
    struct dv_actor_settings settings; /* may be changed between two daemons */
    unsigned hosts;                    /* shared hosts of the next daemon */
    unsigned things;                   /* of its bridge */
    uint64_t seed;
    unsigned lives;
    bool was_cut; /* power went at journal_files.cut_at; no daemon runs */
    /* The daemon; NULL: none runs. */
    struct dv_system *system;
    struct dv_journal *journal;
    struct dv_bridge_setup bridges[2];
    struct dv_actor_env env;
};

/* A world without a daemon; aborts when memory is short. */
struct daemon_sim *daemon_sim_new(uint64_t seed);
/* Crashes a daemon that runs. */
void daemon_sim_free(struct daemon_sim *sim);

/* Starts a daemon and waits, like main(), until its containers are restored before the bridge
 * opens. */
__attribute__((warn_unused_result)) int daemon_sim_start(struct daemon_sim *sim,
                                                         struct dv_error *err);
/* kill -9: nothing more gets out of it. Journal, records and machine stay as they are. */
void daemon_sim_crash(struct daemon_sim *sim);
/* SIGTERM. */
__attribute__((warn_unused_result)) int daemon_sim_stop(struct daemon_sim *sim,
                                                        struct dv_error *err);
/* Power loss of the machine, and with it of a daemon that runs; the next start is one after a boot.
 */
void daemon_sim_reboot(struct daemon_sim *sim);

/* From now on the power may go at an exact operation of the disks: set journal_files.cut_at. Then
 * the daemon is gone at once, `was_cut` is set, and what was not synced is lost or not, as `seed`
 * draws. */
void daemon_sim_watch_power(struct daemon_sim *sim);

int64_t daemon_sim_now_ns(const struct daemon_sim *sim);
/* Runs until nothing is left to do before that much time has passed. */
void daemon_sim_run(struct daemon_sim *sim, int64_t ms);
/* At most so many steps; time passes only when nothing else can happen, and not beyond `ms`. */
void daemon_sim_steps(struct daemon_sim *sim, unsigned steps, int64_t ms);

/* What the roster says: the list lives in the arena. */
__attribute__((warn_unused_result)) int daemon_sim_list(struct daemon_sim *sim,
                                                        struct dv_arena *arena,
                                                        const struct dv_container_list **ret,
                                                        struct dv_error *err);
