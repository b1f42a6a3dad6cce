/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup/figures.h"

#include <criterion/criterion.h>

Test(figures, a_number_is_read_with_its_line_end)
{
    int64_t value;
    cr_assert(dv_cgroup_figure(DV_STR("8216008596671\n"), &value));
    cr_assert_eq(value, 8216008596671);
}

Test(figures, no_limit_reads_as_the_largest_number)
{
    int64_t value;
    cr_assert(dv_cgroup_figure(DV_STR("max\n"), &value));
    cr_assert_eq(value, INT64_MAX);
    cr_assert(dv_cgroup_figure(DV_STR("18446744073709551615\n"), &value));
    cr_assert_eq(value, INT64_MAX);
}

Test(figures, what_is_no_number_leaves_the_value)
{
    int64_t value = 7;
    cr_assert_not(dv_cgroup_figure(DV_STR(""), &value));
    cr_assert_not(dv_cgroup_figure(DV_STR("\n"), &value));
    cr_assert_not(dv_cgroup_figure(DV_STR("-1\n"), &value));
    cr_assert_not(dv_cgroup_figure(DV_STR("1 2\n"), &value));
    cr_assert_eq(value, 7);
}

Test(figures, a_key_is_matched_as_a_whole)
{
    const struct dv_str text = DV_STR("inactive_file 40960\ntotal_inactive_file 337600512\nx 1\n");
    int64_t value;
    cr_assert(dv_cgroup_figure_of(text, "inactive_file", &value));
    cr_assert_eq(value, 40960);
    cr_assert(dv_cgroup_figure_of(text, "total_inactive_file", &value));
    cr_assert_eq(value, 337600512);
    cr_assert_not(dv_cgroup_figure_of(text, "file", &value));
}

Test(figures, a_last_line_without_an_end_counts)
{
    int64_t value;
    cr_assert(dv_cgroup_figure_of(DV_STR("usage_usec 12"), "usage_usec", &value));
    cr_assert_eq(value, 12);
}

Test(figures, devices_of_v2_add_up)
{
    int64_t read = 0;
    int64_t write = 0;
    cr_assert(dv_cgroup_add_io_v2(DV_STR("8:0 rbytes=100 wbytes=20 rios=1 wios=1 dbytes=0 dios=0"),
                                  &read, &write));
    cr_assert(dv_cgroup_add_io_v2(DV_STR("8:16 rbytes=5 wbytes=6"), &read, &write));
    cr_assert_eq(read, 105);
    cr_assert_eq(write, 26);
}

Test(figures, a_device_of_v2_that_counted_nothing_tells_nothing)
{
    int64_t read = 0;
    int64_t write = 0;
    cr_assert_not(dv_cgroup_add_io_v2(DV_STR("8:0 "), &read, &write));
    cr_assert_not(dv_cgroup_add_io_v2(DV_STR("8:0 rbytes=x"), &read, &write));
}

Test(figures, only_reads_and_writes_of_v1_add_up)
{
    static const char *const lines[] = {"254:0 Read 4096",  "254:0 Write 8192",  "254:0 Sync 8192",
                                        "254:0 Async 4096", "254:0 Total 12288", "Total 12288"};
    int64_t read = 0;
    int64_t write = 0;
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        cr_assert_eq(dv_cgroup_add_io_v1(dv_str_of(lines[i]), &read, &write), i < 2);
    cr_assert_eq(read, 4096);
    cr_assert_eq(write, 8192);
}

Test(figures, sums_do_not_overflow)
{
    int64_t read = INT64_MAX - 1;
    int64_t write = 0;
    cr_assert(dv_cgroup_add_io_v1(DV_STR("8:0 Read 4096"), &read, &write));
    cr_assert_eq(read, INT64_MAX);
}
