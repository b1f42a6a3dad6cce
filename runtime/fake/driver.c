/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/driver.h"

#include "base/str.h"
#include "runtime/fake/state.h"

#include <signal.h>
#include <stdlib.h>

#define NS_PER_MS 1000000LL

struct driver {
    struct dv_runtime runtime; /* first: the port's view of it */
    struct dv_fake_machine *machine;
};

static struct dv_fake_machine *machine_of(struct dv_runtime *runtime)
{
    return ((struct driver *)runtime)->machine;
}

static const char *describe(struct dv_runtime *runtime)
{
    (void)runtime;
    return "fake runtime, no kernel";
}

/* Passes the scripted time of a call without the lock, and gives up at the caller's deadline as a
 * real runtime would be killed. */
static int pass_time(struct dv_fake_machine *machine,
                     const char *verb,
                     const char *id,
                     int64_t call_ns,
                     int64_t timeout_ms,
                     struct dv_error *err)
{
    if (call_ns <= 0)
        return 0;
    int64_t limit_ns = timeout_ms * NS_PER_MS;
    machine->delay(machine->delay_ctx, call_ns < limit_ns ? call_ns : limit_ns);
    if (call_ns < limit_ns)
        return 0;
    return dv_error_set(err, DV_ERR_TIMED_OUT, "%s '%s': the runtime did not answer within %lld ms",
                        verb, id, (long long)timeout_ms);
}

static int check_monitor(const struct dv_fake_machine *machine,
                         const char *verb,
                         const char *id,
                         struct dv_error *err)
{
    if (machine->is_monitor_alive)
        return 0;
    return dv_error_set(err, DV_ERR_UNAVAILABLE, "%s '%s': the container monitor cannot be reached",
                        verb, id);
}

static int begin_create(struct dv_fake_machine *machine,
                        const struct dv_container_record *record,
                        struct dv_fake_behaviour *ret,
                        struct dv_error *err)
{
    int r = dv_fake_enter_call(machine, DV_FAKE_CREATE, record->id, record, err);
    if (r == 0)
        r = check_monitor(machine, "create", record->id, err);
    if (r == 0)
        *ret = *dv_fake_behaviour_of(machine, record->id, record->name,
                                     record->spec ? record->spec->image_ref : NULL);
    return r;
}

static int64_t memory_of(const struct dv_container_record *record)
{
    const struct dv_resources *resources = record->spec ? record->spec->resources : NULL;
    int64_t bytes;
    bool is_limited = resources && resources->memory &&
                      dv_str_to_size(dv_str_of(resources->memory), &bytes, NULL) == 0 && bytes > 0;
    return is_limited ? bytes : -1;
}

static int finish_create(struct dv_fake_machine *machine,
                         const struct dv_container_record *record,
                         struct dv_fake_container **ret,
                         struct dv_error *err)
{
    struct dv_fake_container *container = NULL;
    int r = dv_fake_enter(machine, record, &container, err);
    if (r < 0)
        return r;
    if (container->status == DV_STATUS_RUNNING || container->status == DV_STATUS_PAUSED)
        return dv_error_set(err, DV_ERR_STATE, "create '%s': it is running already", record->id);
    if (container->status == DV_STATUS_CREATED)
        dv_fake_end_now(machine, container, 128 + SIGKILL, false);
    container->status = DV_STATUS_CREATED;
    container->has_layer = true;
    container->pid = ++machine->last_pid;
    container->reported_by = 0;
    container->start_ticks = ++machine->last_ticks;
    container->started_ns = 0;
    container->finished_ns = 0;
    container->is_code_known = false;
    container->ends_at_ns = DV_FAKE_NEVER;
    container->memory = memory_of(record);
    *ret = container;
    return 0;
}

static int create(struct dv_runtime *runtime,
                  const struct dv_runtime_create_job *job,
                  struct dv_arena *arena,
                  struct dv_runtime_created *ret,
                  struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    const struct dv_container_record *record = job->record;
    struct dv_fake_behaviour behaviour = {.call_ns = 0};
    dv_fake_lock(machine);
    int r = begin_create(machine, record, &behaviour, err);
    dv_fake_unlock(machine);
    if (r == 0)
        r = pass_time(machine, "create", record->id, behaviour.call_ns, job->timeout_ms, err);
    if (r < 0)
        return r;

    char *stop_signal = NULL;
    if (behaviour.stop_signal[0]) {
        stop_signal = dv_arena_strdup(arena, behaviour.stop_signal);
        if (!stop_signal)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "create '%s': out of memory", record->id);
    }
    struct dv_fake_container *container = NULL;
    dv_fake_lock(machine);
    r = finish_create(machine, record, &container, err);
    if (r == 0)
        *ret = (struct dv_runtime_created){
            .pid = container->pid,
            .start_ticks = container->start_ticks,
            .stop_signal = stop_signal,
        };
    dv_fake_unlock(machine);
    return r;
}

static int begin_start(struct dv_fake_machine *machine,
                       const char *id,
                       struct dv_fake_behaviour *ret,
                       struct dv_error *err)
{
    int r = dv_fake_enter_call(machine, DV_FAKE_START, id, NULL, err);
    if (r == 0)
        r = check_monitor(machine, "start", id, err);
    if (r < 0)
        return r;
    const struct dv_fake_container *container = dv_fake_find(machine, id);
    if (!container || container->status == DV_STATUS_UNKNOWN)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "start '%s': it was not created", id);
    *ret = *dv_fake_behaviour_of(machine, id, container->name, container->image_ref);
    return 0;
}

static int finish_start(struct dv_fake_machine *machine,
                        const char *id,
                        const struct dv_fake_behaviour *behaviour,
                        struct dv_error *err)
{
    struct dv_fake_container *container = dv_fake_find(machine, id);
    if (!container || !dv_fake_is_alive(container))
        return dv_error_set(err, DV_ERR_STATE, "start '%s': its init process has ended already",
                            id);
    if (container->status != DV_STATUS_CREATED)
        return 0;
    container->status = DV_STATUS_RUNNING;
    container->started_ns = dv_clock_wall_ns(machine->clock);
    container->ignores_signals = behaviour->ignores_signals;
    container->signal_delay_ns = behaviour->signal_delay_ns;
    if (behaviour->ends_by_itself)
        dv_fake_end_at(machine, container, machine->now_ns + behaviour->runs_ns,
                       behaviour->exit_code, behaviour->is_oom_killed);
    return 0;
}

static int
start(struct dv_runtime *runtime, const struct dv_runtime_start_job *job, struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    struct dv_fake_behaviour behaviour = {.call_ns = 0};
    dv_fake_lock(machine);
    int r = begin_start(machine, job->id, &behaviour, err);
    dv_fake_unlock(machine);
    if (r == 0)
        r = pass_time(machine, "start", job->id, behaviour.call_ns, job->timeout_ms, err);
    if (r < 0)
        return r;
    dv_fake_lock(machine);
    r = finish_start(machine, job->id, &behaviour, err);
    dv_fake_unlock(machine);
    return r;
}

static int send_signal(struct dv_runtime *runtime,
                       const struct dv_runtime_signal_job *job,
                       struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_SIGNAL, job->id, NULL, err);
    if (r == 0) {
        struct dv_fake_container *container = dv_fake_find(machine, job->id);
        if (container && dv_fake_is_alive(container) && container->pid == job->pid)
            dv_fake_signal(machine, container, (int)job->signal);
    }
    dv_fake_unlock(machine);
    return r;
}

static int freeze_or_thaw(struct dv_fake_machine *machine,
                          const struct dv_runtime_pause_job *job,
                          struct dv_error *err)
{
    const char *verb = job->is_resume ? "resume" : "pause";
    enum dv_status from = job->is_resume ? DV_STATUS_PAUSED : DV_STATUS_RUNNING;
    enum dv_status to = job->is_resume ? DV_STATUS_RUNNING : DV_STATUS_PAUSED;
    struct dv_fake_container *container = dv_fake_find(machine, job->id);
    if (!container || (container->status != from && container->status != to))
        return dv_error_set(err, DV_ERR_STATE, "%s '%s': it is not running", verb, job->id);
    container->status = to;
    if (!job->is_resume)
        return 0;
    int held = container->held_signal;
    container->held_signal = 0;
    if (container->ends_at_ns < machine->next_end_ns)
        machine->next_end_ns = container->ends_at_ns;
    if (held)
        dv_fake_signal(machine, container, held);
    dv_fake_wake(machine);
    return 0;
}

static int pause_or_resume(struct dv_runtime *runtime,
                           const struct dv_runtime_pause_job *job,
                           struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_PAUSE, job->id, NULL, err);
    if (r == 0)
        r = freeze_or_thaw(machine, job, err);
    dv_fake_unlock(machine);
    return r;
}

static int
update(struct dv_runtime *runtime, const struct dv_runtime_update_job *job, struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_UPDATE, job->id, NULL, err);
    struct dv_fake_container *container = r == 0 ? dv_fake_find(machine, job->id) : NULL;
    if (r == 0 && (!container || !dv_fake_is_alive(container)))
        r = dv_error_set(err, DV_ERR_NOT_FOUND, "update '%s': it is not running", job->id);
    if (r == 0)
        container->memory = job->memory;
    dv_fake_unlock(machine);
    return r;
}

static int release_locked(struct dv_fake_machine *machine, const char *id, struct dv_error *err)
{
    struct dv_fake_container *container = dv_fake_find(machine, id);
    if (!container)
        return 0;
    if (container->status == DV_STATUS_RUNNING || container->status == DV_STATUS_PAUSED)
        return dv_error_set(err, DV_ERR_STATE, "release '%s': it is still running", id);
    if (container->status == DV_STATUS_CREATED)
        dv_fake_end_now(machine, container, 128 + SIGKILL, false);
    container->status = DV_STATUS_UNKNOWN;
    return 0;
}

static int
release(struct dv_runtime *runtime, const struct dv_runtime_release_job *job, struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_RELEASE, job->id, NULL, err);
    if (r == 0)
        r = release_locked(machine, job->id, err);
    dv_fake_unlock(machine);
    return r;
}

static int remove_all(struct dv_runtime *runtime,
                      const struct dv_runtime_remove_job *job,
                      struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_REMOVE, job->record->id, job->record, err);
    if (r == 0)
        r = release_locked(machine, job->record->id, err);
    if (r == 0) {
        struct dv_fake_container *container = dv_fake_find(machine, job->record->id);
        if (container)
            dv_fake_forget(machine, container);
    }
    dv_fake_unlock(machine);
    return r;
}

static int state(struct dv_runtime *runtime,
                 const struct dv_runtime_state_query *query,
                 struct dv_runtime_state *ret,
                 struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_STATE, query->id, NULL, err);
    if (r == 0) {
        const struct dv_fake_container *container = dv_fake_find(machine, query->id);
        *ret = (struct dv_runtime_state){.status = DV_STATUS_UNKNOWN};
        if (container && container->status != DV_STATUS_UNKNOWN) {
            bool is_alive = dv_fake_is_alive(container);
            ret->status = container->status;
            ret->pid = is_alive ? container->pid : 0;
            ret->start_ticks = is_alive ? container->start_ticks : 0;
            ret->started_ns = container->started_ns;
            ret->is_exit_known = !is_alive && container->is_code_known;
            ret->exit_code = ret->is_exit_known ? container->end_code : 0;
            ret->finished_ns = ret->is_exit_known ? container->finished_ns : 0;
        }
    }
    dv_fake_unlock(machine);
    return r;
}

static int leftovers(struct dv_runtime *runtime,
                     struct dv_arena *arena,
                     struct dv_runtime_leftovers *ret,
                     struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(runtime);
    dv_fake_lock(machine);
    int r = dv_fake_list(machine, arena, &ret->ids, err);
    dv_fake_unlock(machine);
    return r;
}

static void free_driver(struct dv_runtime *runtime)
{
    free(runtime);
}

static const struct dv_runtime_ops fake_ops = {
    .describe = describe,
    .create = create,
    .start = start,
    .signal = send_signal,
    .pause = pause_or_resume,
    .update = update,
    .release = release,
    .remove = remove_all,
    .state = state,
    .leftovers = leftovers,
    .free = free_driver,
};

int dv_fake_driver_new(struct dv_fake_machine *machine,
                       struct dv_runtime **ret,
                       struct dv_error *err)
{
    struct driver *driver = calloc(1, sizeof(*driver));
    if (!driver)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot make a fake container driver");
    driver->runtime.ops = &fake_ops;
    driver->machine = machine;
    *ret = &driver->runtime;
    return 0;
}
