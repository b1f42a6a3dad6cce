/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory limits of a control group, and where the kernel counts who was killed for them. Any
 * thread; nothing waits, but lowering a limit may take the kernel a while.
 */
#include "runtime/cgroup/cgroup.h"

#define DV_CGROUP_UNLIMITED (-1)
#define DV_CGROUP_FILE_MAX  (2 * DV_CGROUP_PATH_MAX + 32) /* of a file of a group */

/* Bytes or DV_CGROUP_UNLIMITED. */
struct dv_cgroup_memory {
    int64_t limit;
    int64_t reservation; /* soft: what is above goes first when the machine is short of memory */
    int64_t swap;        /* memory and swap together */
};

/* Which limits the kernel takes for this group, found by setting each to none. A group that does
 * not exist takes none. */
struct dv_cgroup_memory_support {
    bool limit;
    bool reservation;
    bool swap;
};
struct dv_cgroup_memory_support dv_cgroup_memory_support(const struct dv_cgroup *cgroup,
                                                         const char *path);

/* Gives a group with processes in it other limits. On failure the old ones are put back: STATE if
 * it uses more than the new limit already, UNSUPPORTED if the kernel lacks one that is asked for,
 * NOT_FOUND without the group. */
__attribute__((warn_unused_result)) int dv_cgroup_memory_set(const struct dv_cgroup *cgroup,
                                                             const char *path,
                                                             const struct dv_cgroup_memory *limits,
                                                             struct dv_error *err);

/* Absolute path of the file with the line "oom_kill N" of the group, whether it exists or not.
 * False if no hierarchy counts memory. */
bool dv_cgroup_oom_path(const struct dv_cgroup *cgroup,
                        const char *path,
                        char ret[DV_CGROUP_FILE_MAX]);

/* Whether the kernel can end all processes of a group when one has to go for lack of memory. */
bool dv_cgroup_has_oom_group(const struct dv_cgroup *cgroup);
