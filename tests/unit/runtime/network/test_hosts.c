/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/hosts.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static bool resolve(void *ctx, const char *value, char ret[DV_IP4_TEXT_MAX])
{
    (void)ctx;
    if (strcmp(value, "host_ip") != 0 && strcmp(value, "container_db-host") != 0)
        return false;
    snprintf(ret, DV_IP4_TEXT_MAX, "%s", value[0] == 'h' ? "172.17.0.1" : "172.17.0.9");
    return true;
}

static const char *own_lines(const char *domain, struct dv_texts extra, struct dv_buf *out)
{
    struct dv_hosts hosts = {
        .host_name = "web-host",
        .domain_name = domain,
        .address = "172.17.0.2",
        .extra_hosts = &extra,
        .resolve = resolve,
    };
    static const char block[] = "127.0.0.1\tlocalhost\n"
                                "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                "fe00::0\tip6-localnet\n"
                                "ff00::0\tip6-mcastprefix\n"
                                "ff02::1\tip6-allnodes\n"
                                "ff02::2\tip6-allrouters\n";
    cr_assert_eq(dv_hosts_text(&hosts, out, NULL), 0);
    cr_assert_eq(strncmp(out->data, block, strlen(block)), 0);
    return out->data + strlen(block);
}

Test(hosts, a_container_finds_itself)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_assert_str_eq(own_lines("example.org", (struct dv_texts){0}, &out),
                     "172.17.0.2\tweb-host.example.org web-host\n");
    dv_buf_clear(&out);
    cr_assert_str_eq(own_lines(NULL, (struct dv_texts){0}, &out), "172.17.0.2\tweb-host\n");
}

/* shows: D29, K40 */
Test(hosts, reserved_values_are_resolved_and_what_leads_nowhere_is_left_out)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    static const char *const items[] = {"gw:host_ip", "db:container_db-host", "x:host_ip_none",
                                        "y:container_none", "z:10.0.0.1"};
    struct dv_texts extra = {(char **)(void *)items, 5};
    cr_assert_str_eq(own_lines("", extra, &out), "172.17.0.1\tgw\n172.17.0.9\tdb\n10.0.0.1\tz\n"
                                                 "172.17.0.2\tweb-host\n");
}

Test(hosts, a_container_with_ipv6_finds_itself_by_both_addresses)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    struct dv_texts none = {0};
    struct dv_hosts hosts = {
        .host_name = "web",
        .domain_name = "example.org",
        .address = "172.17.0.2",
        .address6 = "fd01::ac11:2",
        .extra_hosts = &none,
        .resolve = resolve,
    };
    cr_assert_eq(dv_hosts_text(&hosts, &out, NULL), 0);
    cr_assert_not_null(strstr(out.data, "172.17.0.2\tweb.example.org web\n"
                                        "fd01::ac11:2\tweb.example.org web\n"));
}
