/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/counters.h"

#include "runtime/fake/state.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000LL

struct source {
    struct dv_counter_source port; /* first: the port's view of it */
    struct dv_fake_machine *machine;
};

struct dv_counter_set {
    int64_t pid;
    bool is_host_network;
    char id[];
};

static int gone(struct dv_error *err, const char *id)
{
    return dv_error_set(err, DV_ERR_NOT_FOUND, "container '%s' does not run", id);
}

/* Of that run; the machine is locked. */
static const struct dv_fake_container *
find_run(struct dv_fake_machine *machine, const char *id, int64_t pid)
{
    const struct dv_fake_container *container = dv_fake_find(machine, id);
    return container && dv_fake_is_alive(container) && container->pid == pid ? container : NULL;
}

static int fake_open(struct dv_counter_source *port,
                     const struct dv_counter_target *target,
                     struct dv_counter_set **ret,
                     struct dv_error *err)
{
    struct dv_fake_machine *machine = ((struct source *)port)->machine;
    dv_fake_lock(machine);
    bool runs = find_run(machine, target->id, target->pid) != NULL;
    dv_fake_unlock(machine);
    if (!runs)
        return gone(err, target->id);
    size_t size = strlen(target->id) + 1;
    struct dv_counter_set *set = calloc(1, sizeof(*set) + size);
    if (!set)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "measure '%s': out of memory", target->id);
    set->pid = target->pid;
    set->is_host_network = target->is_host_network;
    memcpy(set->id, target->id, size);
    *ret = set;
    return 0;
}

static void fake_close(struct dv_counter_source *port, struct dv_counter_set *set)
{
    (void)port;
    free(set);
}

static struct dv_counters counters_of(int64_t ran_ns, bool is_host_network)
{
    int64_t bytes = ran_ns / NS_PER_S * DV_FAKE_BYTES_A_SECOND;
    return (struct dv_counters){
        .has_cpu = true,
        .has_memory = true,
        .has_io = true,
        .has_net = true,
        .has_tasks = true,
        .cpu_ns = ran_ns / 10,
        .memory_used = DV_FAKE_MEMORY_USED,
        .memory_total = DV_FAKE_MEMORY_TOTAL,
        .io_read = bytes,
        .io_write = bytes,
        .net_read = is_host_network ? 0 : bytes,
        .net_write = is_host_network ? 0 : bytes,
        .tasks = DV_FAKE_TASKS,
    };
}

static int
fake_begin(struct dv_counter_source *port, struct dv_counter_pass *ret, struct dv_error *err)
{
    (void)err;
    struct dv_fake_machine *machine = ((struct source *)port)->machine;
    dv_fake_lock(machine);
    *ret = (struct dv_counter_pass){
        .cpu_total_ns = machine->now_ns * DV_FAKE_PROCESSORS,
        .host = counters_of(machine->now_ns, false),
    };
    dv_fake_unlock(machine);
    return 0;
}

static int fake_read(struct dv_counter_source *port,
                     struct dv_counter_set *set,
                     struct dv_counters *ret,
                     struct dv_error *err)
{
    struct dv_fake_machine *machine = ((struct source *)port)->machine;
    dv_fake_lock(machine);
    const struct dv_fake_container *container = find_run(machine, set->id, set->pid);
    if (container)
        *ret = counters_of(dv_clock_wall_ns(machine->clock) - container->started_ns,
                           set->is_host_network);
    dv_fake_unlock(machine);
    return container ? 0 : gone(err, set->id);
}

static void fake_free(struct dv_counter_source *port)
{
    free(port);
}

int dv_fake_counters_new(struct dv_fake_machine *machine,
                         struct dv_counter_source **ret,
                         struct dv_error *err)
{
    struct source *source = calloc(1, sizeof(*source));
    if (!source)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "counters: out of memory");
    source->port =
        (struct dv_counter_source){fake_open, fake_close, fake_begin, fake_read, fake_free};
    source->machine = machine;
    *ret = &source->port;
    return 0;
}
