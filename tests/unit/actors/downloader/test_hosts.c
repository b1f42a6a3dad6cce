/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/downloader/hosts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define MS   1000000LL
#define URL  "https://r.example:5000/v2/a/manifests/1"
#define BLOB "https://R.EXAMPLE:5000/v2/a/blobs/sha256:0"

static struct hosts hosts;
static struct dv_error err;

static void teardown(void)
{
    hosts_done(&hosts);
}

TestSuite(hosts, .fini = teardown);

Test(hosts, the_first_request_goes_alone_and_the_others_wait_for_it)
{
    struct host *host = hosts_of(&hosts, URL, 0);
    cr_assert_eq(host, hosts_of(&hosts, BLOB, 0), "same server");
    cr_assert_neq(host, hosts_of(&hosts, "http://r.example:5000/v2/", 0), "another transport");
    cr_assert_eq(host_ask(host, 0, &err), HOST_GO);
    cr_assert_eq(host_ask(host, 0, &err), HOST_WAIT);
    host_answered(host);
    cr_assert_eq(host_ask(host, 0, &err), HOST_GO);
    cr_assert_eq(host_ask(host, 0, &err), HOST_GO);
}

Test(hosts, a_dead_server_rests_and_its_words_are_repeated)
{
    struct host *host = hosts_of(&hosts, URL, 0);
    struct dv_error why = DV_ERROR_INIT;
    dv_error_set(&why, DV_ERR_UNAVAILABLE, "no route");
    cr_assert_eq(host_ask(host, 0, &err), HOST_GO);
    host_unreachable(host, &why, 0);
    cr_assert_eq(host_ask(host, 999 * MS, &err), HOST_FAIL);
    cr_assert(strstr(err.text, "no route") && strstr(err.text, "1 ms"), "%s", err.text);
    cr_assert_eq(err.class, DV_ERR_UNAVAILABLE);
    cr_assert_eq(host_ask(host, 1000 * MS, &err), HOST_GO, "one tries again");
    cr_assert_eq(host_ask(host, 1000 * MS, &err), HOST_WAIT);
    host_unreachable(host, &why, 1000 * MS);
    dv_error_clear(&err);
    cr_assert_eq(host_ask(host, 2999 * MS, &err), HOST_FAIL, "twice as long");
    for (int i = 0; i < 10; i++)
        host_unreachable(host, &why, 0);
    cr_assert_eq(host_ask(host, HOST_REST_MAX_MS * MS, &err), HOST_GO, "but not for ever");
}

Test(hosts, a_busy_server_is_left_alone_as_long_as_it_wants)
{
    struct host *host = hosts_of(&hosts, URL, 0);
    cr_assert_eq(host_ask(host, 0, &err), HOST_GO);
    int64_t ms = host_busy(host, 4000, 12345, 0);
    cr_assert(ms >= 4000 && ms <= 5000, "%lld", (long long)ms);
    cr_assert_eq(host_ask(host, 3999 * MS, &err), HOST_WAIT);
    cr_assert_eq(host_ask(host, ms * MS, &err), HOST_GO);
    cr_assert_eq(host_ask(host, ms * MS, &err), HOST_WAIT, "one first");
    int64_t first = host_busy(host, 0, 0, 0);
    cr_assert_eq(host_ask(host, first * MS, &err), HOST_GO);
    cr_assert_gt(host_busy(host, 0, 0, 0), first, "longer each time");
}

Test(hosts, a_canceled_probe_lets_the_next_one_go)
{
    struct host *host = hosts_of(&hosts, URL, 0);
    cr_assert_eq(host_ask(host, 0, &err), HOST_GO);
    host_forget_probe(host);
    cr_assert_eq(host_ask(host, 0, &err), HOST_GO);
}

Test(hosts, the_table_is_bounded)
{
    char url[64];
    for (int i = 0; i < 3 * HOSTS_MAX; i++) {
        snprintf(url, sizeof(url), "https://h%d.example/", i);
        cr_assert_not_null(hosts_of(&hosts, url, i));
    }
    cr_assert_eq(hosts.count, HOSTS_MAX);
}

Test(hosts, retry_after_is_seconds_or_a_date)
{
    static const struct {
        const char *text;
        const char *date;
        int64_t ms;
    } rows[] = {
        {NULL, NULL, 0},
        {"", NULL, 0},
        {"0", NULL, 0},
        {"7", NULL, 7000},
        {"-7", NULL, 0},
        {"7x", NULL, 0},
        {"soon", NULL, 0},
        {"999999999", NULL, 7LL * 24 * 3600 * 1000},
        {"Thu, 01 Jan 1970 00:01:40 GMT", NULL, 90000},
        {"Thu, 01 Jan 1970 00:00:05 GMT", NULL, 0},
        /* Ours stands at 1970: the server's own clock counts. */
        {"Thu, 26 Nov 2026 08:00:20 GMT", "Thu, 26 Nov 2026 08:00:00 GMT", 20000},
        {"Thu, 26 Nov 2026 08:00:00 GMT", "Thu, 26 Nov 2026 08:00:20 GMT", 0},
        {"Thu, 01 Jan 1970 00:01:40 GMT", "today", 90000},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t ms = host_retry_after_ms(rows[i].text, rows[i].date, 10);
        cr_expect_eq(ms, rows[i].ms, "row %zu: %lld", i, (long long)ms);
    }
}
