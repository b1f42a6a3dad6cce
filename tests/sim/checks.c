/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold when nothing is left to do: answers, the truth of the machine, the twin, what the
 * user asked for, and what a new daemon knows.
 */
#include "base/log.h"
#include "messages/codec.h"
#include "runtime/fake/driver.h"
#include "software.h"
#include "spec/twin.h"
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_BYTES (64U << 20)
#define TEXT_BYTES (1U << 20)
#define CONTAINER  "Container:"

static struct dv_arena *new_arena(void)
{
    struct dv_arena *arena = dv_arena_new(LIST_BYTES);
    if (!arena)
        abort();
    return arena;
}

static const struct dv_container_list *list(struct world *world, struct dv_arena *arena)
{
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_list *ret = NULL;
    if (daemon_sim_list(world->sim, arena, &ret, &err) < 0)
        world_fail(world, "the roster does not answer: %s", err.text);
    return ret;
}

static const struct dv_container_record *find_record(const struct dv_container_list *all,
                                                     const char *id)
{
    for (size_t i = 0; i < all->containers.count; i++)
        if (strcmp(all->containers.items[i].id, id) == 0)
            return &all->containers.items[i];
    return NULL;
}

/* -- answers -------------------------------------------------------------------------------- */

static void check_answer(struct world *world, size_t index)
{
    const struct fake_command *command = fake_cloud_command(world->sim->cloud, index);
    if (command->state == FAKE_COMMAND_WAITING)
        world_fail(world, "command %zu was not taken though the link is up", index);
    if (command->state != FAKE_COMMAND_TAKEN || !command->wants_reply)
        return;
    /* Also when the daemon that took it is gone: the next one runs it, or knows that it was done.
     */
    if (!command->replies)
        world_fail(world, "command %zu (%s of %s) has no answer", index, command->operation,
                   command->feature);
    if (!command->repeat_of || strncmp(command->operation, "create", 6) != 0)
        return;
    const struct fake_command *first =
        fake_cloud_command(world->sim->cloud, command->repeat_of - 1);
    bool is_comparable = first->wants_reply && first->replies == 1 && command->replies == 1 &&
                         first->reply_life == command->reply_life && first->status != 503 &&
                         command->status != 503;
    if (is_comparable &&
        (first->status != command->status || strcmp(first->value, command->value) != 0))
        world_fail(world, "command %zu repeats %zu and is answered with %lld %s, not %lld %s",
                   index, command->repeat_of - 1, command->status, command->value, first->status,
                   first->value);
}

static void check_answers(struct world *world)
{
    const char *complaint = fake_cloud_complaint(world->sim->cloud);
    if (complaint)
        world_fail(world, "the cloud complains: %s", complaint);
    for (size_t i = 0; i < fake_cloud_commands(world->sim->cloud); i++)
        check_answer(world, i);
}

/* -- machine -------------------------------------------------------------------------------- */

static void check_state(struct world *world,
                        struct dv_runtime *driver,
                        const struct dv_container_record *record)
{
    struct dv_runtime_state_query query = {.id = record->id};
    struct dv_runtime_state seen = {0};
    struct dv_error err = DV_ERROR_INIT;
    if (driver->ops->state(driver, &query, &seen, &err) < 0) {
        world_fail(world, "state of %s: %s", record->id, err.text);
        return;
    }
    enum dv_status status = record->state->status;
    bool is_up = status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED;
    bool is_seen_up = seen.status == DV_STATUS_RUNNING || seen.status == DV_STATUS_PAUSED;
    const char *says = dv_enum_api(&dv_enum_status, (int64_t)status);
    const char *is = dv_enum_api(&dv_enum_status, (int64_t)seen.status);
    if (status == DV_STATUS_CREATING || status == DV_STATUS_DEAD || status == DV_STATUS_UNKNOWN)
        world_fail(world, "%s stays %s", record->id, says);
    if (is_up != is_seen_up || (is_up && status != seen.status))
        world_fail(world, "%s is said to be %s and is %s", record->id, says, is);
    if (is_up && record->state->pid != seen.pid)
        world_fail(world, "%s has pid %lld, said is %lld", record->id, (long long)seen.pid,
                   (long long)record->state->pid);
    if (!is_up && record->state->pid != -1)
        world_fail(world, "%s is %s and has a pid", record->id, says);
    if (!is_up && seen.status != DV_STATUS_UNKNOWN && !world->has_release_faults)
        world_fail(world, "%s is %s and leaves %s in the runtime", record->id, says, is);
    if (is_up != (record->network != NULL))
        world_fail(world, "%s is %s and %s an address", record->id, says,
                   record->network ? "has" : "lacks");
    if (is_up && (record->state->exit_code || record->state->error))
        world_fail(world, "%s runs and has an exit code or error", record->id);
}

static void check_machine(struct world *world, const struct dv_container_list *all)
{
    struct dv_runtime *driver;
    struct dv_fake_counts counts;
    if (dv_fake_driver_new(world->sim->machine, &driver, NULL) < 0)
        abort();
    size_t up = 0;
    for (size_t i = 0; i < all->containers.count; i++) {
        const struct dv_container_record *record = &all->containers.items[i];
        check_state(world, driver, record);
        up +=
            record->state->status == DV_STATUS_RUNNING || record->state->status == DV_STATUS_PAUSED;
    }
    driver->ops->free(driver);
    dv_fake_machine_count(world->sim->machine, &counts);
    if (counts.running != up)
        world_fail(world, "%zu containers run, %zu are known to run", counts.running, up);
    if (counts.containers != up && !world->has_release_faults)
        world_fail(world, "the runtime knows %zu containers, %zu are up", counts.containers, up);
    if (counts.networks != up)
        world_fail(world, "%zu containers are connected, %zu are up", counts.networks, up);
    if (counts.records)
        world_fail(world, "%zu exit records are left", counts.records);
    /* A remove that ran out of time may have come to its end later: a container without a layer. */
    if (counts.layers > all->containers.count || counts.layers < up)
        world_fail(world, "%zu writable layers of %zu containers, %zu of them up", counts.layers,
                   all->containers.count, up);
}

/* -- twin ----------------------------------------------------------------------------------- */

typedef int
twin_text_fn(const struct dv_container_record *record, struct dv_buf *out, struct dv_error *err);

/* A property: the newest of its own change and the one in the properties of the feature. */
static void check_property(struct world *world,
                           const struct dv_container_record *record,
                           const struct fake_feature *feature,
                           const char *name,
                           const char *own,
                           twin_text_fn *text)
{
    DV_AUTO_IN_PLACE(dv_buf) value = DV_BUF_INIT(TEXT_BYTES);
    DV_AUTO_IN_PLACE(dv_buf) member = DV_BUF_INIT(TEXT_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    if (text(record, &value, &err) < 0 ||
        dv_buf_printf(&member, &err, "\"%s\":%s", name, value.data) < 0) {
        world_fail(world, "twin of %s: %s", record->id, err.text);
        return;
    }
    bool is_same = own ? strcmp(own, value.data) == 0
                       : feature->properties && strstr(feature->properties, member.data) != NULL;
    if (!is_same)
        world_fail(world, "twin of %s: %s is %s and should be %s", record->id, name,
                   own ? own : feature->properties, value.data);
}

/* Each container is a dependency, and nothing else is. */
static void check_dependencies(struct world *world, const struct dv_container_list *all)
{
    const struct fake_feature *software = fake_cloud_find(world->sim->cloud, "SoftwareUpdatable");
    if (!software || !software->is_current) {
        world_fail(world, "the twin has no SoftwareUpdatable");
        return;
    }
    const char *shown = software->dependencies ? software->dependencies : software->properties;
    size_t count = 0;
    for (const char *at = shown; (at = strstr(at, "\"group\":")) != NULL; at++)
        count++;
    for (size_t i = 0; i < all->containers.count; i++) {
        char name[FAKE_TEXT_MAX];
        snprintf(name, sizeof(name), "\"name\":\"%s\"", all->containers.items[i].id);
        if (!strstr(shown, name))
            world_fail(world, "%s is no dependency in %s", all->containers.items[i].id, shown);
    }
    if (count != all->containers.count)
        world_fail(world, "%zu dependencies of %zu containers", count, all->containers.count);
}

/* A container is shown by one of the things that there are, and by no other. */
static void check_thing(struct world *world, const struct fake_feature *feature)
{
    const struct fake_cloud *cloud = world->sim->cloud;
    size_t times = 0;
    for (size_t i = 0; i < fake_cloud_features(cloud); i++)
        times += strcmp(fake_cloud_feature(cloud, i)->id, feature->id) == 0;
    if (times != 1)
        world_fail(world, "%s is shown by %zu things", feature->id, times);
    if (feature->thing >= world->sim->things)
        world_fail(world, "%s is shown by thing %lld of %u", feature->id,
                   (long long)feature->thing + 1, world->sim->things);
}

static void check_twin(struct world *world, const struct dv_container_list *all)
{
    const struct fake_cloud *cloud = world->sim->cloud;
    if (!fake_cloud_is_ready(cloud))
        world_fail(world, "the link is up and the features are not ready");
    const struct fake_feature *factory = fake_cloud_find(cloud, "ContainerFactory");
    if (!factory || !factory->is_current || factory->thing)
        world_fail(world, "the twin has no ContainerFactory");
    for (size_t i = 0; i < all->containers.count; i++) {
        const struct dv_container_record *record = &all->containers.items[i];
        char id[FAKE_TEXT_MAX];
        snprintf(id, sizeof(id), CONTAINER "%s", record->id);
        const struct fake_feature *feature = fake_cloud_find(cloud, id);
        if (!feature || !feature->is_current) {
            world_fail(world, "the twin does not have %s", record->id);
            continue;
        }
        check_thing(world, feature);
        check_property(world, record, feature, "state", feature->state, dv_twin_container_state);
        check_property(world, record, feature, "name", feature->name, dv_twin_container_name);
        check_property(world, record, feature, "config", feature->config, dv_twin_container_config);
    }
    check_dependencies(world, all);
    for (size_t i = 0; i < fake_cloud_features(cloud); i++) {
        const struct fake_feature *feature = fake_cloud_feature(cloud, i);
        if (strncmp(feature->id, CONTAINER, strlen(CONTAINER)) == 0 &&
            !find_record(all, feature->id + strlen(CONTAINER)))
            world_fail(world, "the twin has %s, which is gone", feature->id);
    }
}

/* -- what was asked for --------------------------------------------------------------------- */

enum want { WANT_ANYTHING, WANT_DOWN, WANT_UP, WANT_GONE };

/* What a command that is over says of its container from then on. Its own effect is known only if
 * it was answered, by the daemon that took it. */
static enum want want_after(const struct fake_command *command, enum want before)
{
    bool is_done = command->status == 200 || command->status == 204;
    bool is_stop = strncmp(command->operation, "stop", 4) == 0;
    bool is_start = strcmp(command->operation, "start") == 0;
    bool is_remove = strcmp(command->operation, "remove") == 0;
    if (!is_stop && !is_start && !is_remove)
        return before;
    if (command->state == FAKE_COMMAND_REFUSED)
        return WANT_ANYTHING; /* not acknowledged: it may be durable all the same */
    if (command->state != FAKE_COMMAND_TAKEN)
        return before;
    if (command->replies != 1 || command->reply_life != command->life)
        return WANT_ANYTHING;
    if (is_done)
        return is_stop ? WANT_DOWN : is_start ? WANT_UP : WANT_GONE;
    /* Refused for its state, or for want of room: nothing happened. */
    bool is_refused =
        strstr(command->error, "in state") || command->status == 503 || command->status == 400;
    return is_refused ? before : WANT_ANYTHING;
}

static enum want want_of(struct world *world, const char *id)
{
    enum want want = WANT_ANYTHING;
    char feature[FAKE_TEXT_MAX];
    snprintf(feature, sizeof(feature), CONTAINER "%s", id);
    for (size_t i = 0; i < fake_cloud_commands(world->sim->cloud); i++) {
        const struct fake_command *command = fake_cloud_command(world->sim->cloud, i);
        if (strcmp(command->feature, feature) == 0)
            want = want_after(command, want);
    }
    return want;
}

static void check_want(struct world *world, const struct dv_container_record *record)
{
    enum want want = want_of(world, record->id);
    enum dv_status status = record->state->status;
    enum dv_restart_type policy = record->spec->restart_policy->type;
    bool is_up = status == DV_STATUS_RUNNING || status == DV_STATUS_PAUSED;
    const char *says = dv_enum_api(&dv_enum_status, (int64_t)status);
    if (want == WANT_GONE)
        world_fail(world, "%s was removed and is still there", record->id);
    /* `always` brings a container back after a boot of the machine, whatever it is after that. */
    bool may_come_back =
        world->reboots && (policy == DV_RESTART_ALWAYS || world->has_policy_updates);
    if (want == WANT_DOWN && is_up && !may_come_back)
        world_fail(world, "%s was stopped and is %s", record->id, says);
    if (want == WANT_UP && !is_up &&
        (policy == DV_RESTART_ALWAYS || policy == DV_RESTART_UNLESS_STOPPED) &&
        !world->has_policy_updates)
        world_fail(world, "%s was started, has a policy, and is %s", record->id, says);
}

/* Each create has an image of its own: two containers of one image are two effects of one command.
 */
static void check_creates(struct world *world, const struct dv_container_list *all)
{
    for (size_t i = 0; i < all->containers.count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(all->containers.items[i].spec->image_ref,
                       all->containers.items[j].spec->image_ref) == 0)
                world_fail(world, "%s and %s come from one create", all->containers.items[i].id,
                           all->containers.items[j].id);
    for (size_t i = 0; i < all->containers.count; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(all->containers.items[i].name, all->containers.items[j].name) == 0)
                world_fail(world, "two containers have the name %s", all->containers.items[i].name);
    for (size_t i = 0; i < fake_cloud_commands(world->sim->cloud); i++) {
        const struct fake_command *command = fake_cloud_command(world->sim->cloud, i);
        char id[FAKE_TEXT_MAX];
        if (strncmp(command->operation, "create", 6) != 0 || command->status != 200)
            continue;
        snprintf(id, sizeof(id), "%.*s", (int)strcspn(command->value + 1, "\""),
                 command->value + 1);
        enum want want = want_of(world, id);
        if (!find_record(all, id) && want != WANT_GONE && want != WANT_ANYTHING)
            world_fail(world, "%s was created and is gone", id);
    }
}

/* -- all ------------------------------------------------------------------------------------ */

void world_check(struct world *world)
{
    DV_AUTO(dv_arena) arena = new_arena();
    const struct dv_container_list *all = list(world, arena);
    if (!all)
        return;
    check_answers(world);
    check_machine(world, all);
    check_twin(world, all);
    check_creates(world, all);
    world_software_check(world, all);
    for (size_t i = 0; i < all->containers.count; i++)
        check_want(world, &all->containers.items[i]);
    if (world->sim->record_files.set_aside)
        world_fail(world, "a record was set aside");
}

static void compare(struct world *world,
                    const struct dv_container_record *before,
                    const struct dv_container_record *after)
{
    DV_AUTO_IN_PLACE(dv_buf) a = DV_BUF_INIT(TEXT_BYTES);
    DV_AUTO_IN_PLACE(dv_buf) b = DV_BUF_INIT(TEXT_BYTES);
    if (!after) {
        world_fail(world, "%s is not known after a restart", before->id);
        return;
    }
    /* A failed manual start is tried again by a new daemon where the policy wants it up. */
    if (before->state->status == DV_STATUS_STOPPED && !before->manually_stopped)
        return;
    /* A manual start that failed, or a policy that came too late for the last exit, count when a
     * new daemon looks which containers should be up. */
    bool may_come_up = before->started_before && !before->manually_stopped;
    enum dv_status status = before->state->status;
    if (may_come_up &&
        (status == DV_STATUS_STOPPED || (status == DV_STATUS_EXITED && world->has_policy_updates)))
        return;
    if (dv_print(&dv_schema_container_record, before, &a, NULL) < 0 ||
        dv_print(&dv_schema_container_record, after, &b, NULL) < 0)
        abort();
    if (strcmp(a.data, b.data) != 0)
        world_fail(world, "a restart changes %s\nfrom %s\nto   %s", before->id, a.data, b.data);
}

/* A software operation whose progress the disk did not take goes on after the restart: it may
 * replace or remove what it has to do with. */
static bool may_change(const struct world *world, const struct dv_container_record *record)
{
    return world->has_disk_faults && record->module_name;
}

static size_t count_lasting(const struct world *world, const struct dv_container_list *list)
{
    size_t count = 0;
    for (size_t i = 0; i < list->containers.count; i++)
        count += !may_change(world, &list->containers.items[i]);
    return count;
}

void world_check_restart(struct world *world)
{
    DV_AUTO(dv_arena) arena = new_arena();
    struct dv_error err = DV_ERROR_INIT;
    dv_log(DV_LOG_INFO, "world: restart when quiet");
    const struct dv_container_list *before = list(world, arena);
    daemon_sim_crash(world->sim);
    if (daemon_sim_start(world->sim, &err) < 0) {
        world_fail(world, "the daemon does not start again: %s", err.text);
        return;
    }
    daemon_sim_run(world->sim, 60000);
    if (world->sim->was_cut)
        return;
    const struct dv_container_list *after = before ? list(world, arena) : NULL;
    if (!after)
        return;
    for (size_t i = 0; i < before->containers.count; i++) {
        const struct dv_container_record *record = &before->containers.items[i];
        if (!may_change(world, record))
            compare(world, record, find_record(after, record->id));
    }
    if (count_lasting(world, after) != count_lasting(world, before))
        world_fail(world, "%zu containers before a restart, %zu after", before->containers.count,
                   after->containers.count);
    world_check(world);
}
