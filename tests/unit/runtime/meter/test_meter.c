/* SPDX-License-Identifier: Apache-2.0 */
#include "needs.h"
#include "runtime/meter/meter.h"

#include <criterion/criterion.h>

static struct dv_counter_source *new_meter(void)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_counter_source *meter = NULL;
    struct dv_meter_options options = {.cgroup_parent = "/davit-nowhere", .kept_max = 10};
    cr_assert_eq(dv_meter_new(&options, &meter, &err), 0, "%s", err.text);
    return meter;
}

Test(meter, the_machine_is_measured)
{
    struct dv_counter_source *meter = new_meter();
    struct dv_counter_pass first;
    struct dv_counter_pass second;
    cr_assert_eq(meter->begin(meter, &first, NULL), 0);
    cr_assert_eq(meter->begin(meter, &second, NULL), 0);
    cr_assert(first.host.has_cpu && first.host.has_memory && first.host.has_tasks);
    cr_assert_gt(first.cpu_total_ns, first.host.cpu_ns);
    cr_assert_geq(second.cpu_total_ns, first.cpu_total_ns);
    cr_assert_gt(first.host.memory_total, first.host.memory_used);
    cr_assert_gt(first.host.tasks, 0);
    meter->free(meter);
}

Test(meter, a_container_that_is_not_there_is_not_found)
{
    struct dv_counter_source *meter = new_meter();
    struct dv_counter_target target = {.id = "nobody", .pid = 1};
    struct dv_counter_set *set = NULL;
    cr_assert_eq(meter->open(meter, &target, &set, NULL), -DV_ERR_NOT_FOUND);
    meter->free(meter);
}

Test(meter, an_id_that_is_no_name_is_refused)
{
    struct dv_counter_source *meter = new_meter();
    struct dv_counter_target target = {.id = "../x", .pid = 1};
    struct dv_counter_set *set = NULL;
    cr_assert_eq(meter->open(meter, &target, &set, NULL), -DV_ERR_INVALID);
    meter->free(meter);
}
