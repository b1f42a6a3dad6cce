/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a control group uses, read again and again through descriptors that stay open. On v1 the
 * files of several hierarchies, on v2 of one, on a hybrid machine whichever has the controller. An
 * object belongs to one thread; reading takes time in the kernel but waits for nothing.
 */
#include "runtime/cgroup/cgroup.h"

/* What the kernel does not give is not set. */
struct dv_cgroup_usage {
    bool has_cpu;
    bool has_memory;
    bool has_io; /* some block device has counted something */
    bool has_tasks;
    int64_t cpu_ns;
    int64_t memory_used;  /* without inactive file cache */
    int64_t memory_limit; /* INT64_MAX: none */
    int64_t io_read;
    int64_t io_write;
    int64_t tasks;
};

struct dv_cgroup_meter;

/* How many descriptors one meter has at most. */
#define DV_CGROUP_METER_FDS 6U

/* NOT_FOUND if no hierarchy has the group. */
__attribute__((warn_unused_result)) int dv_cgroup_meter_open(const struct dv_cgroup *cgroup,
                                                             const char *path,
                                                             struct dv_cgroup_meter **ret,
                                                             struct dv_error *err);
/* NOT_FOUND once the group is removed, also when one of the same name has been made since. */
__attribute__((warn_unused_result)) int dv_cgroup_meter_read(struct dv_cgroup_meter *meter,
                                                             struct dv_cgroup_usage *ret,
                                                             struct dv_error *err);
void dv_cgroup_meter_free(struct dv_cgroup_meter *meter);
DV_DEFINE_CLEANUP(dv_cgroup_meter, dv_cgroup_meter_free)
