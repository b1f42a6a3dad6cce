/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup/usage.h"

#include "runtime/cgroup/figures.h"
#include "runtime/cgroup/layout.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define NS_PER_US     1000
#define SMALL_MAX     64U
#define STAT_MAX      8192U
#define IO_CHUNK      4096U
#define IO_CHUNKS_MAX 256U /* a megabyte of block devices is not read to its end */

enum file {
    FILE_CPU,
    FILE_MEMORY,
    FILE_MEMORY_STAT,
    FILE_MEMORY_MAX, /* v2 only: on v1 memory.stat has it */
    FILE_IO,
    FILE_TASKS,
    FILES,
};

struct dv_cgroup_meter {
    int fds[FILES]; /* -1: this machine has no such file */
    bool is_v2[FILES];
    char *path;
};

/* Where a figure is found, the best place first. */
struct place {
    enum file file;
    bool is_v2;
    const char *controller; /* NULL: in every group */
    const char *name;
};

static const struct place places[] = {
    {FILE_CPU, false, "cpuacct", "cpuacct.usage"},
    {FILE_CPU, true, NULL, "cpu.stat"},
    {FILE_MEMORY, false, "memory", "memory.usage_in_bytes"},
    {FILE_MEMORY, true, "memory", "memory.current"},
    {FILE_MEMORY_STAT, false, "memory", "memory.stat"},
    {FILE_MEMORY_STAT, true, "memory", "memory.stat"},
    {FILE_MEMORY_MAX, true, "memory", "memory.max"},
    {FILE_IO, false, "blkio", "blkio.throttle.io_service_bytes_recursive"},
    {FILE_IO, false, "blkio", "blkio.throttle.io_service_bytes"},
    {FILE_IO, false, "blkio", "blkio.bfq.io_service_bytes_recursive"},
    {FILE_IO, true, "io", "io.stat"},
    {FILE_TASKS, false, "pids", "pids.current"},
    {FILE_TASKS, true, "pids", "pids.current"},
};

static int
open_in(const struct dv_cgroup *cgroup, const struct place *place, const char *path, size_t *found)
{
    for (size_t i = 0; i < cgroup->count; i++) {
        const struct dv_cgroup_hierarchy *hierarchy = &cgroup->hierarchies[i];
        char full[2 * DV_CGROUP_PATH_MAX + 64];
        if (hierarchy->is_v2 != place->is_v2 ||
            (place->controller && !dv_cgroup_has_word(hierarchy->controllers, place->controller)))
            continue;
        snprintf(full, sizeof(full), "%s%s/%s", hierarchy->mount, path, place->name);
        int fd = open(full, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) {
            (*found)++;
            return fd;
        }
    }
    return -1;
}

int dv_cgroup_meter_open(const struct dv_cgroup *cgroup,
                         const char *path,
                         struct dv_cgroup_meter **ret,
                         struct dv_error *err)
{
    size_t found = 0;
    DV_AUTO(dv_cgroup_meter) meter = calloc(1, sizeof(*meter));
    if (!meter)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to read %s", path);
    for (size_t i = 0; i < FILES; i++)
        meter->fds[i] = -1;
    meter->path = strdup(path);
    if (!meter->path)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to read %s", path);
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        const struct place *place = &places[i];
        if (meter->fds[place->file] >= 0)
            continue;
        meter->fds[place->file] = open_in(cgroup, place, path, &found);
        meter->is_v2[place->file] = place->is_v2;
    }
    if (!found)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "there is no control group %s to be read", path);
    *ret = dv_steal(&meter);
    return 0;
}

/* A removed group fails each read with ENODEV. Empty without a file. */
static int read_at(const struct dv_cgroup_meter *meter,
                   enum file file,
                   off_t offset,
                   char *text,
                   size_t size,
                   struct dv_str *ret,
                   struct dv_error *err)
{
    ssize_t n = 0;
    if (meter->fds[file] >= 0) {
        do
            n = pread(meter->fds[file], text, size, offset);
        while (n < 0 && errno == EINTR);
    }
    if (n < 0)
        return dv_error_sys(err, errno == ENODEV ? DV_ERR_NOT_FOUND : DV_ERR_IO, errno,
                            "cannot read the statistics of %s", meter->path);
    *ret = (struct dv_str){text, (size_t)n};
    return 0;
}

static int
read_cpu(const struct dv_cgroup_meter *meter, struct dv_cgroup_usage *usage, struct dv_error *err)
{
    char text[STAT_MAX];
    struct dv_str content;
    int64_t us;
    int r = read_at(meter, FILE_CPU, 0, text, sizeof(text), &content, err);
    if (r < 0)
        return r;
    if (!meter->is_v2[FILE_CPU])
        usage->has_cpu = dv_cgroup_figure(content, &usage->cpu_ns);
    else if (dv_cgroup_figure_of(content, "usage_usec", &us))
        usage->has_cpu = !__builtin_mul_overflow(us, NS_PER_US, &usage->cpu_ns);
    return 0;
}

static int read_memory(const struct dv_cgroup_meter *meter,
                       struct dv_cgroup_usage *usage,
                       struct dv_error *err)
{
    char text[STAT_MAX];
    struct dv_str content;
    int64_t used;
    int64_t cache = 0;
    int64_t limit = INT64_MAX;
    bool is_v2 = meter->is_v2[FILE_MEMORY];
    int r = read_at(meter, FILE_MEMORY, 0, text, SMALL_MAX, &content, err);
    if (r < 0 || !dv_cgroup_figure(content, &used))
        return r;
    r = read_at(meter, FILE_MEMORY_STAT, 0, text, sizeof(text), &content, err);
    if (r < 0)
        return r;
    (void)dv_cgroup_figure_of(content, is_v2 ? "inactive_file" : "total_inactive_file", &cache);
    if (!is_v2)
        (void)dv_cgroup_figure_of(content, "hierarchical_memory_limit", &limit);
    else if ((r = read_at(meter, FILE_MEMORY_MAX, 0, text, SMALL_MAX, &content, err)) < 0)
        return r;
    else
        (void)dv_cgroup_figure(content, &limit);
    usage->has_memory = true;
    usage->memory_used = used > cache ? used - cache : 0;
    usage->memory_limit = limit;
    return 0;
}

/* In chunks of whole lines, because there is a line or more for each block device. */
static int
read_io(const struct dv_cgroup_meter *meter, struct dv_cgroup_usage *usage, struct dv_error *err)
{
    char text[IO_CHUNK];
    struct dv_str content;
    off_t offset = 0;
    for (unsigned i = 0; i < IO_CHUNKS_MAX; i++) {
        int r = read_at(meter, FILE_IO, offset, text, sizeof(text), &content, err);
        if (r < 0 || !content.len)
            return r;
        struct dv_str line;
        struct dv_str rest;
        size_t before = content.len;
        while (dv_str_cut(content, '\n', &line, &rest)) {
            usage->has_io |= meter->is_v2[FILE_IO]
                                 ? dv_cgroup_add_io_v2(line, &usage->io_read, &usage->io_write)
                                 : dv_cgroup_add_io_v1(line, &usage->io_read, &usage->io_write);
            content = rest;
        }
        /* The kernel fills what there is room for. */
        if (before < sizeof(text) || content.len == before)
            return 0;
        offset += (off_t)(before - content.len);
    }
    return 0;
}

int dv_cgroup_meter_read(struct dv_cgroup_meter *meter,
                         struct dv_cgroup_usage *ret,
                         struct dv_error *err)
{
    struct dv_cgroup_usage usage = {0};
    char text[SMALL_MAX];
    struct dv_str content;
    int r = read_cpu(meter, &usage, err);
    if (r == 0)
        r = read_memory(meter, &usage, err);
    if (r == 0)
        r = read_io(meter, &usage, err);
    if (r == 0)
        r = read_at(meter, FILE_TASKS, 0, text, sizeof(text), &content, err);
    if (r < 0)
        return r;
    usage.has_tasks = dv_cgroup_figure(content, &usage.tasks);
    *ret = usage;
    return 0;
}

void dv_cgroup_meter_free(struct dv_cgroup_meter *meter)
{
    if (!meter)
        return;
    for (size_t i = 0; i < FILES; i++)
        dv_close(&meter->fds[i]);
    free(meter->path);
    free(meter);
}
