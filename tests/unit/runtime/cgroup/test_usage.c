/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "needs.h"
#include "runtime/cgroup/layout.h"
#include "runtime/cgroup/usage.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* A machine whose hierarchies are folders with the files of one group, "/davit/web". */
struct rig {
    char dir[64];
    struct dv_cgroup cgroup;
};

static void rig_init(struct rig *rig)
{
    *rig = (struct rig){.dir = "/tmp/davit-usage-XXXXXX"};
    cr_assert_not_null(mkdtemp(rig->dir));
}

static void add_hierarchy(struct rig *rig, bool is_v2, const char *name, const char *controllers)
{
    char path[256];
    struct dv_cgroup_hierarchy *hierarchy = &rig->cgroup.hierarchies[rig->cgroup.count++];
    snprintf(path, sizeof(path), "%s/%s", rig->dir, name);
    hierarchy->is_v2 = is_v2;
    hierarchy->mount = strdup(path);
    hierarchy->controllers = strdup(controllers);
    (void)mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/%s/davit", rig->dir, name);
    (void)mkdir(path, 0755);
    snprintf(path, sizeof(path), "%s/%s/davit/web", rig->dir, name);
    (void)mkdir(path, 0755);
    dv_cgroup_set_layout(&rig->cgroup);
}

static void put(struct rig *rig, const char *hierarchy, const char *file, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/%s/davit/web/%s", rig->dir, hierarchy, file);
    dv_autofclose FILE *out = fopen(path, "we");
    cr_assert_not_null(out);
    cr_assert(fputs(text, out) >= 0);
}

static int remove_one(const char *path, const struct stat *info, int type, struct FTW *at)
{
    (void)info;
    (void)type;
    (void)at;
    return remove(path);
}

static void rig_done(struct rig *rig)
{
    (void)nftw(rig->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    for (size_t i = 0; i < rig->cgroup.count; i++) {
        free(rig->cgroup.hierarchies[i].mount);
        free(rig->cgroup.hierarchies[i].controllers);
    }
}

static struct dv_cgroup_usage read_once(struct rig *rig)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_cgroup_usage usage = {0};
    DV_AUTO(dv_cgroup_meter) meter = NULL;
    cr_assert_eq(dv_cgroup_meter_open(&rig->cgroup, "/davit/web", &meter, &err), 0, "%s", err.text);
    cr_assert_eq(dv_cgroup_meter_read(meter, &usage, &err), 0, "%s", err.text);
    return usage;
}

static void fill_v1(struct rig *rig)
{
    add_hierarchy(rig, false, "cpuacct", "rw,cpuacct");
    add_hierarchy(rig, false, "memory", "rw,memory");
    add_hierarchy(rig, false, "blkio", "rw,blkio");
    add_hierarchy(rig, false, "pids", "rw,pids");
    put(rig, "cpuacct", "cpuacct.usage", "5000000\n");
    put(rig, "memory", "memory.usage_in_bytes", "1000\n");
    put(rig, "memory", "memory.stat",
        "inactive_file 1\nhierarchical_memory_limit 104857600\ntotal_inactive_file 300\n");
    put(rig, "blkio", "blkio.throttle.io_service_bytes_recursive",
        "8:0 Read 10\n8:0 Write 20\n8:16 Read 1\n8:16 Write 2\nTotal 33\n");
    put(rig, "pids", "pids.current", "6\n");
}

/* shows: K43 */
Test(usage, v1_is_read_from_its_hierarchies)
{
    struct rig rig;
    rig_init(&rig);
    fill_v1(&rig);
    struct dv_cgroup_usage usage = read_once(&rig);
    cr_assert(usage.has_cpu && usage.has_memory && usage.has_io && usage.has_tasks);
    cr_assert_eq(usage.cpu_ns, 5000000);
    cr_assert_eq(usage.memory_used, 700);
    cr_assert_eq(usage.memory_limit, 104857600);
    cr_assert_eq(usage.io_read, 11);
    cr_assert_eq(usage.io_write, 22);
    cr_assert_eq(usage.tasks, 6);
    rig_done(&rig);
}

/* shows: K43 */
Test(usage, v2_is_read_from_one_folder)
{
    struct rig rig;
    rig_init(&rig);
    add_hierarchy(&rig, true, "all", "cpu io memory pids");
    put(&rig, "all", "cpu.stat", "usage_usec 5000\nuser_usec 4000\nsystem_usec 1000\n");
    put(&rig, "all", "memory.current", "1000\n");
    put(&rig, "all", "memory.stat", "anon 5\ninactive_file 300\nactive_file 1\n");
    put(&rig, "all", "memory.max", "max\n");
    put(&rig, "all", "io.stat", "8:0 rbytes=10 wbytes=20 rios=1 wios=1 dbytes=0 dios=0\n");
    put(&rig, "all", "pids.current", "6\n");
    struct dv_cgroup_usage usage = read_once(&rig);
    cr_assert_eq(usage.cpu_ns, 5000000);
    cr_assert_eq(usage.memory_used, 700);
    cr_assert_eq(usage.memory_limit, INT64_MAX);
    cr_assert(usage.has_io);
    cr_assert_eq(usage.io_read, 10);
    cr_assert_eq(usage.io_write, 20);
    cr_assert_eq(usage.tasks, 6);
    rig_done(&rig);
}

Test(usage, a_hybrid_machine_takes_each_controller_where_it_is)
{
    struct rig rig;
    rig_init(&rig);
    fill_v1(&rig);
    add_hierarchy(&rig, true, "unified", "");
    put(&rig, "unified", "cpu.stat", "usage_usec 9\n");
    struct dv_cgroup_usage usage = read_once(&rig);
    cr_assert_eq(usage.cpu_ns, 5000000);
    cr_assert_eq(usage.tasks, 6);
    rig_done(&rig);
}

Test(usage, more_block_devices_than_one_read_takes_are_all_counted)
{
    struct rig rig;
    rig_init(&rig);
    add_hierarchy(&rig, true, "all", "io");
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1U << 20);
    for (int i = 0; i < 1000; i++)
        cr_assert_eq(dv_buf_printf(&text, NULL, "8:%d rbytes=10 wbytes=1 rios=1\n", i), 0);
    put(&rig, "all", "io.stat", text.data);
    struct dv_cgroup_usage usage = read_once(&rig);
    cr_assert_eq(usage.io_read, 10000);
    cr_assert_eq(usage.io_write, 1000);
    rig_done(&rig);
}

Test(usage, what_the_kernel_does_not_give_is_not_set)
{
    struct rig rig;
    rig_init(&rig);
    add_hierarchy(&rig, false, "blkio", "rw,blkio");
    add_hierarchy(&rig, false, "pids", "rw,pids");
    put(&rig, "blkio", "blkio.throttle.io_service_bytes_recursive", "Total 0\n");
    put(&rig, "pids", "pids.current", "1\n");
    struct dv_cgroup_usage usage = read_once(&rig);
    cr_assert_not(usage.has_cpu);
    cr_assert_not(usage.has_memory);
    cr_assert_not(usage.has_io);
    cr_assert(usage.has_tasks);
    rig_done(&rig);
}

Test(usage, cache_that_is_larger_than_the_use_does_not_wrap)
{
    struct rig rig;
    rig_init(&rig);
    add_hierarchy(&rig, true, "all", "memory");
    put(&rig, "all", "memory.current", "100\n");
    put(&rig, "all", "memory.stat", "inactive_file 300\n");
    put(&rig, "all", "memory.max", "4096\n");
    struct dv_cgroup_usage usage = read_once(&rig);
    cr_assert(usage.has_memory);
    cr_assert_eq(usage.memory_used, 0);
    cr_assert_eq(usage.memory_limit, 4096);
    rig_done(&rig);
}

Test(usage, a_group_that_is_nowhere_is_not_found)
{
    struct rig rig;
    rig_init(&rig);
    add_hierarchy(&rig, false, "pids", "rw,pids");
    struct dv_error err = DV_ERROR_INIT;
    struct dv_cgroup_meter *meter = NULL;
    cr_assert_eq(dv_cgroup_meter_open(&rig.cgroup, "/davit/web", &meter, &err), -DV_ERR_NOT_FOUND);
    cr_assert_null(meter);
    rig_done(&rig);
}

Test(usage, a_removed_group_is_not_found_though_its_files_are_open)
{
    dv_need_root();
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_cgroup) cgroup = NULL;
    DV_AUTO(dv_cgroup_meter) meter = NULL;
    struct dv_cgroup_usage usage;
    char path[64];
    char full[DV_CGROUP_PATH_MAX + 64];
    cr_assert_eq(dv_cgroup_new(NULL, &cgroup, NULL), 0);
    const char *mount = dv_cgroup_mount_of(cgroup, "pids");
    dv_need(mount != NULL, "control groups that count processes");
    snprintf(path, sizeof(path), "/davit-usage-%d", getpid());
    snprintf(full, sizeof(full), "%s%s", mount, path);
    cr_assert_eq(mkdir(full, 0755), 0);
    int r = dv_cgroup_meter_open(cgroup, path, &meter, &err);
    int first = r == 0 ? dv_cgroup_meter_read(meter, &usage, &err) : r;
    cr_assert_eq(rmdir(full), 0);
    cr_assert_eq(first, 0, "%s", err.text);
    cr_assert(usage.has_tasks);
    cr_assert_eq(usage.tasks, 0);
    cr_assert_eq(dv_cgroup_meter_read(meter, &usage, &err), -DV_ERR_NOT_FOUND);
}
