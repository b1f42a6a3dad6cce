/* SPDX-License-Identifier: Apache-2.0 */
/* Images expire by time that passed, not by a clock that was set. */
#include "layout.h"
#include "runtime/image/collect.h"
#include "runtime/image/watch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define REF     "localhost:5000/demo/hello:1"
#define HOUR_NS (3600 * 1000000000LL)
#define DAY_NS  (24 * HOUR_NS)
#define YEAR_NS (365 * DAY_NS)
#define NOW_NS  (INT64_C(1795680000) * 1000000000) /* 2026 */
#define EXPIRY  (31 * DAY_NS)

static char dir[SCRATCH_PATH_MAX], home[SCRATCH_PATH_MAX + 16];
static struct dv_image_store *store;
static struct dv_arena *arena;

static void setup(void)
{
    struct made_image made;
    struct dv_error err = DV_ERROR_INIT;
    scratch_init(dir);
    (void)snprintf(home, sizeof(home), "%s/home", dir);
    arena = dv_arena_new(32U << 20);
    store = open_store(home, "/opt/davit-unpack");
    make_layout(dir, false);
    bring_blobs(dir, store, arena, &made);
    cr_assert_eq(dv_image_store_commit(store, REF, &made.manifest, &err), 0, "%s", err.text);
}

static void teardown(void)
{
    dv_image_store_free(store);
    dv_arena_free(arena);
    scratch_done(dir);
}

TestSuite(watch, .init = setup, .fini = teardown);

static void set_stored(int64_t stored_ns)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_store_restamp(store, REF, stored_ns, &err), 0, "%s", err.text);
}

static int64_t stored(void)
{
    struct dv_stored_image image;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_store_find(store, REF, arena, &image, &err), 0, "%s", err.text);
    return image.stored_ns;
}

static int64_t look(int64_t now_ns)
{
    int64_t jump_ns = -1;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_watch(store, now_ns, &jump_ns, &err), 0, "%s", err.text);
    return jump_ns;
}

/* A collection as the actor orders it at `now_ns`; whether the image went. */
static bool expires(int64_t now_ns)
{
    struct dv_image_collect_job job = {
        .now_ns = now_ns, .before_ns = now_ns - EXPIRY, .orphans_before_ns = 1};
    struct dv_image_collected collected = {0};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_collect(store, &job, arena, &collected, &err), 0, "%s", err.text);
    return collected.images.count == 1;
}

Test(watch, looks_that_follow_each_other_leave_stamps_alone)
{
    set_stored(NOW_NS - 3 * DAY_NS);
    cr_expect_eq(look(NOW_NS), 0, "the first one has nothing to compare with");
    cr_expect_eq(look(NOW_NS + HOUR_NS), 0);
    cr_expect_eq(look(NOW_NS - HOUR_NS), 0, "an hour is no jump: daylight, ntp");
    cr_expect_eq(stored(), NOW_NS - 3 * DAY_NS);
}

Test(watch, an_image_is_as_old_after_a_jump_as_before)
{
    static const int64_t years[] = {5, 40, -3};
    int64_t now_ns = NOW_NS;
    for (size_t i = 0; i < sizeof(years) / sizeof(years[0]); i++) {
        set_stored(now_ns - 30 * DAY_NS);
        cr_assert_not(expires(now_ns));
        now_ns += years[i] * YEAR_NS;
        cr_expect_not(expires(now_ns), "%lld years", (long long)years[i]);
        cr_expect_eq(stored(), now_ns - 30 * DAY_NS, "%lld years", (long long)years[i]);
    }
    now_ns += HOUR_NS;
    for (int hour = 0; hour < 22; hour++, now_ns += HOUR_NS)
        cr_assert_not(expires(now_ns), "hour %d", hour);
    now_ns += 2 * HOUR_NS;
    cr_expect(expires(now_ns), "its time has come");
}

Test(watch, what_came_after_the_jump_is_new)
{
    (void)look(NOW_NS);
    set_stored(NOW_NS + 5 * YEAR_NS - HOUR_NS);
    cr_expect_eq(look(NOW_NS + 5 * YEAR_NS), 5 * YEAR_NS);
    cr_expect_eq(stored(), NOW_NS + 5 * YEAR_NS, "not in the future");
    set_stored(NOW_NS + YEAR_NS);
    cr_expect_eq(look(NOW_NS + 2 * YEAR_NS), -3 * YEAR_NS);
    cr_expect_eq(stored(), NOW_NS + YEAR_NS, "of before the clock was ahead, or after: as it says");
}

Test(watch, what_was_stored_before_the_clock_was_set_is_new)
{
    (void)look(NOW_NS);
    set_stored(12 * HOUR_NS); /* 1970 */
    cr_expect_eq(look(NOW_NS + HOUR_NS), 0);
    cr_expect_eq(stored(), NOW_NS + HOUR_NS);
}

Test(watch, a_damaged_file_is_none)
{
    char path[SCRATCH_PATH_MAX + 64];
    (void)look(NOW_NS);
    (void)snprintf(path, sizeof(path), "%s/images/watched", home);
    FILE *file = fopen(path, "w");
    cr_assert_not_null(file);
    cr_assert_gt(fputs("soon\n", file), 0);
    cr_assert_eq(fclose(file), 0);
    set_stored(NOW_NS);
    cr_expect_eq(look(NOW_NS + 5 * YEAR_NS), 0);
    cr_expect_eq(look(NOW_NS + 10 * YEAR_NS), 5 * YEAR_NS);
}
