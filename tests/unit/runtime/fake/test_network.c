/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/driver.h"
#include "runtime/fake/network.h"

#include <criterion/criterion.h>
#include <string.h>

#define SECOND 1000000000LL

struct rig {
    struct dv_clock_fake clock;
    struct dv_fake_machine *machine;
    struct dv_runtime *driver;
    struct dv_network *network;
    struct dv_arena *arena;
    int64_t pid;
};

static void rig_init(struct rig *rig)
{
    struct dv_container_spec spec = {.image_ref = (char *)"host/image:1"};
    struct dv_container_state state = {.status = DV_STATUS_CREATED};
    struct dv_container_record record = {
        .id = (char *)"a", .name = (char *)"web", .spec = &spec, .state = &state};
    struct dv_runtime_create_job job = {.record = &record, .timeout_ms = 1000};
    struct dv_runtime_created created = {0};
    memset(rig, 0, sizeof(*rig));
    dv_clock_fake_init(&rig->clock, 5 * SECOND, 1000 * SECOND);
    struct dv_fake_machine_options options = {.clock = &rig->clock.clock};
    cr_assert_eq(dv_fake_machine_new(&options, &rig->machine, NULL), 0);
    cr_assert_eq(dv_fake_driver_new(rig->machine, &rig->driver, NULL), 0);
    cr_assert_eq(dv_fake_network_new(rig->machine, &rig->network, NULL), 0);
    rig->arena = dv_arena_new(1U << 20);
    cr_assert_eq(rig->driver->ops->create(rig->driver, &job, rig->arena, &created, NULL), 0);
    rig->pid = created.pid;
}

static void rig_done(struct rig *rig)
{
    rig->network->free(rig->network);
    rig->driver->ops->free(rig->driver);
    dv_fake_machine_free(rig->machine);
    dv_arena_free(rig->arena);
}

static int attach(struct rig *rig, struct dv_network_settings *ret, struct dv_error *err)
{
    struct dv_network_attach_cmd cmd = {
        .id = (char *)"a", .name = (char *)"web", .pid = rig->pid, .start_ticks = 1};
    return rig->network->attach(rig->network, &cmd, rig->arena, ret, err);
}

static size_t connected(const struct rig *rig)
{
    struct dv_fake_counts counts;
    dv_fake_machine_count(rig->machine, &counts);
    return counts.networks;
}

Test(fake_network, a_check_of_ports_can_be_made_to_fail)
{
    struct rig rig;
    rig_init(&rig);
    struct dv_network_check_query query = {.id = (char *)"b"};
    cr_assert_eq(dv_fake_machine_fail(rig.machine, DV_FAKE_CHECK_PORTS, "b", 1, DV_ERR_FAILED,
                                      "taken", NULL),
                 0);
    cr_assert_eq(rig.network->check(rig.network, &query, NULL), -DV_ERR_FAILED);
    cr_assert_eq(rig.network->check(rig.network, &query, NULL), 0);
    rig_done(&rig);
}

Test(fake_network, connects_once_and_finds_again)
{
    struct rig rig;
    struct dv_network_settings first = {0};
    struct dv_network_settings second = {0};
    struct dv_network_settings found = {0};
    rig_init(&rig);
    cr_assert_eq(attach(&rig, &first, NULL), 0);
    cr_assert_eq(attach(&rig, &second, NULL), 0);
    cr_assert_str_eq(first.address, second.address);
    cr_assert_eq(rig.network->find(rig.network, "a", rig.arena, &found, NULL), 0);
    cr_assert_str_eq(first.address, found.address);
    cr_assert_eq(connected(&rig), 1);
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    cr_assert_eq(rig.network->detach(rig.network, "a", NULL), 0);
    cr_assert_eq(rig.network->find(rig.network, "a", rig.arena, &found, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(connected(&rig), 0);
    rig_done(&rig);
}

Test(fake_network, fails_as_scripted)
{
    struct rig rig;
    struct dv_network_settings settings = {0};
    struct dv_error err = DV_ERROR_INIT;
    rig_init(&rig);
    cr_assert_eq(dv_fake_machine_fail(rig.machine, DV_FAKE_ATTACH, "a", 1, DV_ERR_LIMIT,
                                      "no address is free", NULL),
                 0);
    cr_assert_eq(attach(&rig, &settings, &err), -DV_ERR_LIMIT);
    cr_assert_eq(connected(&rig), 0);
    cr_assert_eq(attach(&rig, &settings, NULL), 0);
    rig_done(&rig);
}

Test(fake_network, drops_what_is_dead_when_it_is_made_anew)
{
    struct rig rig;
    struct dv_network_settings settings = {0};
    rig_init(&rig);
    cr_assert_eq(attach(&rig, &settings, NULL), 0);
    rig.network->free(rig.network);
    cr_assert_eq(dv_fake_network_new(rig.machine, &rig.network, NULL), 0);
    cr_assert_eq(connected(&rig), 1, "it lives");
    dv_fake_machine_reboot(rig.machine);
    cr_assert_eq(connected(&rig), 0);
    rig_done(&rig);
}
