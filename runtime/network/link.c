/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/link.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>

struct dv_links {
    struct nl_sock *socket;
    int sys; /* errno that the kernel answered the last request with */
};

/* libnl has numbers of its own for errors, and few of them. */
static int on_refused(struct sockaddr_nl *from, struct nlmsgerr *answer, void *ctx)
{
    (void)from;
    struct dv_links *links = ctx;
    links->sys = -answer->error;
    return -NLE_FAILURE;
}

int dv_links_open(struct dv_links **ret, struct dv_error *err)
{
    struct dv_links *links = calloc(1, sizeof(*links));
    if (links)
        links->socket = nl_socket_alloc();
    int r = links && links->socket ? nl_connect(links->socket, NETLINK_ROUTE) : -NLE_NOMEM;
    if (r < 0) {
        dv_links_close(links);
        return dv_error_set(err, DV_ERR_FAILED, "cannot open rtnetlink: %s", nl_geterror(r));
    }
    (void)nl_socket_modify_err_cb(links->socket, NL_CB_CUSTOM, on_refused, links);
    *ret = links;
    return 0;
}

void dv_links_close(struct dv_links *links)
{
    if (!links)
        return;
    nl_socket_free(links->socket);
    free(links);
}

/* -- requests ------------------------------------------------------------------------------- */

/* A request in the making. What does not fit shows when it is sent. */
struct request {
    struct nl_msg *msg;
    int result;
};

static struct request request_new(int type, int flags, const void *header, size_t len)
{
    struct request request = {.msg = nlmsg_alloc_simple(type, NLM_F_REQUEST | NLM_F_ACK | flags)};
    if (!request.msg)
        request.result = -NLE_NOMEM;
    else
        request.result = nlmsg_append(request.msg, (void *)header, len, NLMSG_ALIGNTO);
    return request;
}

static void put(struct request *request, int type, const void *bytes, size_t len)
{
    if (request->result == 0)
        request->result = nla_put(request->msg, type, (int)len, bytes);
}

static void put_text(struct request *request, int type, const char *text)
{
    put(request, type, text, strlen(text) + 1);
}

static void put_u32(struct request *request, int type, uint32_t value)
{
    put(request, type, &value, sizeof(value));
}

static void put_ip4(struct request *request, int type, uint32_t address)
{
    put_u32(request, type, htonl(address));
}

static void put_ip6(struct request *request, int type, const struct dv_ip6 *address)
{
    put(request, type, address->bytes, sizeof(address->bytes));
}

static struct nlattr *nest(struct request *request, int type)
{
    struct nlattr *attribute = request->result == 0 ? nla_nest_start(request->msg, type) : NULL;
    if (!attribute && request->result == 0)
        request->result = -NLE_NOMEM;
    return attribute;
}

static void nest_end(struct request *request, struct nlattr *attribute)
{
    if (request->result == 0)
        nla_nest_end(request->msg, attribute);
}

/* Sends it and waits for the answer: 0 or an errno. Takes the message. */
static int perform(struct dv_links *links, struct request *request)
{
    int r = request->result;
    links->sys = 0;
    if (r == 0)
        r = nl_send_sync(links->socket, request->msg);
    else
        nlmsg_free(request->msg);
    if (r >= 0)
        return 0;
    return links->sys ? links->sys : r == -NLE_NOMEM ? ENOMEM : EIO;
}

static int check(int sys, struct dv_error *err, const char *what, const char *object)
{
    if (sys == 0)
        return 0;
    if (sys == EPERM)
        return dv_error_set(err, DV_ERR_DENIED,
                            "%s '%s': not permitted; davitd needs CAP_NET_ADMIN", what, object);
    enum dv_error_class class = sys == EEXIST       ? DV_ERR_EXISTS
                                : sys == EOPNOTSUPP ? DV_ERR_UNSUPPORTED
                                                    : DV_ERR_FAILED;
    return dv_error_sys(err, class, sys, "%s '%s'", what, object);
}

static const char *name_of(unsigned index, char text[IF_NAMESIZE])
{
    return if_indextoname(index, text) ? text : "?";
}

/* -- links ---------------------------------------------------------------------------------- */

int dv_links_add_bridge(struct dv_links *links,
                        const char *name,
                        const uint8_t mac[DV_MAC_BYTES],
                        unsigned mtu,
                        struct dv_error *err)
{
    struct ifinfomsg header = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request request =
        request_new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
    put_text(&request, IFLA_IFNAME, name);
    put(&request, IFLA_ADDRESS, mac, DV_MAC_BYTES);
    if (mtu)
        put_u32(&request, IFLA_MTU, mtu);
    struct nlattr *info = nest(&request, IFLA_LINKINFO);
    put_text(&request, IFLA_INFO_KIND, "bridge");
    nest_end(&request, info);
    return check(perform(links, &request), err, "make bridge", name);
}

int dv_links_add_name(struct dv_links *links,
                      unsigned index,
                      const char *name,
                      struct dv_error *err)
{
    struct ifinfomsg header = {.ifi_index = (int)index};
    struct request request = request_new(RTM_NEWLINKPROP, NLM_F_CREATE | NLM_F_EXCL | NLM_F_APPEND,
                                         &header, sizeof(header));
    struct nlattr *list = nest(&request, IFLA_PROP_LIST | NLA_F_NESTED);
    put_text(&request, IFLA_ALT_IFNAME, name);
    nest_end(&request, list);
    return check(perform(links, &request), err, "give the bridge the name", name);
}

/* It cannot be up before it is connected. */
static void put_peer(struct request *request, const struct dv_veth *veth)
{
    struct ifinfomsg header = {0};
    struct nlattr *info = nest(request, IFLA_LINKINFO);
    put_text(request, IFLA_INFO_KIND, "veth");
    struct nlattr *data = nest(request, IFLA_INFO_DATA);
    struct nlattr *peer = nest(request, VETH_INFO_PEER);
    if (request->result == 0)
        request->result = nlmsg_append(request->msg, &header, sizeof(header), NLMSG_ALIGNTO);
    put_text(request, IFLA_IFNAME, veth->peer_name);
    put_u32(request, IFLA_NET_NS_FD, (uint32_t)veth->peer_ns);
    put(request, IFLA_ADDRESS, veth->peer_mac, DV_MAC_BYTES);
    if (veth->mtu)
        put_u32(request, IFLA_MTU, veth->mtu);
    nest_end(request, peer);
    nest_end(request, data);
    nest_end(request, info);
}

/* What the kernel takes of an interface that exists only. */
static int describe_port(struct dv_links *links, const struct dv_veth *veth)
{
    struct ifinfomsg header = {0};
    uint8_t on = 1;
    struct request request = request_new(RTM_NEWLINK, 0, &header, sizeof(header));
    put_text(&request, IFLA_IFNAME, veth->name);
    put_text(&request, IFLA_IFALIAS, veth->alias);
    struct nlattr *info = nest(&request, IFLA_LINKINFO);
    put_text(&request, IFLA_INFO_SLAVE_KIND, "bridge");
    struct nlattr *data = nest(&request, IFLA_INFO_SLAVE_DATA);
    /* Where bridges call the packet filter (br_netfilter), what a container sends to a port of the
     * host that leads back to itself leaves by the port of the bridge that it came in by. */
    put(&request, IFLA_BRPORT_MODE, &on, sizeof(on));
    if (veth->is_isolated)
        put(&request, IFLA_BRPORT_ISOLATED, &on, sizeof(on));
    nest_end(&request, data);
    nest_end(&request, info);
    return perform(links, &request);
}

int dv_links_add_veth(struct dv_links *links, const struct dv_veth *veth, struct dv_error *err)
{
    struct ifinfomsg header = {.ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request request =
        request_new(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
    put_text(&request, IFLA_IFNAME, veth->name);
    put_u32(&request, IFLA_MASTER, veth->bridge);
    if (veth->mtu)
        put_u32(&request, IFLA_MTU, veth->mtu);
    put_peer(&request, veth);
    int r = perform(links, &request);
    if (r)
        return check(r, err, "make the cable", veth->name);
    r = describe_port(links, veth);
    if (r)
        (void)dv_links_delete(links, veth->name, NULL);
    return check(r, err, "set up the cable", veth->name);
}

int dv_links_delete(struct dv_links *links, const char *name, struct dv_error *err)
{
    struct ifinfomsg header = {0};
    struct request request = request_new(RTM_DELLINK, 0, &header, sizeof(header));
    put_text(&request, IFLA_IFNAME, name);
    int r = perform(links, &request);
    return r == ENODEV ? 0 : check(r, err, "remove interface", name);
}

int dv_links_set_up(struct dv_links *links, unsigned index, struct dv_error *err)
{
    char name[IF_NAMESIZE];
    struct ifinfomsg header = {.ifi_index = (int)index, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct request request = request_new(RTM_NEWLINK, 0, &header, sizeof(header));
    return check(perform(links, &request), err, "switch on interface", name_of(index, name));
}

/* -- addresses and routes ------------------------------------------------------------------- */

int dv_links_add_address(struct dv_links *links,
                         unsigned index,
                         struct dv_cidr address,
                         struct dv_error *err)
{
    char text[DV_IP4_TEXT_MAX];
    struct ifaddrmsg header = {
        .ifa_family = AF_INET,
        .ifa_prefixlen = (uint8_t)address.prefix_len,
        .ifa_scope = RT_SCOPE_UNIVERSE,
        .ifa_index = index,
    };
    struct request request =
        request_new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
    put_ip4(&request, IFA_LOCAL, address.address);
    put_ip4(&request, IFA_ADDRESS, address.address);
    if (address.prefix_len < 31)
        put_ip4(&request, IFA_BROADCAST, address.address | ~dv_cidr_mask(address.prefix_len));
    return check(perform(links, &request), err, "give an interface the address",
                 dv_ip4_text(address.address, text));
}

int dv_links_add_default_route(struct dv_links *links,
                               unsigned index,
                               uint32_t gateway,
                               struct dv_error *err)
{
    char text[DV_IP4_TEXT_MAX];
    struct rtmsg header = {
        .rtm_family = AF_INET,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_BOOT,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST,
    };
    struct request request =
        request_new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
    put_ip4(&request, RTA_GATEWAY, gateway);
    put_u32(&request, RTA_OIF, index);
    return check(perform(links, &request), err, "make the default route over",
                 dv_ip4_text(gateway, text));
}

int dv_links_add_address6(struct dv_links *links,
                          unsigned index,
                          const struct dv_cidr6 *address,
                          struct dv_error *err)
{
    char text[DV_IP6_TEXT_MAX];
    struct ifaddrmsg header = {
        .ifa_family = AF_INET6,
        .ifa_prefixlen = (uint8_t)address->prefix_len,
        .ifa_flags = IFA_F_NODAD,
        .ifa_scope = RT_SCOPE_UNIVERSE,
        .ifa_index = index,
    };
    struct request request =
        request_new(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
    put_ip6(&request, IFA_LOCAL, &address->address);
    put_ip6(&request, IFA_ADDRESS, &address->address);
    int sys = perform(links, &request);
    return check(sys == EEXIST ? 0 : sys, err, "give an interface the address",
                 dv_ip6_text(&address->address, text));
}

int dv_links_add_default_route6(struct dv_links *links,
                                unsigned index,
                                const struct dv_ip6 *gateway,
                                struct dv_error *err)
{
    char text[DV_IP6_TEXT_MAX];
    struct rtmsg header = {
        .rtm_family = AF_INET6,
        .rtm_table = RT_TABLE_MAIN,
        .rtm_protocol = RTPROT_BOOT,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_UNICAST,
    };
    struct request request =
        request_new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
    put_ip6(&request, RTA_GATEWAY, gateway);
    put_u32(&request, RTA_OIF, index);
    return check(perform(links, &request), err, "make the default route over",
                 dv_ip6_text(gateway, text));
}

int dv_links_add_loopback6(struct dv_links *links,
                           unsigned index,
                           uint32_t metric,
                           struct dv_error *err)
{
    static const struct dv_ip6 loopback = {{[15] = 1}};
    char name[IF_NAMESIZE];
    struct rtmsg header = {
        .rtm_family = AF_INET6,
        .rtm_dst_len = 128,
        .rtm_table = RT_TABLE_LOCAL,
        .rtm_protocol = RTPROT_BOOT,
        .rtm_scope = RT_SCOPE_UNIVERSE,
        .rtm_type = RTN_LOCAL,
    };
    struct request request =
        request_new(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &header, sizeof(header));
    put_ip6(&request, RTA_DST, &loopback);
    put_u32(&request, RTA_OIF, index);
    put_u32(&request, RTA_PRIORITY, metric);
    int sys = perform(links, &request);
    return check(sys == EEXIST ? 0 : sys, err, "lead ::1 back from interface",
                 name_of(index, name));
}
