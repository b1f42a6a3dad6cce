/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The port through which the use of resources is read: of containers and of the machine. The real
 * one (runtime/meter) reads files of the kernel that it keeps open, the fake one belongs to
 * runtime/fake. A pass is one begin() and a read() for each container. One thread owns an object.
 * Reading takes time in the kernel but waits for nothing.
 *
 * Values are counters since the container (or the machine) started, except memory and tasks, which
 * are as they are now. Bytes and nanoseconds.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

/* What the kernel does not give is not set. */
struct dv_counters {
    bool has_cpu;
    bool has_memory;
    bool has_io;
    bool has_net;
    bool has_tasks;
    int64_t cpu_ns;       /* of all processors together */
    int64_t memory_used;  /* without file cache that is not in use */
    int64_t memory_total; /* the limit, at most what the machine has */
    int64_t io_read;
    int64_t io_write;
    int64_t net_read;  /* received */
    int64_t net_write; /* sent */
    int64_t tasks;     /* processes and threads */
};

struct dv_counter_target {
    const char *id;        /* of the container */
    int64_t pid;           /* of its init process */
    bool is_host_network;  /* it has no traffic of its own */
    const char *interface; /* the host's end of its cable; NULL: not known */
};

struct dv_counter_pass {
    int64_t cpu_total_ns; /* time of all processors together, idle or not; 0: not known */
    struct dv_counters host;
};

struct dv_counter_set; /* a container that is being read */

struct dv_counter_source {
    /* NOT_FOUND if there is nothing to be read of it. `*ret` is ended by close(). */
    int (*open)(struct dv_counter_source *source,
                const struct dv_counter_target *target,
                struct dv_counter_set **ret,
                struct dv_error *err);
    void (*close)(struct dv_counter_source *source, struct dv_counter_set *set);
    /* Reads what is read once for all. What cannot be read is not set; never fails for that. */
    int (*begin)(struct dv_counter_source *source,
                 struct dv_counter_pass *ret,
                 struct dv_error *err);
    /* NOT_FOUND when the container has gone: close it, open it again if it came back. */
    int (*read)(struct dv_counter_source *source,
                struct dv_counter_set *set,
                struct dv_counters *ret,
                struct dv_error *err);
    void (*free)(struct dv_counter_source *source);
};
