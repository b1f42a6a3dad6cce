/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/etc.h"

#include <criterion/criterion.h>
#include <string.h>

#define LOCALHOST                                                                                  \
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"     \
    "ff00::0\tip6-mcastprefix\nff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n"

static const struct dv_texts no_extra = {.items = NULL};

Test(oci_etc, hosts_name_the_container)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    char *items[] = {(char *)"gw:10.0.0.1"};
    struct dv_texts extra = {items, 1};
    cr_assert_eq(dv_oci_etc_hosts("web-host", "web-domain", "172.17.0.2", &extra, &out, NULL), 0);
    cr_assert_str_eq(out.data,
                     LOCALHOST "10.0.0.1\tgw\n172.17.0.2\tweb-host.web-domain web-host\n");
}

Test(oci_etc, name_without_an_address_leads_to_loopback)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_oci_etc_hosts("web", NULL, NULL, &no_extra, &out, NULL), 0);
    cr_assert_str_eq(out.data, LOCALHOST "127.0.1.1\tweb\n");
}

Test(oci_etc, malformed_extra_hosts_are_refused)
{
    static const char *const rows[] = {"gw", ":10.0.0.1", "gw:"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
        char *items[] = {(char *)rows[i]};
        struct dv_texts extra = {items, 1};
        cr_expect_eq(dv_oci_etc_hosts("web", NULL, NULL, &extra, &out, NULL), -DV_ERR_INVALID);
    }
}

Test(oci_etc, host_network_keeps_the_file_of_the_host)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_oci_etc_hosts_of_host(DV_STR("1.2.3.4 me\n"), &no_extra, &out, NULL), 0);
    cr_assert_str_eq(out.data, "1.2.3.4 me\n");
    char *items[] = {(char *)"gw:10.0.0.1"};
    struct dv_texts extra = {items, 1};
    dv_buf_clear(&out);
    cr_assert_eq(dv_oci_etc_hosts_of_host(DV_STR("1.2.3.4 me\n"), &extra, &out, NULL), 0);
    cr_assert_str_eq(out.data, LOCALHOST "10.0.0.1\tgw\n");
}

Test(oci_etc, name_servers_that_cannot_be_reached_are_left_out)
{
    static const struct {
        const char *host;
        const char *wanted;
    } rows[] = {
        {"nameserver 9.9.9.9\n", "nameserver 9.9.9.9\n"},
        {"nameserver 9.9.9.9", "nameserver 9.9.9.9\n"},
        {"search lan\nnameserver 127.0.0.53\nnameserver \t 9.9.9.9\noptions edns0\n",
         "search lan\nnameserver \t 9.9.9.9\noptions edns0\n"},
        {"nameserver 127.0.0.1\nnameserver ::1\n", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
        {"nameserver fe80::1%eth0\n", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
        {"", "nameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
        {"nameservers 1.1.1.1\n", "nameservers 1.1.1.1\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
        cr_assert_eq(dv_oci_etc_resolv(dv_str_of(rows[i].host), false, &out, NULL), 0);
        cr_expect_str_eq(out.data, rows[i].wanted);
    }
}

Test(oci_etc, name_servers_of_ipv6_are_kept_where_containers_reach_them)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    static const char host[] = "nameserver ::1\nnameserver fe80::1%eth0\nnameserver FEBF::1\n"
                               "nameserver 2001:db8::53\nnameserver fec0::1\n";
    cr_assert_eq(dv_oci_etc_resolv(dv_str_of(host), true, &out, NULL), 0);
    cr_assert_str_eq(out.data, "nameserver 2001:db8::53\nnameserver fec0::1\n");
}

Test(oci_etc, host_name_is_one_line)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_oci_etc_hostname("web", &out, NULL), 0);
    cr_assert_str_eq(out.data, "web\n");
}

Test(oci_etc, text_over_the_ceiling_is_a_limit)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(16);
    cr_assert_eq(dv_oci_etc_hosts("web", NULL, NULL, &no_extra, &out, NULL), -DV_ERR_LIMIT);
}

Test(etc, the_stub_of_a_resolver_is_known)
{
    cr_assert(dv_oci_etc_is_stub(DV_STR("# a\nnameserver 127.0.0.53\noptions edns0\n")));
    cr_assert_not(dv_oci_etc_is_stub(DV_STR("nameserver 127.0.0.53\nnameserver 10.0.0.1\n")));
    cr_assert_not(dv_oci_etc_is_stub(DV_STR("nameserver 127.0.0.1\n")));
    cr_assert_not(dv_oci_etc_is_stub(DV_STR("")));
}

Test(etc, reserved_extra_hosts_are_left_to_the_network)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    static const char *const items[] = {"a:host_ip", "b:container_x", "c:10.0.0.1"};
    struct dv_texts extra = {(char **)(void *)items, 3};
    cr_assert_eq(dv_oci_etc_hosts("h", NULL, NULL, &extra, &out, NULL), 0);
    cr_assert_null(strstr(out.data, "host_ip"));
    cr_assert_null(strstr(out.data, "container_x"));
    cr_assert_not_null(strstr(out.data, "10.0.0.1\tc\n"));
}
