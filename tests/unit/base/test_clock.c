/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define S            1000000000LL

Test(clock, the_real_clocks_go_on)
{
    const struct dv_clock *clock = dv_clock_real();
    int64_t first = dv_clock_monotonic_ns(clock);
    int64_t second = dv_clock_monotonic_ns(clock);
    cr_assert_gt(first, 0);
    cr_assert_geq(second, first);
    cr_assert_gt(dv_clock_wall_ns(clock), 1700000000 * S);
}

Test(clock, a_fake_clock_stands_still_until_told)
{
    struct dv_clock_fake fake;
    dv_clock_fake_init(&fake, 5, 100);
    cr_assert_eq(dv_clock_monotonic_ns(&fake.clock), 5);
    cr_assert_eq(dv_clock_monotonic_ns(&fake.clock), 5);
    cr_assert_eq(dv_clock_wall_ns(&fake.clock), 100);
    dv_clock_fake_advance(&fake, 7);
    cr_assert_eq(dv_clock_monotonic_ns(&fake.clock), 12);
    cr_assert_eq(dv_clock_wall_ns(&fake.clock), 107);
    /* Somebody sets the machine's time back. */
    fake.wall_ns = 1;
    cr_assert_eq(dv_clock_monotonic_ns(&fake.clock), 12);
    cr_assert_eq(dv_clock_wall_ns(&fake.clock), 1);
}

/* Times that read and write the same. */
static const struct {
    int64_t ns;
    const char *text;
} exact[] = {
    {0, "1970-01-01T00:00:00Z"},
    {1, "1970-01-01T00:00:00.000000001Z"},
    {-1, "1969-12-31T23:59:59.999999999Z"},
    {-S, "1969-12-31T23:59:59Z"},
    {-S - 1, "1969-12-31T23:59:58.999999999Z"},
    {1719561600 * S, "2024-06-28T08:00:00Z"},
    {1719561600 * S + 100000000, "2024-06-28T08:00:00.1Z"},
    {1719561600 * S + 100, "2024-06-28T08:00:00.0000001Z"},
    {1719561600 * S + 123456789, "2024-06-28T08:00:00.123456789Z"},
    {951782400 * S, "2000-02-29T00:00:00Z"},
    {2147483648 * S, "2038-01-19T03:14:08Z"},
};

Test(clock, times_are_written_in_utc_without_trailing_zeros)
{
    char text[DV_TIME_TEXT_SIZE];
    for (size_t i = 0; i < COUNT(exact); i++)
        cr_assert_str_eq(dv_time_format(exact[i].ns, text), exact[i].text);
    cr_assert_str_eq(dv_time_format(INT64_MAX, text), "2262-04-11T23:47:16.854775807Z");
    cr_assert_str_eq(dv_time_format(INT64_MIN, text), "1677-09-21T00:12:43.145224192Z");
}

Test(clock, times_are_read_as_they_were_written)
{
    for (size_t i = 0; i < COUNT(exact); i++) {
        int64_t ns = 4711;
        cr_assert(dv_time_parse(exact[i].text, strlen(exact[i].text), &ns), "%s", exact[i].text);
        cr_assert_eq(ns, exact[i].ns, "%s: %" PRId64, exact[i].text, ns);
    }
}

Test(clock, offsets_and_other_forms_of_rfc_3339_are_read)
{
    static const struct {
        const char *text;
        int64_t expected_ns;
    } table[] = {
        {"2024-06-28T10:00:00+02:00", 1719561600 * S},
        {"2024-06-28T02:30:00-05:30", 1719561600 * S},
        {"2024-06-28t08:00:00z", 1719561600 * S},
        {"2024-06-28 08:00:00Z", 1719561600 * S},
        {"2024-06-28T08:00:00.100Z", 1719561600 * S + 100000000},
        {"2024-06-28T08:00:00.1234567899999Z", 1719561600 * S + 123456789},
        {"2016-12-31T23:59:60Z", 1483228800 * S}, /* a leap second */
        {"2024-02-29T00:00:00Z", 1709164800 * S},
        {"2000-02-29T00:00:00Z", 951782400 * S},
        /* Go's zero time stands for "never". */
        {"0001-01-01T00:00:00Z", 0},
        {"1677-12-31T23:59:59Z", 0},
        {"1678-01-01T00:00:00Z", -9214560000 * S},
        {"2261-12-31T23:59:59Z", 9214646399 * S},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t ns = 4711;
        cr_assert(dv_time_parse(table[i].text, strlen(table[i].text), &ns), "%s", table[i].text);
        cr_assert_eq(ns, table[i].expected_ns, "%s: %" PRId64, table[i].text, ns);
    }
}

#define TEXT(literal) (literal), sizeof(literal) - 1

Test(clock, what_is_no_time_is_refused_and_writes_nothing)
{
    static const struct {
        const char *text;
        size_t len;
    } table[] = {
        {TEXT("")},
        {TEXT("2024-06-28")},
        {TEXT("2024-06-28T08:00:00")},
        {TEXT("2024-06-28T08:00Z")},
        {TEXT("24-06-28T08:00:00Z")},
        {TEXT("2024-6-28T08:00:00Z")},
        {TEXT("2024/06/28T08:00:00Z")},
        {TEXT(" 2024-06-28T08:00:00Z")},
        {TEXT("2024-06-28T08:00:00Z ")},
        {TEXT("2024-06-28T08:00:00Z\0")},
        {TEXT("2024-06-28T08:00:00.Z")},
        {TEXT("2024-06-28T08:00:00,5Z")},
        {TEXT("2024-06-28T08:00:00+2:00")},
        {TEXT("2024-06-28T08:00:00+0200")},
        {TEXT("2024-06-28T08:00:00+24:00")},
        {TEXT("2024-06-28T08:00:00+02:60")},
        {TEXT("2024-00-28T08:00:00Z")},
        {TEXT("2024-13-28T08:00:00Z")},
        {TEXT("2024-06-00T08:00:00Z")},
        {TEXT("2024-06-32T08:00:00Z")},
        {TEXT("2024-06-28T24:00:00Z")},
        {TEXT("2024-06-28T08:60:00Z")},
        {TEXT("2024-06-28T08:00:61Z")},
        {TEXT("-024-06-28T08:00:00Z")},
        {TEXT("0000-01-01T00:00:00Z")},
        {TEXT("2262-01-01T00:00:00Z")},
        {TEXT("9999-12-31T23:59:59Z")},
        /* Days that their month does not have. */
        {TEXT("2024-06-31T08:00:00Z")},
        {TEXT("2024-02-30T08:00:00Z")},
        {TEXT("2023-02-29T08:00:00Z")},
        {TEXT("2100-02-29T08:00:00Z")},
        /* A NUL is no separator. */
        {TEXT("2024\00006-28T08:00:00Z")},
        {TEXT("2024-06-28\00008:00:00Z")},
        {TEXT("2024-06-28T08:00:00\0005Z")},
        {TEXT("2024-06-28T08:00:00\000")},
        {TEXT("2024-06-28T08:00:00\00002:00")},
    };
    for (size_t i = 0; i < COUNT(table); i++) {
        int64_t ns = 4711;
        cr_assert_not(dv_time_parse(table[i].text, table[i].len, &ns), "row %zu: %s", i,
                      table[i].text);
        cr_assert_eq(ns, 4711, "row %zu: %s", i, table[i].text);
    }
}

Test(clock, every_beginning_of_a_time_is_refused)
{
    static const char text[] = "2024-06-28T08:00:00.5+02:00";
    int64_t ns;
    for (size_t len = 0; len < sizeof(text) - 1; len++)
        cr_assert_not(dv_time_parse(text, len, &ns), "%.*s", (int)len, text);
    cr_assert(dv_time_parse(text, sizeof(text) - 1, &ns));
}

Test(clock, a_clock_that_was_never_set_is_known)
{
    char told[DV_TIME_TOLD_SIZE];
    cr_expect_not(dv_time_is_set(0));
    cr_expect_not(dv_time_is_set(12 * S));
    cr_expect(dv_time_is_set(1795680000 * S));
    cr_expect_str_eq(dv_time_tell(12 * S + 5, told),
                     "this machine's clock shows 1970-01-01T00:00:12Z: it is not set");
    cr_expect_str_eq(dv_time_tell(1795680000 * S, told),
                     "this machine's clock shows 2026-11-26T08:00:00Z");
}
