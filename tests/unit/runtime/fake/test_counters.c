/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/counters.h"
#include "runtime/fake/driver.h"

#include <criterion/criterion.h>

#define SECOND 1000000000LL

Test(fake_counters, a_running_container_uses_a_foretold_share_until_it_ends)
{
    struct dv_clock_fake clock;
    struct dv_fake_machine *machine;
    struct dv_runtime *driver;
    struct dv_counter_source *source;
    struct dv_runtime_created created;
    struct dv_counter_set *set = NULL;
    struct dv_counter_pass first;
    struct dv_counter_pass second;
    struct dv_counters before;
    struct dv_counters after;
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    dv_clock_fake_init(&clock, 5 * SECOND, 1000 * SECOND);
    struct dv_fake_machine_options options = {.clock = &clock.clock};
    cr_assert_eq(dv_fake_machine_new(&options, &machine, NULL), 0);
    cr_assert_eq(dv_fake_driver_new(machine, &driver, NULL), 0);
    cr_assert_eq(dv_fake_counters_new(machine, &source, NULL), 0);
    struct dv_container_spec spec = {.image_ref = (char *)"host/image:1"};
    struct dv_container_record record = {.id = (char *)"a", .name = (char *)"a", .spec = &spec};
    struct dv_runtime_create_job create = {.record = &record, .timeout_ms = 1000};
    struct dv_counter_target target = {.id = "a"};
    cr_assert_eq(source->open(source, &target, &set, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(driver->ops->create(driver, &create, arena, &created, NULL), 0);
    struct dv_runtime_start_job start = {.id = (char *)"a", .timeout_ms = 1000};
    cr_assert_eq(driver->ops->start(driver, &start, NULL), 0);
    target.pid = created.pid;
    cr_assert_eq(source->open(source, &target, &set, NULL), 0);
    cr_assert_eq(source->begin(source, &first, NULL), 0);
    cr_assert_eq(source->read(source, set, &before, NULL), 0);
    dv_clock_fake_advance(&clock, 10 * SECOND);
    cr_assert_eq(source->begin(source, &second, NULL), 0);
    cr_assert_eq(source->read(source, set, &after, NULL), 0);
    double share = 100.0 * (double)(after.cpu_ns - before.cpu_ns) /
                   (double)(second.cpu_total_ns - first.cpu_total_ns);
    cr_assert_float_eq(share, DV_FAKE_CPU_PERCENT, 0.001);
    cr_assert_eq(after.net_read - before.net_read, 10 * DV_FAKE_BYTES_A_SECOND);
    cr_assert_eq(dv_fake_machine_end(machine, "a", 0, false, NULL), 0);
    cr_assert_eq(source->read(source, set, &after, NULL), -DV_ERR_NOT_FOUND);
    source->close(source, set);
    source->free(source);
    driver->ops->free(driver);
    dv_fake_machine_free(machine);
}
