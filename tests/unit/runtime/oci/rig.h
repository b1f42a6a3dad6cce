/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The driver over a launcher that answers as told, in a scratch directory. Needs root, because
 * FIFOs are given to the user of the container. Main thread of a test; failures end the test.
 */
#include "base/clock.h"
#include "fixture.h"
#include "runtime/runtime.h"

#define TIMEOUT_MS 5000
#define WALL_NS    INT64_C(1700000000000000000) /* what its clock shows */
#define GONE_PID   INT32_MAX                    /* more than any machine gives */

struct rig {
    struct scratch scratch;
    struct made_record made;
    struct fake_launcher launcher;
    struct dv_clock_fake clock;
    char parent[64]; /* of control groups; does not exist */
    struct dv_runtime *driver;
    struct dv_arena *arena;
    struct dv_error err; /* of the last call */
};

void rig_init(struct rig *rig, const struct fake_answer *answers);
void rig_done(struct rig *rig);

int rig_create(struct rig *rig, struct dv_runtime_created *ret);
int rig_start(struct rig *rig);
int rig_release(struct rig *rig);
int rig_remove(struct rig *rig);
struct dv_runtime_state rig_state(struct rig *rig);

/* Nothing of a run is left; what a container keeps between its runs is not looked at. */
void expect_no_run(const struct rig *rig, const char *when);
/* Nor anything else. */
void expect_nothing(const struct rig *rig, const char *when);

/* A process that sleeps, to be reaped by expect_killed. */
pid_t start_sleeper(int64_t *ret_ticks);
void expect_killed(pid_t pid);
