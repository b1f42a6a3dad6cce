/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/machine.h"

#include "runtime/fake/state.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>

#define FIRST_PID     1000
#define SIGNAL_MAX    64
#define FAULTS_MAX    DV_FAKE_SCRIPTS_MAX
#define FNV_BASIS     0xcbf29ce484222325ULL
#define FNV_PRIME     0x100000001b3ULL
#define NS_PER_SECOND 1000000000LL

static void sleep_ns(void *ctx, int64_t ns)
{
    (void)ctx;
    struct timespec left = {.tv_sec = ns / NS_PER_SECOND, .tv_nsec = ns % NS_PER_SECOND};
    while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
        continue;
}

int dv_fake_machine_new(const struct dv_fake_machine_options *options,
                        struct dv_fake_machine **ret,
                        struct dv_error *err)
{
    struct dv_fake_machine *machine = calloc(1, sizeof(*machine));
    if (!machine)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot make a fake machine");
    pthread_mutex_init(&machine->mutex, NULL);
    machine->clock = options && options->clock ? options->clock : dv_clock_real();
    machine->delay = options && options->delay ? options->delay : sleep_ns;
    machine->delay_ctx = options ? options->delay_ctx : NULL;
    TAILQ_INIT(&machine->records);
    machine->is_monitor_alive = true;
    machine->last_pid = FIRST_PID;
    machine->next_end_ns = DV_FAKE_NEVER;
    *ret = machine;
    return 0;
}

static size_t bucket_of(const char *id)
{
    uint64_t hash = FNV_BASIS;
    for (; *id; id++)
        hash = (hash ^ (unsigned char)*id) * FNV_PRIME;
    return (size_t)(hash % DV_FAKE_BUCKETS);
}

struct dv_fake_container *dv_fake_find(struct dv_fake_machine *machine, const char *id)
{
    struct dv_fake_container *container;
    LIST_FOREACH(container, &machine->buckets[bucket_of(id)], bucket)
    {
        if (strcmp(container->id, id) == 0)
            return container;
    }
    return NULL;
}

static void free_container(struct dv_fake_container *container)
{
    free(container->id);
    free(container->name);
    free(container->image_ref);
    free(container);
}

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

int dv_fake_enter(struct dv_fake_machine *machine,
                  const struct dv_container_record *record,
                  struct dv_fake_container **ret,
                  struct dv_error *err)
{
    *ret = dv_fake_find(machine, record->id);
    if (*ret)
        return 0;
    if (machine->container_count >= DV_FAKE_CONTAINERS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT,
                            "create '%s': a fake machine holds at most %u containers", record->id,
                            DV_FAKE_CONTAINERS_MAX);
    struct dv_fake_container *container = calloc(1, sizeof(*container));
    if (!container)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "create '%s': out of memory", record->id);
    container->id = strdup(record->id);
    container->name = copy_or_null(record->name);
    container->image_ref = copy_or_null(record->spec ? record->spec->image_ref : NULL);
    container->status = DV_STATUS_UNKNOWN;
    container->ends_at_ns = DV_FAKE_NEVER;
    if (!container->id) {
        free_container(container);
        return dv_error_set(err, DV_ERR_NO_MEMORY, "create '%s': out of memory", record->id);
    }
    LIST_INSERT_HEAD(&machine->buckets[bucket_of(container->id)], container, bucket);
    LIST_INSERT_HEAD(&machine->containers, container, all);
    machine->container_count++;
    *ret = container;
    return 0;
}

void dv_fake_forget(struct dv_fake_machine *machine, struct dv_fake_container *container)
{
    LIST_REMOVE(container, bucket);
    LIST_REMOVE(container, all);
    machine->container_count--;
    free_container(container);
}

static bool is_named(const char *who, const char *id, const char *name, const char *image)
{
    return strcmp(who, id) == 0 || (name && strcmp(who, name) == 0) ||
           (image && strcmp(who, image) == 0);
}

const struct dv_fake_behaviour *dv_fake_behaviour_of(struct dv_fake_machine *machine,
                                                     const char *id,
                                                     const char *name,
                                                     const char *image)
{
    static const struct dv_fake_behaviour plain = {.exit_code = 0};
    const struct dv_fake_behaviour *fallback = &plain;
    struct dv_fake_script *script;
    LIST_FOREACH(script, &machine->scripts, link)
    {
        if (!script->who[0])
            fallback = &script->behaviour;
        else if (is_named(script->who, id, name, image))
            return &script->behaviour;
    }
    return fallback;
}

static void drop_fault(struct dv_fake_machine *machine, struct dv_fake_fault *fault)
{
    LIST_REMOVE(fault, link);
    machine->fault_count--;
    free(fault->text);
    free(fault);
}

int dv_fake_enter_call(struct dv_fake_machine *machine,
                       enum dv_fake_call call,
                       const char *id,
                       const struct dv_container_record *record,
                       struct dv_error *err)
{
    machine->calls[call]++;
    const struct dv_fake_container *known = dv_fake_find(machine, id);
    const char *name = record ? record->name : known ? known->name : NULL;
    const char *image = record && record->spec ? record->spec->image_ref
                        : known                ? known->image_ref
                                               : NULL;
    struct dv_fake_fault *fault;
    LIST_FOREACH(fault, &machine->faults, link)
    {
        if (fault->call != call || (fault->who[0] && !is_named(fault->who, id, name, image)))
            continue;
        int r = dv_error_set(err, fault->class, "%s", fault->text);
        if (--fault->times == 0)
            drop_fault(machine, fault);
        return r;
    }
    return 0;
}

void dv_fake_wake(struct dv_fake_machine *machine)
{
    struct dv_fake_listener *listener;
    LIST_FOREACH(listener, &machine->listeners, link)
    {
        (void)eventfd_write(listener->fd, 1);
    }
}

bool dv_fake_is_alive(const struct dv_fake_container *container)
{
    return container->status == DV_STATUS_CREATED || container->status == DV_STATUS_RUNNING ||
           container->status == DV_STATUS_PAUSED;
}

/* What the monitor writes when it reaps a process. Running out of memory here loses a record, which
 * is the end that a dead monitor leaves. */
static bool add_record(struct dv_fake_machine *machine, const struct dv_fake_container *container)
{
    size_t len = strlen(container->id) + 1;
    struct dv_fake_record *record = calloc(1, sizeof(*record) + len);
    if (!record)
        return false;
    memcpy(record->id, container->id, len);
    record->number = ++machine->last_record;
    record->pid = container->pid;
    record->exit_code = container->end_code;
    record->is_oom_killed = container->end_oom;
    record->finished_ns = container->finished_ns;
    record->ended_ns = dv_clock_monotonic_ns(machine->clock);
    TAILQ_INSERT_TAIL(&machine->records, record, link);
    return true;
}

void dv_fake_end_now(struct dv_fake_machine *machine,
                     struct dv_fake_container *container,
                     int code,
                     bool is_oom_killed)
{
    container->status = DV_STATUS_EXITED;
    container->ends_at_ns = DV_FAKE_NEVER;
    container->held_signal = 0;
    container->end_code = (uint8_t)code;
    container->end_oom = is_oom_killed;
    container->finished_ns = dv_clock_wall_ns(machine->clock);
    container->reported_by = 0;
    container->is_code_known = machine->is_monitor_alive && add_record(machine, container);
    if (!container->is_code_known) {
        struct dv_fake_listener *listener;
        LIST_FOREACH(listener, &machine->listeners, link)
        {
            struct dv_fake_watch *watch;
            LIST_FOREACH(watch, &listener->watches, link)
            {
                if (watch->pid == container->pid && strcmp(watch->id, container->id) == 0)
                    watch->report_at_ns = machine->now_ns + DV_FAKE_GRACE_NS;
            }
        }
    }
    dv_fake_wake(machine);
}

void dv_fake_end_at(struct dv_fake_machine *machine,
                    struct dv_fake_container *container,
                    int64_t at_ns,
                    int code,
                    bool is_oom_killed)
{
    if (at_ns <= machine->now_ns) {
        dv_fake_end_now(machine, container, code, is_oom_killed);
        return;
    }
    if (at_ns >= container->ends_at_ns)
        return;
    container->ends_at_ns = at_ns;
    container->end_code = (uint8_t)code;
    container->end_oom = is_oom_killed;
    if (at_ns < machine->next_end_ns)
        machine->next_end_ns = at_ns;
    dv_fake_wake(machine);
}

static bool ends_a_program(int number)
{
    switch (number) {
    case SIGCHLD:
    case SIGCONT:
    case SIGURG:
    case SIGWINCH:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return false;
    default:
        return true;
    }
}

void dv_fake_signal(struct dv_fake_machine *machine,
                    struct dv_fake_container *container,
                    int number)
{
    if (number == SIGKILL) {
        dv_fake_end_now(machine, container, 128 + SIGKILL, false);
        return;
    }
    if (!ends_a_program(number) || container->status == DV_STATUS_CREATED)
        return;
    if (container->status == DV_STATUS_PAUSED) {
        container->held_signal = (uint8_t)number;
        return;
    }
    if (!container->ignores_signals)
        dv_fake_end_at(machine, container, machine->now_ns + container->signal_delay_ns,
                       128 + number, false);
}

/* A frozen program does not end by itself. */
static void settle(struct dv_fake_machine *machine)
{
    machine->now_ns = dv_clock_monotonic_ns(machine->clock);
    if (machine->next_end_ns > machine->now_ns)
        return;
    int64_t next = DV_FAKE_NEVER;
    struct dv_fake_container *container;
    LIST_FOREACH(container, &machine->containers, all)
    {
        if (container->status == DV_STATUS_RUNNING && container->ends_at_ns <= machine->now_ns)
            dv_fake_end_now(machine, container, container->end_code, container->end_oom);
        else if (container->status == DV_STATUS_RUNNING && container->ends_at_ns < next)
            next = container->ends_at_ns;
    }
    machine->next_end_ns = next;
}

void dv_fake_lock(struct dv_fake_machine *machine)
{
    pthread_mutex_lock(&machine->mutex);
    settle(machine);
}

void dv_fake_unlock(struct dv_fake_machine *machine)
{
    pthread_mutex_unlock(&machine->mutex);
}

int dv_fake_machine_script(struct dv_fake_machine *machine,
                           const char *who,
                           const struct dv_fake_behaviour *behaviour,
                           struct dv_error *err)
{
    const char *key = who ? who : "";
    size_t size = strlen(key) + 1;
    int r = 0;
    dv_fake_lock(machine);
    struct dv_fake_script *script;
    LIST_FOREACH(script, &machine->scripts, link)
    {
        if (strcmp(script->who, key) == 0)
            break;
    }
    if (!script && machine->script_count >= DV_FAKE_SCRIPTS_MAX) {
        r = dv_error_set(err, DV_ERR_LIMIT, "a fake machine holds at most %u scripts",
                         DV_FAKE_SCRIPTS_MAX);
    } else if (!script) {
        script = calloc(1, sizeof(*script) + size);
        if (script) {
            memcpy(script->who, key, size);
            LIST_INSERT_HEAD(&machine->scripts, script, link);
            machine->script_count++;
        } else {
            r = dv_error_set(err, DV_ERR_NO_MEMORY, "script '%s': out of memory", key);
        }
    }
    if (script)
        script->behaviour = *behaviour;
    dv_fake_unlock(machine);
    return r;
}

static struct dv_fake_fault *
find_fault(struct dv_fake_machine *machine, enum dv_fake_call call, const char *who)
{
    struct dv_fake_fault *fault;
    LIST_FOREACH(fault, &machine->faults, link)
    {
        if (fault->call == call && strcmp(fault->who, who) == 0)
            return fault;
    }
    return NULL;
}

static int add_fault(struct dv_fake_machine *machine,
                     enum dv_fake_call call,
                     const char *who,
                     struct dv_fake_fault **ret,
                     struct dv_error *err)
{
    if (machine->fault_count >= FAULTS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "a fake machine holds at most %u failures",
                            FAULTS_MAX);
    size_t size = strlen(who) + 1;
    struct dv_fake_fault *fault = calloc(1, sizeof(*fault) + size);
    if (!fault)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep a failure");
    memcpy(fault->who, who, size);
    fault->call = call;
    LIST_INSERT_HEAD(&machine->faults, fault, link);
    machine->fault_count++;
    *ret = fault;
    return 0;
}

int dv_fake_machine_fail(struct dv_fake_machine *machine,
                         enum dv_fake_call call,
                         const char *who,
                         unsigned times,
                         enum dv_error_class class,
                         const char *text,
                         struct dv_error *err)
{
    const char *key = who ? who : "";
    dv_autofree char *copy = strdup(text);
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep a failure");
    dv_fake_lock(machine);
    int r = 0;
    struct dv_fake_fault *fault = find_fault(machine, call, key);
    if (times == 0) {
        if (fault)
            drop_fault(machine, fault);
        dv_fake_unlock(machine);
        return 0;
    }
    if (!fault)
        r = add_fault(machine, call, key, &fault, err);
    if (r == 0) {
        free(fault->text);
        fault->text = dv_steal(&copy);
        fault->times = times;
        fault->class = class;
    }
    dv_fake_unlock(machine);
    return r;
}

int dv_fake_machine_end(struct dv_fake_machine *machine,
                        const char *id,
                        int exit_code,
                        bool is_oom_killed,
                        struct dv_error *err)
{
    int r = 0;
    dv_fake_lock(machine);
    struct dv_fake_container *container = dv_fake_find(machine, id);
    if (!container || !dv_fake_is_alive(container))
        r = dv_error_set(err, DV_ERR_NOT_FOUND, "no fake container '%s' is running", id);
    else
        dv_fake_end_now(machine, container, exit_code, is_oom_killed);
    dv_fake_unlock(machine);
    return r;
}

void dv_fake_machine_set_monitor(struct dv_fake_machine *machine, bool is_alive)
{
    dv_fake_lock(machine);
    machine->is_monitor_alive = is_alive;
    dv_fake_wake(machine);
    dv_fake_unlock(machine);
}

static void drop_records(struct dv_fake_machine *machine)
{
    struct dv_fake_record *record;
    while ((record = TAILQ_FIRST(&machine->records))) {
        TAILQ_REMOVE(&machine->records, record, link);
        free(record);
    }
}

void dv_fake_machine_reboot(struct dv_fake_machine *machine)
{
    dv_fake_lock(machine);
    struct dv_fake_container *container = LIST_FIRST(&machine->containers);
    while (container) {
        struct dv_fake_container *next = LIST_NEXT(container, all);
        container->status = DV_STATUS_UNKNOWN;
        container->pid = 0;
        container->network = 0;
        container->ends_at_ns = DV_FAKE_NEVER;
        if (!container->has_layer)
            dv_fake_forget(machine, container);
        container = next;
    }
    machine->next_end_ns = DV_FAKE_NEVER;
    machine->is_monitor_alive = true;
    drop_records(machine);
    dv_fake_unlock(machine);
}

void dv_fake_machine_count(struct dv_fake_machine *machine, struct dv_fake_counts *ret)
{
    struct dv_fake_counts counts = {.containers = 0};
    dv_fake_lock(machine);
    struct dv_fake_container *container;
    LIST_FOREACH(container, &machine->containers, all)
    {
        counts.containers += container->status != DV_STATUS_UNKNOWN;
        counts.running +=
            container->status == DV_STATUS_RUNNING || container->status == DV_STATUS_PAUSED;
        counts.layers += container->has_layer;
        counts.networks += container->network != 0;
    }
    struct dv_fake_record *record;
    TAILQ_FOREACH(record, &machine->records, link)
    {
        counts.records++;
    }
    memcpy(counts.calls, machine->calls, sizeof(counts.calls));
    dv_fake_unlock(machine);
    *ret = counts;
}

int dv_fake_list(const struct dv_fake_machine *machine,
                 struct dv_arena *arena,
                 struct dv_texts *ret,
                 struct dv_error *err)
{
    const struct dv_fake_container *container;
    struct dv_texts list = {0};
    size_t count = 0;
    LIST_FOREACH(container, &machine->containers, all)
    {
        count++;
    }
    list.items = dv_arena_array(arena, count + 1, sizeof(char *));
    if (!list.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a list of containers");
    LIST_FOREACH(container, &machine->containers, all)
    {
        char *id = dv_arena_printf(arena, "%s", container->id);
        if (!id)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a list of containers");
        list.items[list.count++] = id;
    }
    *ret = list;
    return 0;
}

enum dv_status dv_fake_machine_status(struct dv_fake_machine *machine, const char *id)
{
    dv_fake_lock(machine);
    const struct dv_fake_container *container = dv_fake_find(machine, id);
    enum dv_status status = container ? container->status : DV_STATUS_UNKNOWN;
    dv_fake_unlock(machine);
    return status;
}

int64_t dv_fake_machine_memory(struct dv_fake_machine *machine, const char *id)
{
    dv_fake_lock(machine);
    const struct dv_fake_container *container = dv_fake_find(machine, id);
    int64_t bytes = container && dv_fake_is_alive(container) ? container->memory : 0;
    dv_fake_unlock(machine);
    return bytes;
}

void dv_fake_machine_free(struct dv_fake_machine *machine)
{
    if (!machine)
        return;
    while (!LIST_EMPTY(&machine->containers))
        dv_fake_forget(machine, LIST_FIRST(&machine->containers));
    drop_records(machine);
    struct dv_fake_script *script;
    while ((script = LIST_FIRST(&machine->scripts))) {
        LIST_REMOVE(script, link);
        free(script);
    }
    struct dv_fake_fault *fault;
    while ((fault = LIST_FIRST(&machine->faults))) {
        LIST_REMOVE(fault, link);
        free(fault->text);
        free(fault);
    }
    pthread_mutex_destroy(&machine->mutex);
    free(machine);
}
