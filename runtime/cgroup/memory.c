/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two kernels differ in what they count: v1 limits memory, and memory with swap; v2 limits
 * memory and swap each. So a change of v1 has an order (memory never above the sum), and on v2 the
 * swap is the difference.
 */
#include "runtime/cgroup/memory.h"

#include "base/str.h"
#include "runtime/cgroup/files.h"
#include "runtime/cgroup/layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_MAX 32U
#define STAT_MAX   8192U

enum limit { LIMIT, RESERVATION, SWAP, LIMITS };

static const char *const v1_files[LIMITS] = {
    "memory.limit_in_bytes",
    "memory.soft_limit_in_bytes",
    "memory.memsw.limit_in_bytes",
};
static const char *const v2_files[LIMITS] = {"memory.max", "memory.low", "memory.swap.max"};

/* The hierarchy that an OCI runtime looks for memory limits in; NULL if none has them. Beside v1
 * controllers it never looks into the v2 one. */
static const struct dv_cgroup_hierarchy *memory_of(const struct dv_cgroup *cgroup)
{
    for (size_t i = 0; i < cgroup->count; i++) {
        const struct dv_cgroup_hierarchy *hierarchy = &cgroup->hierarchies[i];
        if (hierarchy->is_v2 == (cgroup->layout == DV_CGROUP_V2) &&
            dv_cgroup_has_word(hierarchy->controllers, "memory"))
            return hierarchy;
    }
    return NULL;
}

static int open_group(const struct dv_cgroup_hierarchy *hierarchy, const char *path)
{
    char full[2 * DV_CGROUP_PATH_MAX];
    snprintf(full, sizeof(full), "%s%s", hierarchy->mount, path);
    int fd = open(full, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    return fd < 0 ? -errno : fd;
}

static const char *no_limit(bool is_v2, enum limit which)
{
    if (!is_v2)
        return "-1";
    return which == RESERVATION ? "0" : "max";
}

struct dv_cgroup_memory_support dv_cgroup_memory_support(const struct dv_cgroup *cgroup,
                                                         const char *path)
{
    struct dv_cgroup_memory_support support = {false, false, false};
    const struct dv_cgroup_hierarchy *hierarchy = memory_of(cgroup);
    dv_autoclose int dir = hierarchy ? open_group(hierarchy, path) : -1;
    if (dir < 0)
        return support;
    const char *const *files = hierarchy->is_v2 ? v2_files : v1_files;
    bool *const found[LIMITS] = {&support.limit, &support.reservation, &support.swap};
    /* The sum first: it may not be below the limit. */
    for (int i = LIMITS - 1; i >= 0; i--)
        *found[i] =
            dv_cgroup_write_file(dir, files[i], no_limit(hierarchy->is_v2, (enum limit)i)) == 0;
    return support;
}

/* -- changing ------------------------------------------------------------------------------- */

struct change {
    int dir;
    bool is_v2;
    const char *const *files;
    char before[LIMITS][NUMBER_MAX]; /* empty: the kernel has no such file */
    char after[LIMITS][NUMBER_MAX];
};

static void write_number(char text[NUMBER_MAX], bool is_v2, enum limit which, int64_t bytes)
{
    if (bytes == DV_CGROUP_UNLIMITED)
        snprintf(text, NUMBER_MAX, "%s", no_limit(is_v2, which));
    else
        snprintf(text, NUMBER_MAX, "%lld", (long long)bytes);
}

static int64_t read_number(const char *text)
{
    int64_t bytes;
    struct dv_str line = {text, strcspn(text, "\n")};
    return dv_str_to_i64(line, 0, INT64_MAX, &bytes, NULL) == 0 ? bytes : INT64_MAX;
}

static void read_before(struct change *change)
{
    for (int i = 0; i < LIMITS; i++)
        if (dv_cgroup_read_file(change->dir, change->files[i], change->before[i], NUMBER_MAX) < 0)
            change->before[i][0] = '\0';
}

/* v2 takes a limit below what is used, and then kills; that is refused as v1 refuses it. What the
 * kernel can drop or write out does not count. */
static bool is_in_use(const struct change *change, int64_t limit)
{
    char text[STAT_MAX];
    if (!change->is_v2 || limit == DV_CGROUP_UNLIMITED ||
        dv_cgroup_read_file(change->dir, "memory.stat", text, sizeof(text)) < 0 ||
        strncmp(text, "anon ", 5) != 0)
        return false;
    return read_number(text + 5) > limit;
}

static int
fail(const struct change *change, enum limit which, int sys, const char *path, struct dv_error *err)
{
    if (sys == EBUSY)
        return dv_error_set(err, DV_ERR_STATE,
                            "%s uses more memory than the new limit of %s bytes and cannot give it "
                            "back; stop it first or choose a higher limit",
                            path, change->after[which]);
    return dv_error_sys(err, DV_ERR_FAILED, sys, "write '%s' to %s of %s", change->after[which],
                        change->files[which], path);
}

static int write_all(struct change *change, const char *path, struct dv_error *err)
{
    bool is_sum_first = read_number(change->after[LIMIT]) > read_number(change->before[SWAP]);
    const enum limit rising[LIMITS] = {SWAP, LIMIT, RESERVATION};
    const enum limit falling[LIMITS] = {LIMIT, SWAP, RESERVATION};
    const enum limit *order = is_sum_first ? rising : falling;
    for (int i = 0; i < LIMITS; i++) {
        enum limit which = order[i];
        if (!change->before[which][0])
            continue;
        int r = dv_cgroup_write_file(change->dir, change->files[which], change->after[which]);
        if (r == 0)
            continue;
        r = fail(change, which, -r, path, err);
        /* Backwards: each step back is allowed as the step was. */
        while (i-- > 0)
            (void)dv_cgroup_write_file(change->dir, change->files[order[i]],
                                       change->before[order[i]]);
        return r;
    }
    return 0;
}

static int check_files(const struct change *change,
                       const struct dv_cgroup_memory *limits,
                       const char *path,
                       struct dv_error *err)
{
    const int64_t wanted[LIMITS] = {limits->limit, limits->reservation, limits->swap};
    for (int i = 0; i < LIMITS; i++)
        if (wanted[i] != DV_CGROUP_UNLIMITED && !change->before[i][0])
            return dv_error_set(err, DV_ERR_UNSUPPORTED, "limit memory of %s: it has no %s", path,
                                change->files[i]);
    return 0;
}

int dv_cgroup_memory_set(const struct dv_cgroup *cgroup,
                         const char *path,
                         const struct dv_cgroup_memory *limits,
                         struct dv_error *err)
{
    const struct dv_cgroup_hierarchy *hierarchy = memory_of(cgroup);
    if (!hierarchy)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "limit memory of %s: this kernel does not count it", path);
    dv_autoclose int dir = open_group(hierarchy, path);
    if (dir < 0)
        return dir == -ENOENT
                   ? dv_error_set(err, DV_ERR_NOT_FOUND, "limit memory of %s: no such group", path)
                   : dv_error_sys(err, DV_ERR_IO, -dir, "limit memory of %s", path);
    struct change change = {
        .dir = dir,
        .is_v2 = hierarchy->is_v2,
        .files = hierarchy->is_v2 ? v2_files : v1_files,
    };
    int64_t swap = limits->swap;
    if (change.is_v2 && swap != DV_CGROUP_UNLIMITED && limits->limit != DV_CGROUP_UNLIMITED)
        swap -= limits->limit;
    write_number(change.after[LIMIT], change.is_v2, LIMIT, limits->limit);
    write_number(change.after[RESERVATION], change.is_v2, RESERVATION, limits->reservation);
    write_number(change.after[SWAP], change.is_v2, SWAP, swap);
    read_before(&change);
    int r = check_files(&change, limits, path, err);
    if (r < 0)
        return r;
    if (is_in_use(&change, limits->limit))
        return fail(&change, LIMIT, EBUSY, path, err);
    return write_all(&change, path, err);
}

bool dv_cgroup_oom_path(const struct dv_cgroup *cgroup,
                        const char *path,
                        char ret[DV_CGROUP_FILE_MAX])
{
    const struct dv_cgroup_hierarchy *hierarchy = memory_of(cgroup);
    if (!hierarchy)
        return false;
    snprintf(ret, DV_CGROUP_FILE_MAX, "%s%s/%s", hierarchy->mount, path,
             hierarchy->is_v2 ? "memory.events" : "memory.oom_control");
    return true;
}

bool dv_cgroup_has_oom_group(const struct dv_cgroup *cgroup)
{
    return cgroup->layout == DV_CGROUP_V2 && memory_of(cgroup) != NULL;
}
