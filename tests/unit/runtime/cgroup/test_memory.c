/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"
#include "needs.h"
#include "runtime/cgroup/memory.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1LL << 20)

static struct dv_error err;

/* -- folders that look like a kernel's ------------------------------------------------------- */

struct rig {
    char folder[64];
    struct dv_cgroup *cgroup;
};

static void put(const struct rig *rig, const char *name, const char *text)
{
    char path[256];
    snprintf(path, sizeof(path), "%s/davit/web/%s", rig->folder, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    close(fd);
}

/* A plain file keeps what it had beyond what is written: numbers are looked at up to their end. */
static long long number(const struct rig *rig, const char *name)
{
    char path[256];
    char text[64] = "";
    snprintf(path, sizeof(path), "%s/davit/web/%s", rig->folder, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", name);
    cr_assert_geq(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    if (strncmp(text, "max", 3) == 0)
        return -1;
    text[strcspn(text, "\n")] = '\0';
    return strtoll(text, NULL, 10);
}

static void rig_init(struct rig *rig, bool is_v2)
{
    char path[256];
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/davit-memory-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->folder));
    snprintf(path, sizeof(path), "%s/davit/web", rig->folder);
    cr_assert_eq(dv_dir_make(path, 0755, NULL), 0);
    snprintf(path, sizeof(path), "%s/cgroup.controllers", rig->folder);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_eq(write(fd, "memory pids\n", 12), 12);
    close(fd);
    snprintf(path, sizeof(path), "%s/mountinfo", rig->folder);
    FILE *file = fopen(path, "we");
    cr_assert_not_null(file);
    fprintf(file, "30 24 0:26 / %s rw - %s %s rw%s\n", rig->folder, is_v2 ? "cgroup2" : "cgroup",
            is_v2 ? "cgroup2" : "cgroup", is_v2 ? "" : ",memory");
    fclose(file);
    cr_assert_eq(dv_cgroup_new(path, &rig->cgroup, NULL), 0);
}

static void rig_done(struct rig *rig)
{
    dv_cgroup_free(rig->cgroup);
    cr_expect_eq(dv_tree_remove(rig->folder, NULL), 0);
}

static void put_v2(const struct rig *rig)
{
    put(rig, "memory.max", "max\n");
    put(rig, "memory.low", "0\n");
    put(rig, "memory.swap.max", "max\n");
    put(rig, "memory.stat", "anon 20971520\nfile 99999999999\n");
}

Test(cgroup_memory, swap_of_v2_is_the_difference)
{
    struct rig rig;
    rig_init(&rig, true);
    put_v2(&rig);
    const struct dv_cgroup_memory limits = {64 * MIB, 32 * MIB, 100 * MIB};
    cr_assert_eq(dv_cgroup_memory_set(rig.cgroup, "/davit/web", &limits, &err), 0, "%s", err.text);
    cr_expect_eq(number(&rig, "memory.max"), 64 * MIB);
    cr_expect_eq(number(&rig, "memory.low"), 32 * MIB);
    cr_expect_eq(number(&rig, "memory.swap.max"), 36 * MIB);
    rig_done(&rig);
}

Test(cgroup_memory, limit_below_what_is_used_is_refused_on_v2_too)
{
    struct rig rig;
    rig_init(&rig, true);
    put_v2(&rig);
    const struct dv_cgroup_memory limits = {19 * MIB, -1, -1};
    cr_assert_eq(dv_cgroup_memory_set(rig.cgroup, "/davit/web", &limits, &err), -DV_ERR_STATE);
    cr_expect(strstr(err.text, "more memory than the new limit of 19922944 bytes"), "%s", err.text);
    cr_expect_eq(number(&rig, "memory.max"), -1);
    rig_done(&rig);
}

Test(cgroup_memory, limit_that_the_kernel_lacks_is_named_and_changes_nothing)
{
    struct rig rig;
    rig_init(&rig, false);
    put(&rig, "memory.limit_in_bytes", "9223372036854771712\n");
    put(&rig, "memory.soft_limit_in_bytes", "9223372036854771712\n");
    const struct dv_cgroup_memory limits = {64 * MIB, -1, 128 * MIB};
    cr_assert_eq(dv_cgroup_memory_set(rig.cgroup, "/davit/web", &limits, &err),
                 -DV_ERR_UNSUPPORTED);
    cr_expect(strstr(err.text, "it has no memory.memsw.limit_in_bytes"), "%s", err.text);
    cr_expect_eq(number(&rig, "memory.limit_in_bytes"), 9223372036854771712LL);
    struct dv_cgroup_memory_support found = dv_cgroup_memory_support(rig.cgroup, "/davit/web");
    cr_expect(found.limit && found.reservation && !found.swap);
    rig_done(&rig);
}

Test(cgroup_memory, group_that_is_not_there_takes_no_limit)
{
    struct rig rig;
    rig_init(&rig, false);
    const struct dv_cgroup_memory limits = {64 * MIB, -1, -1};
    err = DV_ERROR_INIT;
    cr_expect_eq(dv_cgroup_memory_set(rig.cgroup, "/davit/gone", &limits, &err), -DV_ERR_NOT_FOUND);
    struct dv_cgroup_memory_support found = dv_cgroup_memory_support(rig.cgroup, "/davit/gone");
    cr_expect_not(found.limit || found.reservation || found.swap);
    rig_done(&rig);
}

Test(cgroup_memory, kills_are_counted_in_the_file_of_the_kernel)
{
    struct rig rig;
    char path[DV_CGROUP_FILE_MAX];
    rig_init(&rig, true);
    cr_assert(dv_cgroup_oom_path(rig.cgroup, "/davit/web", path));
    cr_expect_str_eq(strrchr(path, '/'), "/memory.events");
    cr_expect(dv_cgroup_has_oom_group(rig.cgroup));
    rig_done(&rig);
    rig_init(&rig, false);
    cr_assert(dv_cgroup_oom_path(rig.cgroup, "/davit/web", path));
    cr_expect(strstr(path, "/davit/web/memory.oom_control"), "%s", path);
    cr_expect_not(dv_cgroup_has_oom_group(rig.cgroup));
    rig_done(&rig);
}

/* -- this machine ---------------------------------------------------------------------------- */

static long long real_number(const char *mount, const char *group, const char *name)
{
    char path[DV_CGROUP_FILE_MAX + 64];
    char text[64] = "";
    snprintf(path, sizeof(path), "%s%s/%s", mount, group, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_gt(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    return strtoll(text, NULL, 10);
}

static void expect_real(const char *mount, const char *group, long long limit, long long sum)
{
    cr_expect_eq(real_number(mount, group, "memory.limit_in_bytes"), limit);
    cr_expect_eq(real_number(mount, group, "memory.memsw.limit_in_bytes"), sum);
}

static void set(struct dv_cgroup *cgroup, const char *group, long long limit, long long sum)
{
    const struct dv_cgroup_memory limits = {limit, -1, sum};
    err = DV_ERROR_INIT;
    cr_expect_eq(dv_cgroup_memory_set(cgroup, group, &limits, &err), 0, "%lld, %lld: %s", limit,
                 sum, err.text);
}

Test(cgroup_memory, limits_rise_and_fall_in_the_order_that_v1_asks_for)
{
    DV_AUTO(dv_cgroup) cgroup = NULL;
    char name[64];
    char group[DV_CGROUP_PATH_MAX];
    char path[DV_CGROUP_FILE_MAX];
    dv_need_root();
    cr_assert_eq(dv_cgroup_new(NULL, &cgroup, NULL), 0);
    const char *mount = dv_cgroup_mount_of(cgroup, "memory");
    dv_need(mount && dv_cgroup_layout(cgroup) != DV_CGROUP_V2, "memory control groups of v1");
    snprintf(name, sizeof(name), "davit-test-memory-%d", getpid());
    cr_assert_eq(dv_cgroup_path("/", name, group, NULL), 0);
    snprintf(path, sizeof(path), "%s%s", mount, group);
    dv_need(mkdir(path, 0755) == 0, "writable control groups");
    struct dv_cgroup_memory_support found = dv_cgroup_memory_support(cgroup, group);
    if (found.swap) {
        set(cgroup, group, 64 * MIB, 128 * MIB);
        expect_real(mount, group, 64 * MIB, 128 * MIB);
        set(cgroup, group, 256 * MIB, 256 * MIB);
        expect_real(mount, group, 256 * MIB, 256 * MIB);
        set(cgroup, group, 8 * MIB, 16 * MIB);
        expect_real(mount, group, 8 * MIB, 16 * MIB);
        set(cgroup, group, 32 * MIB, -1);
        cr_expect_gt(real_number(mount, group, "memory.memsw.limit_in_bytes"), 1LL << 50);
        set(cgroup, group, -1, -1);
        cr_expect_gt(real_number(mount, group, "memory.limit_in_bytes"), 1LL << 50);
        const struct dv_cgroup_memory wrong = {64 * MIB, -1, 32 * MIB};
        cr_expect_lt(dv_cgroup_memory_set(cgroup, group, &wrong, NULL), 0);
        cr_expect_gt(real_number(mount, group, "memory.limit_in_bytes"), 1LL << 50, "put back");
    }
    cr_expect_eq(dv_cgroup_remove(cgroup, group, NULL), 0);
    cr_expect(found.limit);
}
