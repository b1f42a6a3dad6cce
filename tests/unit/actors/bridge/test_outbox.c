/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/outbox.h"

#include <criterion/criterion.h>

static struct dv_twin_change change(const char *feature, const char *path, const char *value)
{
    return (struct dv_twin_change){.kind = DV_TWIN_PROPERTY,
                                   .feature = (char *)feature,
                                   .path = (char *)path,
                                   .value = (char *)value};
}

/* shows: outbox */
Test(outbox, changes_leave_in_order_within_the_window)
{
    DV_AUTO(dv_outbox) outbox = dv_outbox_new(100, 2);
    struct dv_twin_change a = change("A", "p", "1");
    struct dv_twin_change b = change("A", "p", "2");
    struct dv_twin_change c = change("B", "p", "3");
    cr_assert(dv_outbox_add(outbox, &a) && dv_outbox_add(outbox, &b) && dv_outbox_add(outbox, &c));
    const struct dv_twin_change *first = dv_outbox_next(outbox);
    cr_assert_str_eq(first->value, "1");
    int64_t number = first->number;
    cr_assert_str_eq(dv_outbox_next(outbox)->value, "2");
    cr_assert_null(dv_outbox_next(outbox), "the window is full");
    dv_outbox_acknowledge(outbox, number);
    cr_assert_str_eq(dv_outbox_next(outbox)->value, "3");
}

/* shows: outbox */
Test(outbox, beyond_its_bound_the_last_value_of_a_place_wins)
{
    DV_AUTO(dv_outbox) outbox = dv_outbox_new(2, 10);
    struct dv_twin_change a = change("A", "state", "1");
    struct dv_twin_change b = change("B", "state", "2");
    struct dv_twin_change c = change("A", "state", "3");
    struct dv_twin_change d = change("C", "state", "4");
    cr_assert(dv_outbox_add(outbox, &a) && dv_outbox_add(outbox, &b));
    cr_assert(dv_outbox_add(outbox, &c));
    cr_assert_not(dv_outbox_add(outbox, &d), "nothing to replace: dropped");
    cr_assert_eq(dv_outbox_dropped(outbox), 1);
    cr_assert_str_eq(dv_outbox_next(outbox)->value, "2");
    cr_assert_str_eq(dv_outbox_next(outbox)->value, "3");
    cr_assert_null(dv_outbox_next(outbox));
}

Test(outbox, beyond_its_bound_a_whole_feature_replaces_what_waits_of_it)
{
    DV_AUTO(dv_outbox) outbox = dv_outbox_new(3, 10);
    struct dv_twin_change whole = {.kind = DV_TWIN_FEATURE, .feature = (char *)"A"};
    struct dv_twin_change state = change("A", "state", "1");
    struct dv_twin_change other = change("B", "state", "2");
    struct dv_twin_change newest = {
        .kind = DV_TWIN_FEATURE, .feature = (char *)"A", .value = (char *)"3"};
    cr_assert(dv_outbox_add(outbox, &whole) && dv_outbox_add(outbox, &state) &&
              dv_outbox_add(outbox, &other));
    cr_assert(dv_outbox_add(outbox, &newest));
    cr_assert_str_eq(dv_outbox_next(outbox)->value, "2");
    cr_assert_str_eq(dv_outbox_next(outbox)->value, "3");
    cr_assert_null(dv_outbox_next(outbox), "an older state does not come behind it");
}

/* shows: outbox */
Test(outbox, a_delete_is_never_dropped)
{
    DV_AUTO(dv_outbox) outbox = dv_outbox_new(1, 10);
    struct dv_twin_change a = change("A", "state", "1");
    struct dv_twin_change gone = {.kind = DV_TWIN_DELETE, .feature = (char *)"B"};
    cr_assert(dv_outbox_add(outbox, &a) && dv_outbox_add(outbox, &gone));
    cr_assert_str_eq(dv_outbox_next(outbox)->feature, "A");
    cr_assert_str_eq(dv_outbox_next(outbox)->feature, "B");
}

Test(outbox, a_lost_link_forgets_what_was_open)
{
    DV_AUTO(dv_outbox) outbox = dv_outbox_new(10, 1);
    struct dv_twin_change a = change("A", "state", "1");
    cr_assert(dv_outbox_add(outbox, &a));
    int64_t old = dv_outbox_next(outbox)->number;
    dv_outbox_clear(outbox);
    cr_assert_eq(dv_outbox_open(outbox), 0);
    cr_assert(dv_outbox_add(outbox, &a));
    cr_assert_not_null(dv_outbox_next(outbox));
    dv_outbox_acknowledge(outbox, old);
    cr_assert_eq(dv_outbox_open(outbox), 1, "an old acknowledgement opens no window");
}

Test(outbox, a_change_of_another_thing_is_not_replaced)
{
    DV_AUTO(dv_outbox) outbox = dv_outbox_new(2, 10);
    struct dv_twin_change here = {.kind = DV_TWIN_FEATURE, .feature = (char *)"A"};
    struct dv_twin_change there = {.kind = DV_TWIN_DELETE, .feature = (char *)"A", .thing = 1};
    cr_assert(dv_outbox_add(outbox, &there) && dv_outbox_add(outbox, &here));
    cr_assert(dv_outbox_add(outbox, &here), "replaces the one of its own thing");
    cr_assert_eq(dv_outbox_next(outbox)->kind, DV_TWIN_DELETE);
    cr_assert_eq(dv_outbox_next(outbox)->kind, DV_TWIN_FEATURE);
    cr_assert_null(dv_outbox_next(outbox));
}
