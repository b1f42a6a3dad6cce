/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/meter/links.h"

#include <criterion/criterion.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <string.h>

/* An answer of the kernel, put together by hand. */
struct answer {
    char bytes[4096] __attribute__((aligned(8)));
    size_t len;
    size_t message; /* where the newest one begins */
};

static void put(struct answer *a, const void *bytes, size_t len)
{
    memcpy(a->bytes + a->len, bytes, len);
    a->len += NLMSG_ALIGN(len);
}

static void finish(struct answer *a)
{
    struct nlmsghdr head;
    memcpy(&head, a->bytes + a->message, sizeof(head));
    head.nlmsg_len = (uint32_t)(a->len - a->message);
    memcpy(a->bytes + a->message, &head, sizeof(head));
}

static void begin(struct answer *a, uint16_t type, const void *body, size_t len)
{
    struct nlmsghdr head = {.nlmsg_type = type};
    a->message = a->len;
    put(a, &head, sizeof(head));
    put(a, body, len);
    finish(a);
}

static void attribute(struct answer *a, uint16_t type, const void *bytes, size_t len)
{
    struct rtattr head = {.rta_len = (uint16_t)(sizeof(head) + len), .rta_type = type};
    put(a, &head, sizeof(head));
    put(a, bytes, len);
    finish(a);
}

static void add_link(struct answer *a,
                     int index,
                     uint16_t type,
                     const char *name,
                     const char *kind,
                     int master,
                     bool is_elsewhere)
{
    struct ifinfomsg info = {.ifi_type = type, .ifi_index = index};
    begin(a, RTM_NEWLINK, &info, sizeof(info));
    attribute(a, IFLA_IFNAME, name, strlen(name) + 1);
    if (kind) {
        char nested[64];
        struct rtattr head = {.rta_len = (uint16_t)(sizeof(head) + strlen(kind) + 1),
                              .rta_type = IFLA_INFO_KIND};
        memcpy(nested, &head, sizeof(head));
        memcpy(nested + sizeof(head), kind, strlen(kind) + 1);
        attribute(a, IFLA_LINKINFO, nested, head.rta_len);
    }
    if (master)
        attribute(a, IFLA_MASTER, &master, sizeof(master));
    int id = 0;
    if (is_elsewhere)
        attribute(a, IFLA_LINK_NETNSID, &id, sizeof(id));
}

static void add_stats(struct answer *a, uint32_t index, uint64_t received, uint64_t sent)
{
    struct if_stats_msg info = {.ifindex = index};
    struct rtnl_link_stats64 stats = {.rx_bytes = received, .tx_bytes = sent};
    begin(a, RTM_NEWSTATS, &info, sizeof(info));
    attribute(a, IFLA_STATS_LINK_64, &stats, sizeof(stats));
}

static struct dv_meter_links *take(const struct answer *a)
{
    struct dv_meter_links *links = dv_meter_links_offline();
    bool is_done;
    cr_assert_eq(dv_meter_links_take(links, a->bytes, a->len, &is_done, NULL), 0);
    return links;
}

Test(links, only_interfaces_of_the_machine_itself_are_uplinks)
{
    struct answer a = {.len = 0};
    add_link(&a, 1, ARPHRD_LOOPBACK, "lo", NULL, 0, false);
    add_link(&a, 2, ARPHRD_ETHER, "eth0", NULL, 0, false);
    add_link(&a, 3, ARPHRD_ETHER, "davit0", "bridge", 0, false);
    add_link(&a, 4, ARPHRD_ETHER, "veth1", "veth", 3, true);
    add_link(&a, 5, ARPHRD_ETHER, "up", "veth", 0, true);
    add_link(&a, 6, ARPHRD_PPP, "ppp0", "ppp", 0, false);
    add_link(&a, 7, ARPHRD_ETHER, "eth0.5", "vlan", 0, false);
    DV_AUTO(dv_meter_links) links = take(&a);
    static const bool is_uplink[] = {false, true, false, false, true, true, false};
    for (int i = 0; i < 7; i++)
        cr_assert_eq(dv_meter_links_at(links, i + 1)->is_uplink, is_uplink[i], "%s",
                     dv_meter_links_at(links, i + 1)->name);
}

Test(links, traffic_of_the_uplinks_adds_up)
{
    struct answer a = {.len = 0};
    int64_t received;
    int64_t sent;
    add_link(&a, 1, ARPHRD_LOOPBACK, "lo", NULL, 0, false);
    add_link(&a, 2, ARPHRD_ETHER, "eth0", NULL, 0, false);
    add_link(&a, 9, ARPHRD_ETHER, "eth1", NULL, 0, false);
    add_stats(&a, 9, 1, 2);
    add_stats(&a, 1, 1000, 1000);
    add_stats(&a, 2, 30, 40);
    DV_AUTO(dv_meter_links) links = take(&a);
    cr_assert(dv_meter_links_uplinks(links, &received, &sent));
    cr_assert_eq(received, 31);
    cr_assert_eq(sent, 42);
    cr_assert_eq(dv_meter_links_named(links, "lo")->received, 1000);
    cr_assert_null(dv_meter_links_named(links, "eth7"));
    cr_assert_null(dv_meter_links_at(links, 3));
}

Test(links, the_end_of_a_list_is_seen)
{
    struct answer a = {.len = 0};
    int code = 0;
    bool is_done = false;
    DV_AUTO(dv_meter_links) links = dv_meter_links_offline();
    add_stats(&a, 2, 30, 40);
    cr_assert_eq(dv_meter_links_take(links, a.bytes, a.len, &is_done, NULL), 0);
    cr_assert_not(is_done);
    begin(&a, NLMSG_DONE, &code, sizeof(code));
    cr_assert_eq(dv_meter_links_take(links, a.bytes, a.len, &is_done, NULL), 0);
    cr_assert(is_done);
}

Test(links, an_error_of_the_kernel_is_told)
{
    struct answer a = {.len = 0};
    int code = -EOPNOTSUPP;
    bool is_done = false;
    DV_AUTO(dv_meter_links) links = dv_meter_links_offline();
    begin(&a, NLMSG_ERROR, &code, sizeof(code));
    cr_assert_eq(dv_meter_links_take(links, a.bytes, a.len, &is_done, NULL), -DV_ERR_UNSUPPORTED);
}

Test(links, a_cut_answer_is_refused)
{
    struct answer a = {.len = 0};
    bool is_done = false;
    DV_AUTO(dv_meter_links) links = dv_meter_links_offline();
    add_stats(&a, 2, 30, 40);
    cr_assert_eq(dv_meter_links_take(links, a.bytes, a.len - 8, &is_done, NULL), -DV_ERR_PROTOCOL);
}

Test(links, this_machine_is_listed)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_meter_links) links = NULL;
    cr_assert_eq(dv_meter_links_new(&links, &err), 0, "%s", err.text);
    cr_assert_eq(dv_meter_links_read(links, &err), 0, "%s", err.text);
    const struct dv_meter_link *lo = dv_meter_links_named(links, "lo");
    cr_assert_not_null(lo);
    cr_assert_not(lo->is_uplink);
    cr_assert_eq(dv_meter_links_read(links, &err), 0, "%s", err.text);
    cr_assert_not_null(dv_meter_links_named(links, "lo"));
}
