/* SPDX-License-Identifier: Apache-2.0 */
/* What a machine has of containers that no record knows. */
#include "runtime/fake/driver.h"
#include "tests/support/daemon_sim.h"

#include <criterion/criterion.h>
#include <string.h>

static struct daemon_sim *sim;

static void setup(void)
{
    sim = daemon_sim_new(11);
    fake_cloud_set_link(sim->cloud, true);
}

static void teardown(void)
{
    daemon_sim_free(sim);
}

TestSuite(leftovers, .init = setup, .fini = teardown);

static void start_daemon(void)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(daemon_sim_start(sim, &err), 0, "%s", err.text);
    daemon_sim_run(sim, 5000);
}

static void make(const char *id, bool starts)
{
    struct dv_restart_policy policy = {0};
    struct dv_log_config log = {0};
    struct dv_container_spec spec = {
        .image_ref = (char *)"reg.sim/app:1", .restart_policy = &policy, .log = &log};
    struct dv_container_state state = {0};
    struct dv_container_record record = {
        .id = (char *)id, .name = (char *)id, .spec = &spec, .state = &state};
    struct dv_runtime_create_job job = {.record = &record, .timeout_ms = 1000};
    struct dv_runtime_start_job start = {.id = (char *)id, .timeout_ms = 1000};
    struct dv_runtime_created created;
    struct dv_runtime *driver;
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    cr_assert_eq(dv_fake_driver_new(sim->machine, &driver, NULL), 0);
    cr_assert_eq(driver->ops->create(driver, &job, arena, &created, NULL), 0);
    if (starts)
        cr_assert_eq(driver->ops->start(driver, &start, NULL), 0);
    driver->ops->free(driver);
}

static size_t layers(void)
{
    struct dv_fake_counts counts;
    dv_fake_machine_count(sim->machine, &counts);
    return counts.layers;
}

Test(leftovers, of_a_crashed_create_go_at_the_next_start)
{
    make("nobody", false);
    cr_assert_eq(layers(), 1);
    start_daemon();
    cr_expect_eq(layers(), 0);
    cr_expect_eq(dv_fake_machine_status(sim->machine, "nobody"), DV_STATUS_UNKNOWN);
}

Test(leftovers, what_runs_is_not_touched)
{
    make("runs", true);
    start_daemon();
    cr_expect_eq(layers(), 1);
    cr_expect_eq(dv_fake_machine_status(sim->machine, "runs"), DV_STATUS_RUNNING);
}

Test(leftovers, known_containers_stay)
{
    start_daemon();
    (void)fake_cloud_send(sim->cloud, "ContainerFactory", "create",
                          "{\"imageRef\":\"reg.sim/app:1\",\"start\":true}", NULL, true);
    daemon_sim_run(sim, 5000);
    cr_assert_eq(layers(), 1);
    daemon_sim_reboot(sim);
    make("nobody", false);
    cr_assert_eq(layers(), 2);
    start_daemon();
    cr_expect_eq(layers(), 1);
    struct dv_fake_counts counts;
    dv_fake_machine_count(sim->machine, &counts);
    cr_expect_eq(counts.running, 1, "it came back");
}
