/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * All actors of davitd on a fake machine, with a journal in memory, images that are always there
 * and a cloud in memory: with threads, or in one thread under a seed and a fake clock. Machine,
 * disk and cloud outlive the daemon, which can be stopped, killed and started again. Failures of
 * the house itself end the process with a message. Callers: one thread.
 */
#include "actors/env.h"
#include "actors/kit/system.h"
#include "journal_memory.h"
#include "memory_cloud.h"
#include "runtime/fake/machine.h"

#include <stdbool.h>
#include <stdint.h>

struct whole_daemon {
    bool is_simulated;
    uint64_t seed;
    unsigned hosts;
    char home[64]; /* records are real files */
    struct dv_clock_fake clock;
    struct dv_fake_machine *machine;
    struct memory_cloud *cloud;
    struct journal_memory disk;
    struct dv_journal *journal;
    struct dv_actor_settings settings; /* may be changed before a start */
    struct dv_bridge_setup bridges[2];
    struct dv_actor_env env;
    struct dv_system *system; /* NULL: the daemon does not run */
};

/* With threads the process must have called daemon_prepare_process(). */
void whole_daemon_init(struct whole_daemon *w, bool is_simulated, uint64_t seed, unsigned hosts);
void whole_daemon_done(struct whole_daemon *w);

__attribute__((warn_unused_result)) int whole_daemon_start(struct whole_daemon *w,
                                                           struct dv_error *err);
__attribute__((warn_unused_result)) int whole_daemon_stop(struct whole_daemon *w,
                                                          struct dv_error *err);
/* Simulation: ends between two steps. What was not in the journal is lost. */
void whole_daemon_kill(struct whole_daemon *w);
/* The machine as well: nothing runs any more, and davitd finds a new boot. */
void whole_daemon_power_cut(struct whole_daemon *w);
/* Simulation: runs for that long. */
void whole_daemon_run_ms(struct whole_daemon *w, int64_t ms);
