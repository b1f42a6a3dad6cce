/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/meter/meter.h"

#include "base/cleanup.h"
#include "runtime/cgroup/usage.h"
#include "runtime/meter/figures.h"
#include "runtime/meter/links.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define NS_PER_S    1000000000LL
#define PROC_MAX    (16U << 10)
#define NET_DEV_MAX (64U << 10)

enum proc {
    PROC_STAT,
    PROC_MEMORY,
    PROC_LOAD,
    PROC_DISKS,
    PROCS,
};

struct dv_counter_set {
    struct dv_cgroup_meter *group; /* NULL: opened for each pass */
    int net;                       /* -1: none, or opened for each pass */
    bool is_kept;
    bool is_host_network;
    int64_t pid;
    char interface[16]; /* the host's end of its cable; empty: not known */
    int32_t index;      /* of that interface; 0: not found yet */
    char path[DV_CGROUP_PATH_MAX];
};

struct meter {
    struct dv_counter_source source;
    struct dv_cgroup *cgroup;
    struct dv_meter_links *links; /* NULL: not to be had */
    bool has_links;               /* they were read in this pass */
    char parent[DV_CGROUP_PATH_MAX];
    int procs[PROCS];
    int64_t ticks_per_s;
    int64_t memory_total; /* of the machine; INT64_MAX: not known */
    unsigned kept;
    unsigned kept_max;
    char *text;
};

/* -- the machine ---------------------------------------------------------------------------- */

/* From the start; empty if it cannot be read. */
static struct dv_str read_text(int fd, char *text, size_t size)
{
    size_t used = 0;
    while (fd >= 0 && used < size) {
        ssize_t n = pread(fd, text + used, size - used, (off_t)used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            break;
        used += (size_t)n;
    }
    return (struct dv_str){text, used};
}

static bool to_ns(const struct meter *m, int64_t ticks, int64_t *ret)
{
    return !__builtin_mul_overflow(ticks, NS_PER_S / m->ticks_per_s, ret);
}

/* Partitions, and disks that stand on other disks, would count a byte twice. */
static bool is_whole_disk(struct dv_str name)
{
    static const char *const stacked[] = {"loop", "ram", "zram", "dm-", "md"};
    char path[128];
    for (size_t i = 0; i < sizeof(stacked) / sizeof(stacked[0]); i++)
        if (dv_str_starts_with(name, stacked[i]))
            return false;
    int n = snprintf(path, sizeof(path), "/sys/block/%.*s", DV_STR_ARG(name));
    return n > 0 && (size_t)n < sizeof(path) && access(path, F_OK) == 0;
}

static void read_disks(const struct meter *m, struct dv_counters *host)
{
    struct dv_str text = read_text(m->procs[PROC_DISKS], m->text, NET_DEV_MAX);
    struct dv_str line;
    while (text.len) {
        struct dv_str name;
        int64_t read;
        int64_t write;
        (void)dv_str_cut(text, '\n', &line, &text);
        if (!dv_meter_disk(line, &name, &read, &write) || !is_whole_disk(name))
            continue;
        host->has_io = !__builtin_add_overflow(host->io_read, read, &host->io_read) &&
                       !__builtin_add_overflow(host->io_write, write, &host->io_write);
    }
}

static int
meter_begin(struct dv_counter_source *source, struct dv_counter_pass *ret, struct dv_error *err)
{
    (void)err;
    struct meter *m = (struct meter *)source;
    struct dv_counter_pass pass = {0};
    struct dv_counters *host = &pass.host;
    int64_t busy;
    int64_t total;
    /* Only the first line is looked at. */
    if (dv_meter_cpu(read_text(m->procs[PROC_STAT], m->text, 1024), &busy, &total) &&
        to_ns(m, total, &pass.cpu_total_ns))
        host->has_cpu = to_ns(m, busy, &host->cpu_ns);
    host->has_memory = dv_meter_memory(read_text(m->procs[PROC_MEMORY], m->text, PROC_MAX),
                                       &host->memory_used, &host->memory_total);
    m->memory_total = host->has_memory ? host->memory_total : INT64_MAX;
    host->has_tasks =
        dv_meter_tasks(read_text(m->procs[PROC_LOAD], m->text, PROC_MAX), &host->tasks);
    read_disks(m, host);
    m->has_links = m->links && dv_meter_links_read(m->links, NULL) == 0;
    host->has_net =
        m->has_links && dv_meter_links_uplinks(m->links, &host->net_read, &host->net_write);
    *ret = pass;
    return 0;
}

/* -- containers ----------------------------------------------------------------------------- */

static int open_net(const struct dv_counter_set *set)
{
    char path[64];
    if (set->is_host_network || set->pid <= 0 || set->interface[0])
        return -1;
    snprintf(path, sizeof(path), "/proc/%lld/net/dev", (long long)set->pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void meter_close(struct dv_counter_source *source, struct dv_counter_set *set)
{
    struct meter *m = (struct meter *)source;
    if (set->is_kept)
        m->kept--;
    dv_cgroup_meter_free(set->group);
    dv_close(&set->net);
    free(set);
}

static int meter_open(struct dv_counter_source *source,
                      const struct dv_counter_target *target,
                      struct dv_counter_set **ret,
                      struct dv_error *err)
{
    struct meter *m = (struct meter *)source;
    struct dv_counter_set *set = calloc(1, sizeof(*set));
    if (!set)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to measure container '%s'",
                            target->id);
    set->net = -1;
    set->pid = target->pid;
    set->is_host_network = target->is_host_network;
    if (m->links && target->interface)
        snprintf(set->interface, sizeof(set->interface), "%s", target->interface);
    int r = dv_cgroup_path(m->parent, target->id, set->path, err);
    if (r == 0 && m->kept < m->kept_max) {
        r = dv_cgroup_meter_open(m->cgroup, set->path, &set->group, err);
        set->net = open_net(set);
        set->is_kept = r == 0;
        m->kept += set->is_kept;
    }
    if (r < 0) {
        meter_close(source, set);
        return r;
    }
    *ret = set;
    return 0;
}

/* What comes in at the host's end is what the container sent. */
static bool
read_cable(const struct meter *m, struct dv_counter_set *set, struct dv_counters *counters)
{
    if (!m->has_links)
        return false;
    const struct dv_meter_link *link = set->index ? dv_meter_links_at(m->links, set->index) : NULL;
    if (!link)
        link = dv_meter_links_named(m->links, set->interface);
    if (!link)
        return false;
    set->index = link->index;
    counters->net_read = link->sent;
    counters->net_write = link->received;
    return true;
}

static void
read_net(const struct meter *m, struct dv_counter_set *set, int fd, struct dv_counters *counters)
{
    struct dv_str text;
    struct dv_str line;
    counters->has_net = set->is_host_network || (set->interface[0] && read_cable(m, set, counters));
    if (fd < 0)
        return;
    text = read_text(fd, m->text, NET_DEV_MAX);
    counters->has_net = text.len > 0;
    while (text.len) {
        (void)dv_str_cut(text, '\n', &line, &text);
        dv_meter_add_net(line, &counters->net_read, &counters->net_write);
    }
}

static int meter_read(struct dv_counter_source *source,
                      struct dv_counter_set *set,
                      struct dv_counters *ret,
                      struct dv_error *err)
{
    struct meter *m = (struct meter *)source;
    struct dv_counters counters = {0};
    struct dv_cgroup_usage usage = {0};
    DV_AUTO(dv_cgroup_meter) once = NULL;
    dv_autoclose int net = set->is_kept ? -1 : open_net(set);
    int r = set->is_kept ? 0 : dv_cgroup_meter_open(m->cgroup, set->path, &once, err);
    if (r == 0)
        r = dv_cgroup_meter_read(set->is_kept ? set->group : once, &usage, err);
    if (r < 0)
        return r;
    counters.has_cpu = usage.has_cpu;
    counters.cpu_ns = usage.cpu_ns;
    counters.has_memory = usage.has_memory;
    counters.memory_used = usage.memory_used;
    counters.memory_total =
        usage.memory_limit < m->memory_total ? usage.memory_limit : m->memory_total;
    counters.has_io = usage.has_io;
    counters.io_read = usage.io_read;
    counters.io_write = usage.io_write;
    counters.has_tasks = usage.has_tasks;
    counters.tasks = usage.tasks;
    read_net(m, set, set->is_kept ? set->net : net, &counters);
    *ret = counters;
    return 0;
}

/* -- life ----------------------------------------------------------------------------------- */

static void meter_free(struct dv_counter_source *source)
{
    struct meter *m = (struct meter *)source;
    if (!m)
        return;
    for (size_t i = 0; i < PROCS; i++)
        dv_close(&m->procs[i]);
    dv_meter_links_free(m->links);
    dv_cgroup_free(m->cgroup);
    free(m->text);
    free(m);
}

int dv_meter_new(const struct dv_meter_options *options,
                 struct dv_counter_source **ret,
                 struct dv_error *err)
{
    static const char *const files[PROCS] = {
        [PROC_STAT] = "/proc/stat",
        [PROC_MEMORY] = "/proc/meminfo",
        [PROC_LOAD] = "/proc/loadavg",
        [PROC_DISKS] = "/proc/diskstats",
    };
    struct meter *m = calloc(1, sizeof(*m));
    if (!m)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to measure");
    m->source =
        (struct dv_counter_source){meter_open, meter_close, meter_begin, meter_read, meter_free};
    for (size_t i = 0; i < PROCS; i++)
        m->procs[i] = open(files[i], O_RDONLY | O_CLOEXEC);
    m->kept_max = options->kept_max;
    m->memory_total = INT64_MAX;
    m->ticks_per_s = sysconf(_SC_CLK_TCK);
    if (m->ticks_per_s <= 0)
        m->ticks_per_s = 100;
    m->text = malloc(NET_DEV_MAX);
    snprintf(m->parent, sizeof(m->parent), "%s", options->cgroup_parent);
    int r = m->text ? dv_cgroup_new(options->mountinfo_path, &m->cgroup, err)
                    : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to measure");
    if (r < 0) {
        meter_free(&m->source);
        return r;
    }
    /* Without them the machine's own traffic is left out. */
    if (dv_meter_links_new(&m->links, NULL) < 0)
        m->links = NULL;
    *ret = &m->source;
    return 0;
}
