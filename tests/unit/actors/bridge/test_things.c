/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/things.h"

#include <criterion/criterion.h>
#include <stdio.h>

#define MANY 4000

static const char *id_of(unsigned i)
{
    static char id[64];
    snprintf(id, sizeof(id), "%08x-0000-4000-8000-%012x", i * 2654435761U, i);
    return id;
}

/* Whoever changes these moves the containers of everybody who has several things. */
Test(things, places_are_for_ever)
{
    cr_expect_eq(dv_things_place("6d1a2f3e-8f5b-4d0a-9c3e-1b2c3d4e5f60", 1), 0);
    cr_expect_eq(dv_things_place("6d1a2f3e-8f5b-4d0a-9c3e-1b2c3d4e5f60", 3), 0);
    cr_expect_eq(dv_things_place("6d1a2f3e-8f5b-4d0a-9c3e-1b2c3d4e5f60", 64), 38);
    cr_expect_eq(dv_things_place("web", 3), 0);
    cr_expect_eq(dv_things_place("web", 64), 55);
    cr_expect_eq(dv_things_place("", 64), 17);
}

Test(things, containers_are_spread_evenly)
{
    for (unsigned count = 1; count <= DV_THINGS_MAX; count = count * 2 + 1) {
        unsigned found[DV_THINGS_MAX] = {0};
        for (unsigned i = 0; i < MANY; i++) {
            unsigned place = dv_things_place(id_of(i), count);
            cr_assert_lt(place, count);
            found[place]++;
        }
        for (unsigned k = 0; k < count; k++) {
            cr_expect_gt(found[k], MANY / count / 2, "thing %u of %u has %u", k, count, found[k]);
            cr_expect_lt(found[k], MANY / count * 2, "thing %u of %u has %u", k, count, found[k]);
        }
    }
}

Test(things, only_what_must_move_moves)
{
    for (unsigned count = 1; count < DV_THINGS_MAX; count++)
        for (unsigned i = 0; i < 500; i++) {
            unsigned before = dv_things_place(id_of(i), count);
            unsigned after = dv_things_place(id_of(i), count + 1);
            cr_assert(after == before || after == count, "%s moved from %u to %u of %u", id_of(i),
                      before, after, count + 1);
        }
}

Test(things, where_a_container_was_is_known_by_the_numbers_of_before)
{
    DV_AUTO(dv_things) things = dv_things_new("test", 2, DV_TWIN_FULL, 0);
    unsigned moved = 0;
    cr_assert_not(dv_things_has_before(things));
    dv_things_set_before(things, 1U << 1);
    cr_assert_not(dv_things_has_before(things), "the number of now is none of before");
    dv_things_set_before(things, 1U << 0 | 1U << 1 | 1U << 4);
    cr_assert(dv_things_has_before(things));
    for (unsigned i = 0; i < 200; i++) {
        const char *id = id_of(i);
        uint64_t may = 1U << dv_things_place(id, 1) | 1U << dv_things_place(id, 5);
        uint64_t now = 1U << dv_things_of(things, id);
        cr_assert_eq(dv_things_of(things, id), dv_things_place(id, 2));
        cr_assert_eq(dv_things_had(things, id), may & ~now);
        moved += dv_things_had(things, id) != 0;
    }
    cr_assert_gt(moved, 0);
}

Test(things, each_is_weighed_and_settles_by_itself)
{
    DV_AUTO(dv_things) things = dv_things_new("test", 2, DV_TWIN_AUTO, 10000);
    struct dv_bridge_thing each[DV_THINGS_MAX];
    struct dv_bridge_note note = {0};
    unsigned i = 0;
    while (dv_things_of(things, id_of(i)) != 1)
        i++;
    dv_weight_set(dv_things_weight_of(things, id_of(i)), id_of(i), 20000, 1000);
    cr_assert(dv_things_settle(things));
    cr_assert_not(dv_things_settle(things), "settled");
    dv_things_note(things, each, &note);
    cr_assert_eq(note.things.count, 2);
    cr_assert_not(note.is_compact);
    cr_assert_not(note.things.items[0].is_compact);
    cr_assert(note.things.items[1].is_compact);
    cr_assert_eq(note.thing_bytes, note.things.items[0].bytes);
    cr_assert_gt(note.things.items[1].bytes, note.things.items[0].bytes);
    dv_things_clear(things);
    cr_assert_eq(dv_weight_bytes(dv_things_weight(things, 1)),
                 dv_weight_bytes(dv_things_weight(things, 0)));
}

Test(things, one_is_not_listed)
{
    DV_AUTO(dv_things) things = dv_things_new("test", 1, DV_TWIN_AUTO, 10000);
    struct dv_bridge_thing each[DV_THINGS_MAX];
    struct dv_bridge_note note = {0};
    dv_things_note(things, each, &note);
    cr_assert_eq(note.things.count, 0);
    cr_assert_gt(note.thing_bytes, 0);
}
