/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup/layout.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OTHERS                                                                                     \
    "21 1 0:20 / /proc rw,nosuid shared:5 - proc proc rw\n"                                        \
    "22 1 8:1 / / rw - ext4 /dev/root rw\n"

static struct dv_cgroup *found_in(const char *text)
{
    struct dv_cgroup *cgroup = calloc(1, sizeof(*cgroup));
    cr_assert_not_null(cgroup);
    char *copy = strdup(text);
    cr_assert_not_null(copy);
    char *rest = copy;
    for (char *line; (line = strsep(&rest, "\n"));)
        cr_assert_eq(dv_cgroup_read_mount(cgroup, line, NULL), 0);
    dv_cgroup_set_layout(cgroup);
    free(copy);
    return cgroup;
}

Test(cgroup_layout, machine_without_groups_is_none)
{
    DV_AUTO(dv_cgroup) cgroup = found_in(OTHERS);
    cr_assert_eq(dv_cgroup_layout(cgroup), DV_CGROUP_NONE);
    cr_assert_null(dv_cgroup_mount_of(cgroup, "memory"));
}

Test(cgroup_layout, one_unified_mount_is_v2)
{
    DV_AUTO(dv_cgroup)
    cgroup =
        found_in(OTHERS "30 1 0:26 / /nowhere/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw\n");
    cr_assert_eq(dv_cgroup_layout(cgroup), DV_CGROUP_V2);
    cr_assert_str_eq(dv_cgroup_mount_of(cgroup, "freezer"), "/nowhere/cgroup");
    cr_assert_str_eq(dv_cgroup_layout_name(DV_CGROUP_V2), "v2");
}

Test(cgroup_layout, controllers_only_is_v1)
{
    DV_AUTO(dv_cgroup)
    cgroup = found_in(
        OTHERS "30 1 0:26 / /cg/cpu,cpuacct rw shared:9 master:3 - cgroup cgroup rw,cpu,cpuacct\n"
               "31 1 0:27 / /cg/memory rw - cgroup cgroup rw,memory\n");
    cr_assert_eq(dv_cgroup_layout(cgroup), DV_CGROUP_V1);
    cr_assert_str_eq(dv_cgroup_mount_of(cgroup, "cpu"), "/cg/cpu,cpuacct");
    cr_assert_str_eq(dv_cgroup_mount_of(cgroup, "cpuacct"), "/cg/cpu,cpuacct");
    cr_assert_str_eq(dv_cgroup_mount_of(cgroup, "memory"), "/cg/memory");
    cr_assert_null(dv_cgroup_mount_of(cgroup, "cp"));
    cr_assert_null(dv_cgroup_mount_of(cgroup, "freezer"));
}

Test(cgroup_layout, unified_beside_controllers_is_hybrid)
{
    DV_AUTO(dv_cgroup)
    cgroup = found_in("30 1 0:26 / /cg/freezer rw - cgroup cgroup rw,freezer\n"
                      "31 1 0:27 / /cg/unified rw - cgroup2 cgroup2 rw\n");
    cr_assert_eq(dv_cgroup_layout(cgroup), DV_CGROUP_HYBRID);
    cr_assert_str_eq(dv_cgroup_mount_of(cgroup, "freezer"), "/cg/freezer");
}

Test(cgroup_layout, hierarchy_mounted_twice_counts_once)
{
    DV_AUTO(dv_cgroup)
    cgroup = found_in("30 1 0:26 / /cg/memory rw - cgroup cgroup rw,memory\n"
                      "31 1 0:26 / /other/memory rw - cgroup cgroup rw,memory\n");
    cr_assert_eq(cgroup->count, 1);
    cr_assert_str_eq(dv_cgroup_mount_of(cgroup, "memory"), "/cg/memory");
}

Test(cgroup_layout, escaped_mount_points_are_read)
{
    DV_AUTO(dv_cgroup)
    cgroup = found_in("30 1 0:26 / /c\\040g/a\\134b rw - cgroup cgroup rw,pids\n");
    cr_assert_str_eq(dv_cgroup_mount_of(cgroup, "pids"), "/c g/a\\b");
}

Test(cgroup_layout, broken_lines_are_passed_over)
{
    DV_AUTO(dv_cgroup)
    cgroup = found_in("\n30\n30 1 0:26 /\n30 1 0:26 / /cg rw\n"
                      "30 1 0:26 / /cg rw -\n30 1 0:26 / /cg rw - cgroup x\n");
    cr_assert_eq(cgroup->count, 0);
}

Test(cgroup_layout, too_many_hierarchies_are_refused)
{
    struct dv_cgroup *cgroup = calloc(1, sizeof(*cgroup));
    int r = 0;
    struct dv_error err = DV_ERROR_INIT;
    for (int i = 0; i < 30 && r == 0; i++) {
        char line[128];
        snprintf(line, sizeof(line), "30 1 0:26 / /cg/%d rw - cgroup cgroup rw,c%d", i, i);
        r = dv_cgroup_read_mount(cgroup, line, &err);
    }
    cr_assert_eq(r, -DV_ERR_LIMIT);
    dv_cgroup_free(cgroup);
}

Test(cgroup_layout, this_machine_can_be_read)
{
    struct dv_cgroup *cgroup;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_cgroup_new(NULL, &cgroup, &err), 0, "%s", err.text);
    dv_cgroup_free(cgroup);
    cr_assert_eq(dv_cgroup_new("/nonexistent", &cgroup, &err), -DV_ERR_IO);
}
