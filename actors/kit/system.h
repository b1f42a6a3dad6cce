/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The kit from outside: a system of cells, with threads (czmq actors) or in one thread under a seed
 * (simulation). Called by main, tests and the benchmark harness, from one thread.
 */
#include "actors/kit/cell.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_system;
struct dv_arena;

struct dv_system_options {
    const struct dv_cell_type *const *types; /* NULL-terminated; all types that may be spawned */
    const void *env;                         /* for dv_cell_env(); read-only, outlives the system */
    const struct dv_clock *clock;            /* NULL: the machine's */
    unsigned shared_hosts_max;               /* actors.container_hosts */
};

/* With threads. The process must have done the start-up order of docs/architecture.md. */
__attribute__((warn_unused_result)) int dv_system_new(const struct dv_system_options *options,
                                                      struct dv_system **ret,
                                                      struct dv_error *err);
/* In one thread: nothing runs except inside dv_sim_*. `clock` must be a fake one; the order of
 * messages, timers and watches is drawn from the seed. */
__attribute__((warn_unused_result)) int dv_system_new_sim(const struct dv_system_options *options,
                                                          struct dv_clock_fake *clock,
                                                          uint64_t seed,
                                                          struct dv_system **ret,
                                                          struct dv_error *err);
/* Ends what is left (see dv_system_stop) and frees. */
void dv_system_free(struct dv_system *system);
DV_DEFINE_CLEANUP(dv_system, dv_system_free)

/* Starts a cell and waits until its start() has returned; its error is *err. */
__attribute__((warn_unused_result)) int dv_system_spawn(struct dv_system *system,
                                                        const char *address,
                                                        const char *type,
                                                        const void *start,
                                                        struct dv_error *err);

/* Asks from outside and waits; the answer is a body of *ret_kind in `arena`. In a simulation this
 * runs steps until the answer is there. */
__attribute__((warn_unused_result)) int dv_system_ask(struct dv_system *system,
                                                      const char *to,
                                                      uint16_t kind,
                                                      const void *body,
                                                      int64_t timeout_ms,
                                                      struct dv_arena *arena,
                                                      uint16_t *ret_kind,
                                                      void **ret,
                                                      struct dv_error *err);

/* Ends all cells, those of `first` (addresses up to a NULL; NULL: none) in that order, then newest
 * first, each within the time that is left; TIMED_OUT names the cell that did not end. */
__attribute__((warn_unused_result)) int dv_system_stop(struct dv_system *system,
                                                       const char *const *first,
                                                       int64_t timeout_ms,
                                                       struct dv_error *err);

/* Simulation: one step (a message, a timer that is due or a ready descriptor, chosen by the seed).
 * False if nothing can run without time passing. */
bool dv_sim_step(struct dv_system *system);
/* Time of the earliest timer, INT64_MAX if there is none. */
int64_t dv_sim_next_timer_ns(const struct dv_system *system);
/* Runs steps; when idle, turns the clock to the next timer, until `monotonic_ns`. Returns the
 * number of steps. */
size_t dv_sim_run_until(struct dv_system *system, int64_t monotonic_ns);
/* The process is gone: cells end where they stand, no step runs any more. Their stop() still frees
 * what they own, so the caller cuts its ports off from the world before. Frees the system. */
void dv_sim_crash(struct dv_system *system);
/* An outside message loss: the cell of that address gets nothing until `monotonic_ns` (a slow
 * worker, a stuck session), nor do the cells that share its host. */
void dv_sim_delay(struct dv_system *system, const char *address, int64_t monotonic_ns);
