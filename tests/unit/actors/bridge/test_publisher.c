/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/publisher.h"

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What goes out, one letter a change: F(eature), P(roperty), D(elete), and the end of the id. */
static char out[256];

static size_t thing_bytes_max;
static unsigned things_count = 1;
static struct dv_restart_policy policy;
static struct dv_log_config log_config;
static struct dv_container_spec spec = {
    .image_ref = (char *)"r/a:1", .restart_policy = &policy, .log = &log_config};
static struct dv_container_state state = {.status = DV_STATUS_RUNNING, .pid = 1};

static struct dv_container_record record_of(const char *id)
{
    return (struct dv_container_record){
        .id = (char *)id, .name = (char *)id, .spec = &spec, .state = &state};
}

static void event(struct dv_publisher *p, enum dv_container_change change, const char *id)
{
    struct dv_container_record record = record_of(id);
    struct dv_container_event body = {.change = change, .record = &record};
    dv_publisher_event(p, &body);
}

static void list(struct dv_publisher *p, int64_t number, const char *ids)
{
    struct dv_container_record records[64];
    char texts[64][2];
    size_t count = strlen(ids);
    for (size_t i = 0; i < count; i++) {
        snprintf(texts[i], sizeof(texts[i]), "%c", ids[i]);
        records[i] = record_of(texts[i]);
    }
    struct dv_container_list body = {.containers = {records, count}};
    dv_publisher_list(p, number, &body);
}

/* Sends and acknowledges until nothing is left. */
static const char *drain(struct dv_publisher *p)
{
    const struct dv_twin_change *change;
    out[0] = '\0';
    while ((change = dv_publisher_next(p)) != NULL) {
        size_t len = strlen(out);
        snprintf(out + len, sizeof(out) - len, "%c%c ", "FPD"[change->kind],
                 change -> feature[strlen(change->feature) - 1]);
        dv_publisher_acknowledge(p, change->number, false);
    }
    return out;
}

static struct dv_publisher *up(unsigned outbox_max)
{
    struct dv_publisher *p = dv_publisher_new(
        "test", dv_things_new("test", things_count, DV_TWIN_AUTO, thing_bytes_max), outbox_max, 4);
    cr_assert_eq(dv_publisher_wants_list(p), 0, "nothing to say while the link is down");
    dv_publisher_link(p, true);
    return p;
}

static size_t weight(const struct dv_publisher *p, bool *ret_is_compact)
{
    const struct dv_weight *first = dv_things_weight(dv_publisher_things(p), 0);
    *ret_is_compact = dv_weight_is_compact(first);
    return dv_weight_bytes(first);
}

/* shows: K4 */
Test(publisher, containers_come_before_the_factory_and_the_features_are_complete_then)
{
    DV_AUTO(dv_publisher) p = up(100);
    int64_t number = dv_publisher_wants_list(p);
    cr_assert_gt(number, 0);
    cr_assert_eq(dv_publisher_wants_list(p), 0, "once");
    cr_assert_null(dv_publisher_next(p));
    list(p, number, "ab");
    cr_assert_not(dv_publisher_is_complete(p));
    cr_assert_str_eq(drain(p), "Fa Fb Fy ");
    cr_assert(dv_publisher_is_complete(p));
    event(p, DV_CHANGE_STATE, "a");
    cr_assert_str_eq(drain(p), "Pa ");
}

Test(publisher, more_containers_than_the_outbox_holds_are_published)
{
    DV_AUTO(dv_publisher) p = up(2);
    list(p, dv_publisher_wants_list(p), "abcdefgh");
    cr_assert_str_eq(drain(p), "Fa Fb Fc Fd Fe Ff Fg Fh Fy ");
    cr_assert_not(dv_publisher_is_behind(p));
}

Test(publisher, an_event_is_newer_than_the_list_that_is_on_its_way)
{
    DV_AUTO(dv_publisher) p = up(100);
    int64_t number = dv_publisher_wants_list(p);
    event(p, DV_CHANGE_STATE, "b");
    list(p, number, "abc");
    cr_assert_str_eq(drain(p), "Fb Fa Fc Fy ", "the whole of b, from its event, once");
}

Test(publisher, an_event_before_its_feature_went_out_brings_the_feature)
{
    DV_AUTO(dv_publisher) p = up(2);
    list(p, dv_publisher_wants_list(p), "abcdef");
    const struct dv_twin_change *first = dv_publisher_next(p);
    cr_assert_eq(first->kind, DV_TWIN_FEATURE);
    dv_publisher_acknowledge(p, first->number, false);
    event(p, DV_CHANGE_STATE, "e");
    event(p, DV_CHANGE_STATE, "e");
    cr_assert_str_eq(drain(p), "Fe Pe Fb Fc Fd Ff Fy ");
}

Test(publisher, a_container_that_goes_while_it_is_listed_is_not_published)
{
    DV_AUTO(dv_publisher) p = up(100);
    int64_t number = dv_publisher_wants_list(p);
    event(p, DV_CHANGE_REMOVED, "b");
    list(p, number, "ab");
    cr_assert_str_eq(drain(p), "Db Fa Fy ");
}

/* shows: K29 */
Test(publisher, a_delete_is_owed_over_a_lost_link_until_it_is_acknowledged)
{
    DV_AUTO(dv_publisher) p = up(100);
    list(p, dv_publisher_wants_list(p), "ab");
    (void)drain(p);
    event(p, DV_CHANGE_REMOVED, "a");
    cr_assert_eq(dv_publisher_next(p)->kind, DV_TWIN_DELETE);
    dv_publisher_link(p, false);
    event(p, DV_CHANGE_REMOVED, "b");
    dv_publisher_link(p, true);
    list(p, dv_publisher_wants_list(p), "");
    cr_assert_str_eq(drain(p), "Da Db Fy ");
    dv_publisher_link(p, true);
    list(p, dv_publisher_wants_list(p), "");
    cr_assert_str_eq(drain(p), "Fy ");
}

/* shows: K29 */
Test(publisher, what_was_removed_before_the_start_is_deleted_once_and_told)
{
    DV_AUTO(dv_publisher) p = up(100);
    dv_publisher_owe_delete(p, "x");
    list(p, dv_publisher_wants_list(p), "a");
    cr_assert_str_eq(drain(p), "Fa Dx Fy ");
    dv_publisher_owe_delete(p, "z");
    const struct dv_twin_change *change = dv_publisher_next(p);
    cr_assert_eq(change->kind, DV_TWIN_DELETE);
    dv_publisher_acknowledge(p, change->number, true);
    dv_publisher_link(p, true);
    list(p, dv_publisher_wants_list(p), "");
    change = dv_publisher_next(p);
    cr_assert_eq(change->kind, DV_TWIN_DELETE, "still owed");
    dv_publisher_acknowledge(p, change->number, false);
    dv_autofree char *told = dv_publisher_take_deleted(p);
    cr_assert_str_eq(told, "z");
}

Test(publisher, a_list_of_an_old_link_is_ignored)
{
    DV_AUTO(dv_publisher) p = up(100);
    int64_t old = dv_publisher_wants_list(p);
    dv_publisher_link(p, true);
    int64_t number = dv_publisher_wants_list(p);
    list(p, old, "a");
    cr_assert_str_eq(drain(p), "");
    list(p, number, "b");
    cr_assert_str_eq(drain(p), "Fb Fy ");
}

Test(publisher, what_found_no_room_is_made_good)
{
    DV_AUTO(dv_publisher) p = up(1);
    list(p, dv_publisher_wants_list(p), "ab");
    (void)drain(p);
    event(p, DV_CHANGE_STATE, "a");
    event(p, DV_CHANGE_STATE, "b");
    cr_assert(dv_publisher_is_behind(p));
    event(p, DV_CHANGE_STATE, "a");
    dv_publisher_again(p);
    cr_assert_not(dv_publisher_is_behind(p));
    list(p, dv_publisher_wants_list(p), "ab");
    cr_assert_str_eq(drain(p), "Pa Fa Fb Fy ");
    cr_assert(dv_publisher_is_complete(p), "the link stayed up");
}

Test(publisher, a_list_that_does_not_come_is_asked_for_again)
{
    DV_AUTO(dv_publisher) p = up(100);
    dv_publisher_list(p, dv_publisher_wants_list(p), NULL);
    cr_assert(dv_publisher_is_behind(p));
    dv_publisher_again(p);
    list(p, dv_publisher_wants_list(p), "a");
    cr_assert_str_eq(drain(p), "Fa Fy ");
}

static struct dv_feature_event feature_of(const char *path, const char *value)
{
    return (struct dv_feature_event){.feature = (char *)"Software",
                                     .definition = (char *)"x:y:1",
                                     .path = (char *)path,
                                     .value = (char *)value};
}

Test(publisher, the_factory_waits_for_features_that_are_no_containers)
{
    DV_AUTO(dv_publisher) p = up(100);
    int64_t number = dv_publisher_wants_list(p);
    struct dv_feature_event whole = feature_of(NULL, "{}");
    dv_publisher_await_features(p, number, 2);
    list(p, number, "a");
    cr_assert_str_eq(drain(p), "Fa ");
    dv_publisher_feature(p, number, &whole);
    cr_assert_str_eq(drain(p), "Fe ");
    cr_assert_not(dv_publisher_is_complete(p));
    dv_publisher_feature(p, number, NULL);
    cr_assert_str_eq(drain(p), "Fy ", "one that does not exist holds nobody up");
    cr_assert(dv_publisher_is_complete(p));
}

Test(publisher, a_property_of_a_feature_goes_out_behind_the_feature_only)
{
    DV_AUTO(dv_publisher) p = up(100);
    struct dv_feature_event whole = feature_of(NULL, "{}");
    struct dv_feature_event property = feature_of("status/x", "1");
    int64_t number = dv_publisher_wants_list(p);
    dv_publisher_await_features(p, number, 1);
    cr_assert_not(dv_publisher_feature_event(p, &property), "to be asked for again");
    list(p, number, "");
    dv_publisher_feature(p, number, &whole);
    cr_assert(dv_publisher_feature_event(p, &property));
    cr_assert_str_eq(drain(p), "Fe Pe Fy ");
    dv_publisher_link(p, false);
    cr_assert(dv_publisher_feature_event(p, &property), "said when the link is up again");
    cr_assert_null(dv_publisher_next(p));
    dv_publisher_link(p, true);
    cr_assert_not(dv_publisher_feature_event(p, &property));
    dv_publisher_feature(p, number, &whole);
    cr_assert_null(dv_publisher_next(p), "an answer of the link before");
}

/* How many of the features that go out have a configuration. */
static unsigned drain_configs(struct dv_publisher *p)
{
    const struct dv_twin_change *change;
    unsigned configs = 0;
    while ((change = dv_publisher_next(p)) != NULL) {
        configs += change->value && strstr(change->value, "\"config\":") != NULL;
        dv_publisher_acknowledge(p, change->number, false);
    }
    return configs;
}

/* shows: thing-size */
Test(publisher, a_twin_over_the_limit_leaves_out_configurations_until_it_fits_well)
{
    thing_bytes_max = 10000;
    DV_AUTO(dv_publisher) p = up(100);
    bool is_compact;
    list(p, dv_publisher_wants_list(p), "abcd");
    cr_assert_eq(drain_configs(p), 4);
    size_t four = weight(p, &is_compact);
    cr_assert(!is_compact && four > 2000 && four < 10000, "%zu", four);

    dv_publisher_again(p);
    list(p, dv_publisher_wants_list(p), "abcdefghijklmnopqrstuvwxyz");
    cr_assert_eq(drain_configs(p), 0, "before the first of them went out");
    (void)weight(p, &is_compact);
    cr_assert(is_compact);
    event(p, DV_CHANGE_CONFIG, "a");
    cr_assert_null(dv_publisher_next(p), "what is not shown does not change");

    for (char gone = 'z'; gone > 'd'; gone--)
        event(p, DV_CHANGE_REMOVED, (char[]){gone, 0});
    cr_assert(dv_publisher_is_behind(p), "all have to be published again");
    dv_publisher_again(p);
    list(p, dv_publisher_wants_list(p), "abcd");
    cr_assert_eq(drain_configs(p), 4);
    cr_assert_eq(weight(p, &is_compact), four);
}

Test(publisher, a_new_container_can_make_the_twin_too_large)
{
    thing_bytes_max = 4000;
    DV_AUTO(dv_publisher) p = up(100);
    bool is_compact;
    list(p, dv_publisher_wants_list(p), "ab");
    (void)drain(p);
    for (char id = 'c'; id <= 'h'; id++)
        event(p, DV_CHANGE_CREATED, (char[]){id, 0});
    (void)weight(p, &is_compact);
    cr_assert(is_compact && dv_publisher_is_behind(p));
    (void)drain(p);
    dv_publisher_again(p);
    list(p, dv_publisher_wants_list(p), "abcdefgh");
    cr_assert_eq(drain_configs(p), 0);
    cr_assert_not(dv_publisher_is_behind(p));
}

/* -- several things ------------------------------------------------------------------------- */

/* Sends and acknowledges until nothing is left: like drain(), with the number of the thing. */
static const char *drain_things(struct dv_publisher *p)
{
    const struct dv_twin_change *change;
    out[0] = '\0';
    while ((change = dv_publisher_next(p)) != NULL) {
        size_t len = strlen(out);
        snprintf(out + len, sizeof(out) - len, "%c%c%d ", "FPD"[change->kind],
                 change -> feature[strlen(change->feature) - 1], (int)change -> thing + 1);
        dv_publisher_acknowledge(p, change->number, false);
    }
    return out;
}

/* An id of one letter that is on `now` of `count` things, and was on `before` of `count_before`. */
static const char *id_on(unsigned now, unsigned count, unsigned before, unsigned count_before)
{
    static char ids[8][2];
    static unsigned next;
    for (char c = '!'; c <= '~'; c++) {
        char *id = ids[next % 8];
        id[0] = c;
        if (dv_things_place(id, count) == now && dv_things_place(id, count_before) == before) {
            next++;
            return id;
        }
    }
    cr_assert_fail("no letter is on thing %u of %u", now, count);
    return NULL;
}

static const char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

static const char *text(const char *format, ...)
{
    static char texts[2][128];
    static unsigned next;
    char *ret = texts[next++ % 2];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(ret, sizeof(texts[0]), format, arguments);
    va_end(arguments);
    return ret;
}

Test(publisher, containers_go_to_their_things_and_all_else_to_the_first)
{
    things_count = 2;
    const char *one = id_on(0, 2, 0, 1), *two = id_on(1, 2, 0, 1);
    DV_AUTO(dv_publisher) p = up(100);
    struct dv_feature_event metrics = {
        .feature = (char *)"Metrics", .definition = (char *)"d", .value = (char *)"{}"};
    int64_t number = dv_publisher_wants_list(p);
    dv_publisher_await_features(p, number, 1);
    list(p, number, text("%s%s", two, one));
    dv_publisher_feature(p, number, &metrics);
    cr_assert_str_eq(drain_things(p), text("Fs1 F%s2 F%s1 Fy1 ", two, one));
    event(p, DV_CHANGE_STATE, two);
    event(p, DV_CHANGE_REMOVED, two);
    event(p, DV_CHANGE_STATE, one);
    cr_assert_str_eq(drain_things(p), text("P%s2 D%s2 P%s1 ", two, two, one));
}

Test(publisher, what_was_spread_otherwise_goes_from_where_it_was_once_it_is_where_it_belongs)
{
    things_count = 3;
    const char *stays = id_on(0, 3, 0, 1), *moves = id_on(2, 3, 0, 1);
    DV_AUTO(dv_publisher)
    p = dv_publisher_new("test", dv_things_new("test", things_count, DV_TWIN_FULL, 0), 100, 4);
    dv_publisher_was_spread(p, 1U << 0 | 1U << 2);
    dv_publisher_link(p, true);
    list(p, dv_publisher_wants_list(p), text("%s%s", stays, moves));
    cr_assert_not(dv_publisher_is_moved(p));
    cr_assert_str_eq(drain_things(p), text("F%s1 F%s3 D%s1 Fy1 ", stays, moves, moves));
    cr_assert_null(dv_publisher_take_deleted(p), "it was not removed");
    cr_assert(dv_publisher_is_moved(p));
    dv_publisher_was_spread(p, 1U << 2);
    cr_assert_not(dv_publisher_is_moved(p), "done with");
    dv_publisher_again(p);
    list(p, dv_publisher_wants_list(p), text("%s%s", stays, moves));
    cr_assert_str_eq(drain_things(p), text("F%s1 F%s3 Fy1 ", stays, moves));
}

Test(publisher, more_moves_than_the_outbox_holds_come_to_an_end)
{
    things_count = 3;
    char ids[64] = "", expected[256] = "";
    for (char c = '!'; c <= '~' && strlen(ids) < 12; c++)
        if (dv_things_place((char[2]){c, 0}, 3) != 0)
            ids[strlen(ids)] = c;
    DV_AUTO(dv_publisher)
    p = dv_publisher_new("test", dv_things_new("test", things_count, DV_TWIN_FULL, 0), 2, 4);
    dv_publisher_was_spread(p, 1U << 0);
    dv_publisher_link(p, true);
    list(p, dv_publisher_wants_list(p), ids);
    for (const char *id = ids; *id; id++)
        snprintf(expected + strlen(expected), 8, "F%c ", *id);
    cr_assert(strncmp(drain(p), expected, strlen(expected)) == 0, "%s", out);
    const char *at = out + strlen(expected);
    for (size_t i = 0; i < strlen(ids); i++, at += 3)
        cr_assert(at[0] == 'D' && strchr(ids, at[1]), "%s", out);
    cr_assert_str_eq(at, "Fy ");
    cr_assert_not(dv_publisher_is_behind(p));
    cr_assert(dv_publisher_is_moved(p));
}

Test(publisher, a_removed_container_goes_from_all_things_where_it_may_be_and_is_told_then)
{
    things_count = 2;
    const char *gone = id_on(0, 2, 2, 3);
    DV_AUTO(dv_publisher)
    p = dv_publisher_new("test", dv_things_new("test", things_count, DV_TWIN_FULL, 0), 100, 4);
    dv_publisher_owe_delete(p, gone);
    dv_publisher_was_spread(p, 1U << 2);
    dv_publisher_link(p, true);
    list(p, dv_publisher_wants_list(p), "");
    const struct dv_twin_change *change = dv_publisher_next(p);
    cr_assert_eq(change->kind, DV_TWIN_DELETE);
    dv_publisher_acknowledge(p, change->number, false);
    cr_assert_null(dv_publisher_take_deleted(p), "only from one of them");
    cr_assert_str_eq(drain_things(p), text("D%s3 Fy1 ", gone));
    dv_autofree char *told = dv_publisher_take_deleted(p);
    cr_assert_str_eq(told, gone);
}

Test(publisher, what_a_thing_shows_too_much_is_deleted_there_only)
{
    things_count = 2;
    const char *one = id_on(0, 2, 0, 1);
    DV_AUTO(dv_publisher) p = up(100);
    list(p, dv_publisher_wants_list(p), one);
    (void)drain(p);
    dv_publisher_delete_from(p, one, 1);
    cr_assert_str_eq(drain_things(p), text("D%s2 ", one));
    cr_assert_null(dv_publisher_take_deleted(p));
}
