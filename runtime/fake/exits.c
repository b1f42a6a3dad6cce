/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/exits.h"

#include "runtime/fake/state.h"

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

struct source {
    struct dv_exit_source port; /* first: the port's view of it */
    struct dv_fake_machine *machine;
    struct dv_fake_listener listener;
};

static struct source *source_of(struct dv_exit_source *port)
{
    return (struct source *)port;
}

static int fd(struct dv_exit_source *port)
{
    return source_of(port)->listener.fd;
}

static void drop_watch(struct dv_fake_watch *watch)
{
    LIST_REMOVE(watch, link);
    free(watch);
}

static struct dv_fake_watch *
find_watch(const struct dv_fake_listener *listener, const char *id, int64_t pid)
{
    struct dv_fake_watch *watch;
    LIST_FOREACH(watch, &listener->watches, link)
    {
        if (watch->pid == pid && strcmp(watch->id, id) == 0)
            return watch;
    }
    return NULL;
}

static bool has_record(const struct dv_fake_machine *machine, const struct dv_exit_watch_cmd *cmd)
{
    struct dv_fake_record *record;
    TAILQ_FOREACH(record, &machine->records, link)
    {
        if (record->pid == cmd->pid && strcmp(record->id, cmd->id) == 0)
            return true;
    }
    return false;
}

/* A process of the past gets a watch that is due, unless its end has a record or came already. */
static int
add_watch(struct source *source, const struct dv_exit_watch_cmd *cmd, struct dv_error *err)
{
    struct dv_fake_machine *machine = source->machine;
    if (find_watch(&source->listener, cmd->id, cmd->pid) || has_record(machine, cmd))
        return 0;
    const struct dv_fake_container *container = dv_fake_find(machine, cmd->id);
    bool is_current = container && container->pid == cmd->pid;
    if (is_current && container->reported_by == source->listener.serial)
        return 0;
    size_t size = strlen(cmd->id) + 1;
    struct dv_fake_watch *watch = calloc(1, sizeof(*watch) + size);
    if (!watch)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "watch '%s': out of memory", cmd->id);
    memcpy(watch->id, cmd->id, size);
    watch->pid = (int32_t)cmd->pid;
    watch->report_at_ns = is_current && dv_fake_is_alive(container) ? DV_FAKE_NEVER : 0;
    LIST_INSERT_HEAD(&source->listener.watches, watch, link);
    if (watch->report_at_ns == 0)
        (void)eventfd_write(source->listener.fd, 1);
    return 0;
}

static int watch_process(struct dv_exit_source *port,
                         const struct dv_exit_watch_cmd *cmd,
                         struct dv_error *err)
{
    struct source *source = source_of(port);
    dv_fake_lock(source->machine);
    int r = add_watch(source, cmd, err);
    dv_fake_unlock(source->machine);
    return r;
}

static void note_reported(struct source *source, const char *id, int32_t pid)
{
    struct dv_fake_container *container = dv_fake_find(source->machine, id);
    if (container && container->pid == pid)
        container->reported_by = source->listener.serial;
}

static int take_record(struct source *source,
                       struct dv_arena *arena,
                       struct dv_container_exited *ret,
                       struct dv_error *err)
{
    if (!source->machine->is_monitor_alive)
        return 0;
    struct dv_fake_record *record;
    TAILQ_FOREACH(record, &source->machine->records, link)
    {
        if (record->number > source->listener.cursor)
            break;
    }
    if (!record)
        return 0;
    char *id = dv_arena_strdup(arena, record->id);
    if (!id)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "exit of '%s': out of memory", record->id);
    *ret = (struct dv_container_exited){
        .id = id,
        .pid = record->pid,
        .exit_code = record->exit_code,
        .is_code_known = true,
        .finished_ns = record->finished_ns,
        .ended_ns = record->ended_ns,
        .is_oom_killed = record->is_oom_killed,
        .record = record->number,
    };
    source->listener.cursor = record->number;
    struct dv_fake_watch *watch = find_watch(&source->listener, record->id, record->pid);
    if (watch)
        drop_watch(watch);
    note_reported(source, record->id, record->pid);
    return 1;
}

static int take_watch(struct source *source,
                      struct dv_arena *arena,
                      struct dv_container_exited *ret,
                      struct dv_error *err)
{
    struct dv_fake_watch *watch;
    LIST_FOREACH(watch, &source->listener.watches, link)
    {
        if (watch->report_at_ns <= source->machine->now_ns)
            break;
    }
    if (!watch)
        return 0;
    char *id = dv_arena_strdup(arena, watch->id);
    if (!id)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "exit of '%s': out of memory", watch->id);
    *ret = (struct dv_container_exited){
        .id = id,
        .pid = watch->pid,
        .exit_code = 255,
        .is_code_known = false,
        .finished_ns = dv_clock_wall_ns(source->machine->clock),
    };
    note_reported(source, watch->id, watch->pid);
    drop_watch(watch);
    return 1;
}

static int next(struct dv_exit_source *port,
                struct dv_arena *arena,
                struct dv_container_exited *ret,
                struct dv_error *err)
{
    struct source *source = source_of(port);
    dv_fake_lock(source->machine);
    int r = take_record(source, arena, ret, err);
    if (r == 0)
        r = take_watch(source, arena, ret, err);
    if (r == 0) {
        eventfd_t count;
        (void)eventfd_read(source->listener.fd, &count);
    }
    dv_fake_unlock(source->machine);
    return r;
}

static void acknowledge(struct dv_exit_source *port, const struct dv_container_exited *exit)
{
    struct dv_fake_machine *machine = source_of(port)->machine;
    if (exit->record == 0)
        return;
    dv_fake_lock(machine);
    struct dv_fake_record *record;
    TAILQ_FOREACH(record, &machine->records, link)
    {
        if (record->number == exit->record)
            break;
    }
    if (record) {
        TAILQ_REMOVE(&machine->records, record, link);
        free(record);
    }
    dv_fake_unlock(machine);
}

static int64_t deadline_ns(struct dv_exit_source *port)
{
    struct source *source = source_of(port);
    dv_fake_lock(source->machine);
    int64_t deadline = source->machine->next_end_ns;
    struct dv_fake_watch *watch;
    LIST_FOREACH(watch, &source->listener.watches, link)
    {
        if (watch->report_at_ns < deadline)
            deadline = watch->report_at_ns;
    }
    dv_fake_unlock(source->machine);
    return deadline;
}

static bool is_connected(struct dv_exit_source *port)
{
    struct dv_fake_machine *machine = source_of(port)->machine;
    dv_fake_lock(machine);
    bool is_alive = machine->is_monitor_alive;
    dv_fake_unlock(machine);
    return is_alive;
}

static const char *program(struct dv_exit_source *port)
{
    return is_connected(port) ? "fake" : NULL;
}

static void free_source(struct dv_exit_source *port)
{
    if (!port)
        return;
    struct source *source = source_of(port);
    dv_fake_lock(source->machine);
    LIST_REMOVE(&source->listener, link);
    dv_fake_unlock(source->machine);
    while (!LIST_EMPTY(&source->listener.watches))
        drop_watch(LIST_FIRST(&source->listener.watches));
    dv_close(&source->listener.fd);
    free(source);
}

int dv_fake_exits_new(struct dv_fake_machine *machine,
                      struct dv_exit_source **ret,
                      struct dv_error *err)
{
    struct source *source = calloc(1, sizeof(*source));
    if (!source)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot make a fake exit source");
    source->port = (struct dv_exit_source){
        .fd = fd,
        .watch = watch_process,
        .next = next,
        .acknowledge = acknowledge,
        .deadline_ns = deadline_ns,
        .is_connected = is_connected,
        .program = program,
        .free = free_source,
    };
    source->machine = machine;
    /* Readable at first: there may be records of a time before this source. */
    source->listener.fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    if (source->listener.fd < 0) {
        int saved = errno;
        free(source);
        return dv_error_sys(err, DV_ERR_FAILED, saved, "cannot make the descriptor of exits");
    }
    dv_fake_lock(machine);
    source->listener.serial = ++machine->last_serial;
    LIST_INSERT_HEAD(&machine->listeners, &source->listener, link);
    dv_fake_unlock(machine);
    *ret = &source->port;
    return 0;
}
