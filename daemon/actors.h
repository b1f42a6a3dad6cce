/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Which actors there are and in which order they start. The daemon starts them with threads and
 * real ports, the simulation and the benchmark harness with fake ones.
 */
#include "actors/env.h"
#include "actors/kit/system.h"

/* For dv_system_options.types. */
extern const struct dv_cell_type *const daemon_actor_types[];

/* Starts all actors in `system`, whose env is `env`. Containers are restored before the first
 * bridge opens, so that the twin is true from its start. */
__attribute__((warn_unused_result)) int
daemon_actors_start(struct dv_system *system, const struct dv_actor_env *env, struct dv_error *err);
