/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/sampler/targets.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned closed;

static void close_set(void *ctx, struct dv_counter_set *set)
{
    (void)ctx;
    (void)set;
    closed++;
}

static struct dv_targets targets;

static void setup(void)
{
    targets = (struct dv_targets){.close = close_set};
    closed = 0;
}

static void teardown(void)
{
    dv_targets_done(&targets);
}

TestSuite(targets, .init = setup, .fini = teardown);

struct made {
    struct dv_restart_policy policy;
    struct dv_log_config log;
    struct dv_container_spec spec;
    struct dv_container_state state;
    struct dv_container_record record;
};

static const struct dv_container_record *
make(struct made *made, const char *id, enum dv_status status, int pid)
{
    *made = (struct made){.state = {.status = status, .pid = pid}};
    made->spec = (struct dv_container_spec){
        .image_ref = (char *)"r/a:1", .restart_policy = &made->policy, .log = &made->log};
    made->record = (struct dv_container_record){
        .id = (char *)id, .name = (char *)id, .spec = &made->spec, .state = &made->state};
    return &made->record;
}

static void event(const char *id, enum dv_status status, int pid)
{
    struct made made;
    struct dv_container_event body = {
        .change = DV_CHANGE_STATE,
        .record = (struct dv_container_record *)make(&made, id, status, pid)};
    cr_assert(dv_targets_event(&targets, &body));
}

static void removed(const char *id)
{
    struct made made;
    struct dv_container_event body = {
        .change = DV_CHANGE_REMOVED,
        .record = (struct dv_container_record *)make(&made, id, DV_STATUS_DEAD, -1)};
    cr_assert(dv_targets_event(&targets, &body));
}

/* All of them running, with pid 1. */
static void list(const char *ids)
{
    struct made made[16];
    struct dv_container_record records[16];
    char texts[16][2];
    size_t count = strlen(ids);
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%c", ids[i]);
        records[i] = *make(&made[i], texts[i], DV_STATUS_RUNNING, 1);
    }
    struct dv_container_list body = {.containers = {records, count}};
    cr_assert(dv_targets_list(&targets, &body));
}

static const char *running(void)
{
    static char text[64];
    size_t len = 0;
    text[0] = '\0';
    for (size_t i = 0; i < targets.count; i++)
        if (targets.items[i]->is_running)
            len += (size_t)snprintf(text + len, sizeof(text) - len, "%s", targets.items[i]->id);
    return text;
}

Test(targets, a_list_says_who_runs_in_order_of_id)
{
    dv_targets_expect(&targets);
    list("cab");
    cr_assert_str_eq(running(), "abc");
}

Test(targets, an_event_is_newer_than_the_list_that_is_on_its_way)
{
    dv_targets_expect(&targets);
    event("b", DV_STATUS_STOPPED, -1);
    event("c", DV_STATUS_RUNNING, 7);
    event("x", DV_STATUS_RUNNING, 8);
    removed("d");
    list("abcd");
    cr_assert_str_eq(running(), "acx");
    cr_assert_eq(targets.items[1]->pid, 7);
    cr_assert_eq(targets.count, 3, "those that do not run are forgotten");
}

Test(targets, who_ends_or_goes_is_forgotten_at_once_when_no_list_is_on_its_way)
{
    dv_targets_expect(&targets);
    list("ab");
    event("a", DV_STATUS_EXITED, -1);
    removed("b");
    removed("y");
    event("z", DV_STATUS_STOPPED, -1);
    cr_assert_eq(targets.count, 0);
}

Test(targets, paused_containers_are_measured)
{
    dv_targets_expect(&targets);
    list("a");
    event("a", DV_STATUS_PAUSED, 1);
    cr_assert_str_eq(running(), "a");
}

Test(targets, the_descriptors_of_a_run_are_closed_with_it)
{
    dv_targets_expect(&targets);
    list("ab");
    targets.items[0]->set = (struct dv_counter_set *)&closed;
    targets.items[1]->set = (struct dv_counter_set *)&closed;
    event("a", DV_STATUS_PAUSED, 1);
    cr_assert_eq(closed, 0, "the same run");
    event("a", DV_STATUS_RUNNING, 2);
    cr_assert_eq(closed, 1, "another pid is another run");
    cr_assert_null(targets.items[0]->set);
    event("b", DV_STATUS_STOPPED, -1);
    cr_assert_eq(closed, 2);
}

Test(targets, a_second_list_forgets_who_is_not_in_it)
{
    dv_targets_expect(&targets);
    list("abc");
    targets.items[1]->set = (struct dv_counter_set *)&closed;
    dv_targets_expect(&targets);
    list("ac");
    cr_assert_str_eq(running(), "ac");
    cr_assert_eq(closed, 1);
}
