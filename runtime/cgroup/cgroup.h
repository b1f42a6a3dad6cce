/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Control groups of containers, below one path ("/davit/<id>") in whatever this machine has: v1,
 * v2, or hybrid (v1 controllers with a v2 mount beside them).
 *
 * A `struct dv_cgroup` is what was found on the machine; it is read-only once made, so any number
 * of threads may share it. Calls read and write files of the kernel and do not wait, except where a
 * timeout is an argument. A path is absolute, has no "..", and the same in every hierarchy. Nothing
 * above or beside the path is ever touched.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_CGROUP_PATH_MAX 1024U
#define DV_CGROUP_PROCS_MAX                                                                        \
    65536U                      /* processes of one container that are looked at in one round      \
                                 */
#define DV_CGROUP_DEPTH_MAX 32U /* groups that a container made below its own */

enum dv_cgroup_layout {
    DV_CGROUP_NONE,
    DV_CGROUP_V1,
    DV_CGROUP_V2,
    DV_CGROUP_HYBRID,
};

struct dv_cgroup;

/* Looks at a mount table; NULL: /proc/self/mountinfo. A machine without any control groups gives
 * layout NONE, not an error. */
__attribute__((warn_unused_result)) int
dv_cgroup_new(const char *mountinfo_path, struct dv_cgroup **ret, struct dv_error *err);

enum dv_cgroup_layout dv_cgroup_layout(const struct dv_cgroup *cgroup);
const char *dv_cgroup_layout_name(enum dv_cgroup_layout layout); /* "v1", "v2", "hybrid", "none" */

/* Mount point of the hierarchy that has a controller ("memory", "freezer"); for v2 every one that
 * its root offers; NULL if no hierarchy has it. Borrowed. */
const char *dv_cgroup_mount_of(const struct dv_cgroup *cgroup, const char *controller);

/* "/davit" and "web" -> "/davit/web". INVALID if it would be no path as described above. */
__attribute__((warn_unused_result)) int dv_cgroup_path(const char *parent,
                                                       const char *name,
                                                       char ret[DV_CGROUP_PATH_MAX],
                                                       struct dv_error *err);

/* Whether the path exists in any hierarchy. */
bool dv_cgroup_exists(const struct dv_cgroup *cgroup, const char *path);

/* Signals each process in the group and below, through a pidfd and after checking again that it is
 * a member; 0 also when there is none. Processes forked meanwhile may be missed. */
__attribute__((warn_unused_result)) int dv_cgroup_signal(const struct dv_cgroup *cgroup,
                                                         const char *path,
                                                         int number,
                                                         struct dv_error *err);

/* Kills all that is in the group, thawing it, and waits until the kernel has taken it out.
 * TIMED_OUT when something is left (a process stuck in the kernel). 0 if there is no group. */
__attribute__((warn_unused_result)) int dv_cgroup_kill(const struct dv_cgroup *cgroup,
                                                       const char *path,
                                                       int timeout_ms,
                                                       struct dv_error *err);

/* Freezes or thaws, and waits until it took effect. TIMED_OUT puts the old state back. NOT_FOUND
 * without the group, UNSUPPORTED without a freezer. */
__attribute__((warn_unused_result)) int dv_cgroup_freeze(const struct dv_cgroup *cgroup,
                                                         const char *path,
                                                         bool is_frozen,
                                                         int timeout_ms,
                                                         struct dv_error *err);
/* False also without a group or a freezer. */
bool dv_cgroup_is_frozen(const struct dv_cgroup *cgroup, const char *path);

/* Removes the group and the groups below it from every hierarchy; they must be empty of processes
 * (BUSY). 0 if there is nothing. */
__attribute__((warn_unused_result)) int
dv_cgroup_remove(const struct dv_cgroup *cgroup, const char *path, struct dv_error *err);

void dv_cgroup_free(struct dv_cgroup *cgroup);
DV_DEFINE_CLEANUP(dv_cgroup, dv_cgroup_free)
