/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/meter/figures.h"

#include <criterion/criterion.h>

Test(figures, idle_and_waiting_for_io_are_not_busy)
{
    int64_t busy;
    int64_t total;
    cr_assert(dv_meter_cpu(DV_STR("cpu  10 20 30 400 50 6 7 8 900 1000\ncpu0 1 1 1 1 1 1 1 1\n"),
                           &busy, &total));
    cr_assert_eq(busy, 10 + 20 + 30 + 6 + 7 + 8);
    cr_assert_eq(total, busy + 450);
}

Test(figures, a_stat_file_without_the_first_line_is_refused)
{
    int64_t busy = 1;
    int64_t total = 2;
    cr_assert_not(dv_meter_cpu(DV_STR("cpu0 1 2 3 4 5 6 7 8\n"), &busy, &total));
    cr_assert_not(dv_meter_cpu(DV_STR("cpu 1 2 3\n"), &busy, &total));
    cr_assert_not(dv_meter_cpu(DV_STR(""), &busy, &total));
    cr_assert_eq(busy, 1);
    cr_assert_eq(total, 2);
}

Test(figures, memory_that_is_not_available_is_used)
{
    int64_t used;
    int64_t total;
    cr_assert(dv_meter_memory(
        DV_STR("MemTotal:  1000 kB\nMemFree:  1 kB\nMemAvailable:    400 kB\n"), &used, &total));
    cr_assert_eq(used, 600 * 1024);
    cr_assert_eq(total, 1000 * 1024);
}

Test(figures, memory_needs_both_numbers)
{
    int64_t used = 1;
    int64_t total = 2;
    cr_assert_not(dv_meter_memory(DV_STR("MemTotal:  1000 kB\n"), &used, &total));
    cr_assert_eq(used, 1);
}

Test(figures, tasks_are_behind_the_slash)
{
    int64_t tasks;
    cr_assert(dv_meter_tasks(DV_STR("0.82 1.64 2.00 1/102 25687\n"), &tasks));
    cr_assert_eq(tasks, 102);
    cr_assert_not(dv_meter_tasks(DV_STR("0.82 1.64 2.00\n"), &tasks));
}

Test(figures, a_disk_counts_sectors)
{
    struct dv_str name;
    int64_t read;
    int64_t write;
    cr_assert(
        dv_meter_disk(DV_STR(" 254       0 vda 7 1 2 4 6 9 8 7 0 3 1"), &name, &read, &write));
    cr_assert(dv_str_eq(name, "vda"));
    cr_assert_eq(read, 2 * 512);
    cr_assert_eq(write, 8 * 512);
    cr_assert_not(dv_meter_disk(DV_STR(" 254 0 vda 7 1"), &name, &read, &write));
}

Test(figures, interfaces_add_up_without_the_loopback_and_the_headings)
{
    static const char *const lines[] = {
        "Inter-|   Receive                            |  Transmit",
        " face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs",
        "    lo: 177 2 0 0 0 0 0 0 177 2 0 0 0 0 0 0",
        "  eth0: 100 3 0 0 0 0 0 0 20 4 0 0 0 0 0 0",
        "  eth1:1 3 0 0 0 0 0 0 2 4 0 0 0 0 0 0",
    };
    int64_t received = 0;
    int64_t sent = 0;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        dv_meter_add_net(dv_str_of(lines[i]), &received, &sent);
    cr_assert_eq(received, 101);
    cr_assert_eq(sent, 22);
}
