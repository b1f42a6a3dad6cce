/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The driver object and the steps that its files share. Private to runtime/oci. */
#include "base/clock.h"
#include "runtime/cgroup/cgroup.h"
#include "runtime/launcher.h"
#include "runtime/oci/call.h"
#include "runtime/oci/place.h"
#include "runtime/runtime.h"

#include <limits.h>

struct dv_oci_driver {
    struct dv_runtime base;
    struct dv_launcher *launcher;
    struct dv_cgroup *cgroup;
    const struct dv_clock *clock;
    char home_dir[PATH_MAX];
    char run_dir[PATH_MAX];
    char runtime[PATH_MAX];
    char root[PATH_MAX]; /* <run_dir>/runtime */
    char description[256];
    char cgroup_parent[256];
    int64_t pids_limit;
    bool has_ip6;
    uint64_t capabilities; /* that there are to give */
    struct dv_launch_result result;
};

/* create.c */
int dv_oci_driver_create(struct dv_runtime *runtime,
                         const struct dv_runtime_create_job *job,
                         struct dv_arena *arena,
                         struct dv_runtime_created *ret,
                         struct dv_error *err);
/* leftovers.c */
int dv_oci_driver_leftovers(struct dv_runtime *runtime,
                            struct dv_arena *arena,
                            struct dv_runtime_leftovers *ret,
                            struct dv_error *err);
/* A record, readable or set aside, is beside the container's data. */
bool dv_oci_has_record(const struct dv_oci_place *place);
/* driver.c: also a process that was created and never started is ended. */
int dv_oci_driver_release_id(struct dv_oci_driver *driver,
                             const char *id,
                             int timeout_ms,
                             struct dv_error *err);
