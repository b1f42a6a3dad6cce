/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The container driver: one of the two replaceable sides of davit (the other is bridge/bridge.h).
 * Synchronous, knows no bus and no actors. runtime/oci drives crun or runc, runtime/fake has no
 * kernel behind it.
 *
 * A driver object belongs to one thread (each worker has its own). Every call has a deadline, may
 * be repeated safely and never waits for a container to end. Bodies are the message types that the
 * worker actor gets, borrowed for the call.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdint.h>

struct dv_runtime;

struct dv_runtime_ops {
    /* "runc 1.1.5, cgroup hybrid ...": for davit status; borrowed, valid as long as the driver. */
    const char *(*describe)(struct dv_runtime *runtime);

    /* Makes bundle, stdio and the init process, which waits. On failure nothing is left behind.
     * A container of that id that exists and is not running is released first. `*ret` and what it
     * points to live in `arena`. */
    int (*create)(struct dv_runtime *runtime,
                  const struct dv_runtime_create_job *job,
                  struct dv_arena *arena,
                  struct dv_runtime_created *ret,
                  struct dv_error *err);
    /* Lets the created process run the program. */
    int (*start)(struct dv_runtime *runtime,
                 const struct dv_runtime_start_job *job,
                 struct dv_error *err);
    /* Signals init, or all processes; 0 also when the process has ended already. The process is
     * known by pid and start_ticks and signalled through a pidfd. Thaws a frozen container when the
     * signal is SIGKILL. */
    int (*signal)(struct dv_runtime *runtime,
                  const struct dv_runtime_signal_job *job,
                  struct dv_error *err);
    int (*pause)(struct dv_runtime *runtime,
                 const struct dv_runtime_pause_job *job,
                 struct dv_error *err);
    /* Other limits for a container that runs or is frozen, at once and all or none. NOT_FOUND if
     * there is none; STATE if it uses more already, UNSUPPORTED if the kernel lacks one. */
    int (*update)(struct dv_runtime *runtime,
                  const struct dv_runtime_update_job *job,
                  struct dv_error *err);
    /* After the end of init: kills what is left in the cgroup, then removes runtime state, cgroup,
     * bundle and FIFOs. 0 if there is nothing. STATE if init is still running. */
    int (*release)(struct dv_runtime *runtime,
                   const struct dv_runtime_release_job *job,
                   struct dv_error *err);
    /* release, then the writable layer; logs in the default place and the directory too, unless it
     * has a record, which is the store's. */
    int (*remove)(struct dv_runtime *runtime,
                  const struct dv_runtime_remove_job *job,
                  struct dv_error *err);
    /* What the machine knows of a container; UNKNOWN status if nothing. */
    int (*state)(struct dv_runtime *runtime,
                 const struct dv_runtime_state_query *query,
                 struct dv_runtime_state *ret,
                 struct dv_error *err);
    /* Ids of all that has a folder, known or not. `*ret` and what it points to live in `arena`. */
    int (*leftovers)(struct dv_runtime *runtime,
                     struct dv_arena *arena,
                     struct dv_runtime_leftovers *ret,
                     struct dv_error *err);
    void (*free)(struct dv_runtime *runtime);
};

/* First member of every implementation. */
struct dv_runtime {
    const struct dv_runtime_ops *ops;
};
