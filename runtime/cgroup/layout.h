/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Inside of the cgroup module: the hierarchies of a machine, found in its mount table.
 */
#include "runtime/cgroup/cgroup.h"

#define DV_CGROUP_HIERARCHIES_MAX 24U

struct dv_cgroup_hierarchy {
    bool is_v2;
    char *mount;       /* mount point */
    char *controllers; /* v1: mount options, "rw,cpu,cpuacct"; v2: "cpu io memory" */
};

struct dv_cgroup {
    enum dv_cgroup_layout layout;
    size_t count;
    struct dv_cgroup_hierarchy hierarchies[DV_CGROUP_HIERARCHIES_MAX];
};

/* Whether `list` (separated by commas or blanks) has this word. */
bool dv_cgroup_has_word(const char *list, const char *word);

/* Adds what one line of a mount table says; a line about something else changes nothing. */
__attribute__((warn_unused_result)) int
dv_cgroup_read_mount(struct dv_cgroup *cgroup, char *line, struct dv_error *err);
void dv_cgroup_set_layout(struct dv_cgroup *cgroup);
