/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/repeats.h"

#include <criterion/criterion.h>

#define WINDOW 1000
/* The table keeps and hands back pointers that it never looks behind. */
#define REQUEST(n) ((struct dv_request *)(uintptr_t)(n))

static enum dv_repeat take(struct dv_repeats *repeats,
                           const char *key,
                           const char *feature,
                           int64_t now,
                           const struct dv_command_reply **reply)
{
    struct dv_request *request = REQUEST(1);
    return dv_repeats_take(repeats, key, feature, now, &request, reply);
}

static void nobody(void *ctx, struct dv_request *request)
{
    (void)ctx;
    (void)request;
    cr_assert_fail("nobody waits");
}

static void answer(struct dv_repeats *repeats, const char *key, const char *feature, int64_t now)
{
    struct dv_command_reply reply = {
        .feature = (char *)feature, .operation = (char *)"start", .status = 204};
    dv_repeats_answer(repeats, key, &reply, now, nobody, NULL);
}

/* shows: repeats */
Test(repeats, a_repeat_gets_the_same_answer_within_the_window)
{
    DV_AUTO(dv_repeats) repeats = dv_repeats_new(8, WINDOW);
    const struct dv_command_reply *reply = NULL;
    cr_assert_eq(take(repeats, "k", "Container:1", 0, &reply), DV_REPEAT_NEW);
    answer(repeats, "k", "Container:1", 10);
    cr_assert_eq(take(repeats, "k", "Container:1", 20, &reply), DV_REPEAT_ANSWERED);
    cr_assert_eq(reply->status, 204);
    cr_assert_eq(take(repeats, "k", "Container:1", 10 + WINDOW + 1, &reply), DV_REPEAT_NEW);
}

/* shows: repeats */
Test(repeats, another_command_or_a_change_of_the_container_makes_it_new)
{
    DV_AUTO(dv_repeats) repeats = dv_repeats_new(8, WINDOW);
    const struct dv_command_reply *reply = NULL;
    cr_assert_eq(take(repeats, "start", "Container:1", 0, &reply), DV_REPEAT_NEW);
    answer(repeats, "start", "Container:1", 0);
    cr_assert_eq(take(repeats, "stop", "Container:1", 1, &reply), DV_REPEAT_NEW);
    answer(repeats, "stop", "Container:1", 1);
    cr_assert_eq(take(repeats, "start", "Container:1", 2, &reply), DV_REPEAT_NEW,
                 "start, stop, start runs three times");
    answer(repeats, "start", "Container:1", 2);
    dv_repeats_touch(repeats, "Container:2");
    cr_assert_eq(take(repeats, "start", "Container:1", 3, &reply), DV_REPEAT_ANSWERED);
    dv_repeats_touch(repeats, "Container:1");
    cr_assert_eq(take(repeats, "start", "Container:1", 3, &reply), DV_REPEAT_NEW);
}

Test(repeats, creates_do_not_make_each_other_stale)
{
    DV_AUTO(dv_repeats) repeats = dv_repeats_new(8, WINDOW);
    const struct dv_command_reply *reply = NULL;
    cr_assert_eq(take(repeats, "a", "ContainerFactory", 0, &reply), DV_REPEAT_NEW);
    answer(repeats, "a", "ContainerFactory", 0);
    cr_assert_eq(take(repeats, "b", "ContainerFactory", 0, &reply), DV_REPEAT_NEW);
    answer(repeats, "b", "ContainerFactory", 0);
    cr_assert_eq(take(repeats, "a", "ContainerFactory", 1, &reply), DV_REPEAT_ANSWERED);
}

struct heard {
    struct dv_request *request;
    unsigned count;
};

static void hear(void *ctx, struct dv_request *request)
{
    struct heard *heard = ctx;
    heard->request = request;
    heard->count++;
}

Test(repeats, one_that_comes_while_the_first_runs_waits_for_its_answer)
{
    DV_AUTO(dv_repeats) repeats = dv_repeats_new(8, WINDOW);
    const struct dv_command_reply *reply = NULL;
    cr_assert_eq(take(repeats, "k", "Container:1", 0, &reply), DV_REPEAT_NEW);
    struct dv_request *request = REQUEST(2);
    cr_assert_eq(dv_repeats_take(repeats, "k", "Container:1", 1, &request, &reply),
                 DV_REPEAT_WAITING);
    cr_assert_null(request);
    struct heard heard = {0};
    struct dv_command_reply done = {
        .feature = (char *)"Container:1", .operation = (char *)"start", .status = 204};
    dv_repeats_answer(repeats, "k", &done, 2, hear, &heard);
    cr_assert_eq(heard.count, 1);
    cr_assert_eq(heard.request, REQUEST(2));
}

Test(repeats, more_repeats_than_may_wait_are_refused_and_do_not_run)
{
    DV_AUTO(dv_repeats) repeats = dv_repeats_new(8, WINDOW);
    const struct dv_command_reply *reply = NULL;
    cr_assert_eq(take(repeats, "k", "ContainerFactory", 0, &reply), DV_REPEAT_NEW);
    for (int i = 0; i < DV_REPEAT_WAITERS_MAX; i++)
        cr_assert_eq(take(repeats, "k", "ContainerFactory", 0, &reply), DV_REPEAT_WAITING);
    struct dv_request *request = REQUEST(4);
    cr_assert_eq(dv_repeats_take(repeats, "k", "ContainerFactory", 0, &request, &reply),
                 DV_REPEAT_REFUSED);
    cr_assert_eq(request, REQUEST(4), "it is answered by the caller");
}

Test(repeats, a_full_table_forgets_the_oldest_answer_and_never_one_in_progress)
{
    DV_AUTO(dv_repeats) repeats = dv_repeats_new(2, WINDOW);
    const struct dv_command_reply *reply = NULL;
    cr_assert_eq(take(repeats, "runs", "ContainerFactory", 0, &reply), DV_REPEAT_NEW);
    for (int i = 0; i < 5; i++) {
        char key[8];
        snprintf(key, sizeof(key), "k%d", i);
        cr_assert_eq(take(repeats, key, "ContainerFactory", 0, &reply), DV_REPEAT_NEW);
        answer(repeats, key, "ContainerFactory", 0);
    }
    struct dv_request *request = REQUEST(3);
    cr_assert_eq(dv_repeats_take(repeats, "runs", "ContainerFactory", 0, &request, &reply),
                 DV_REPEAT_WAITING);
    cr_assert_eq(take(repeats, "k0", "ContainerFactory", 0, &reply), DV_REPEAT_NEW);
}

#define S_NS INT64_C(1000000000)

Test(repeats, the_age_of_an_answer_is_that_of_the_clock_that_can_tell)
{
    const int64_t stamp = 1795680000 * S_NS;
    struct dv_store_answered answer = {.boot = 7, .uptime_ns = 100 * S_NS, .wall_ns = stamp};
    struct dv_store_answered unset = {.boot = 7, .uptime_ns = 100 * S_NS, .wall_ns = 50 * S_NS};
    struct dv_store_answered old = {.wall_ns = stamp}; /* of a davit that had no more */
    cr_expect_eq(dv_repeats_age_ns(&answer, 7, 130 * S_NS, 0), 30 * S_NS, "this boot");
    cr_expect_eq(dv_repeats_age_ns(&answer, 8, 20 * S_NS, stamp + 40 * S_NS), 40 * S_NS,
                 "another boot: by stamps");
    cr_expect_eq(dv_repeats_age_ns(&answer, 8, 20 * S_NS, stamp - 40 * S_NS), 0, "from the future");
    cr_expect_eq(dv_repeats_age_ns(&answer, 8, 20 * S_NS, 20 * S_NS), 0, "the clock is not set");
    cr_expect_eq(dv_repeats_age_ns(&unset, 8, 20 * S_NS, stamp), 0, "it was not set");
    cr_expect_eq(dv_repeats_age_ns(&old, 8, 20 * S_NS, stamp + S_NS), S_NS);
}
