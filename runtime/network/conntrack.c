/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel remembers of UDP flows. A flow is led where its first packet was led, so one that
 * goes on while a mapping comes or goes would not notice: it is forgotten.
 */
#include "runtime/network/state.h"

#include <arpa/inet.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <netlink/socket.h>
#include <stdlib.h>

#define TUPLE_BYTES_MAX 256
#define FLOWS_MAX       4096 /* of one port; the rest ends by itself */

struct flow {
    size_t len;
    uint8_t tuple[TUPLE_BYTES_MAX]; /* CTA_TUPLE_ORIG, for the request that deletes it */
};

struct search {
    const struct host_address *address;
    uint16_t port;
    struct flow *flows;
    size_t count;
};

static struct nl_msg *message(bool is_ip6, int type, int flags)
{
    struct nfgenmsg header = {.nfgen_family = is_ip6 ? AF_INET6 : AF_INET, .version = NFNETLINK_V0};
    struct nl_msg *msg = nlmsg_alloc_simple(NFNL_SUBSYS_CTNETLINK << 8 | type, flags);
    if (msg && nlmsg_append(msg, &header, sizeof(header), NLMSG_ALIGNTO) < 0) {
        nlmsg_free(msg);
        return NULL;
    }
    return msg;
}

static bool is_to_address(const struct host_address *wanted, struct nlattr *const *ip)
{
    static const struct dv_ip6 any;
    struct nlattr *to = ip[wanted->is_ip6 ? CTA_IP_V6_DST : CTA_IP_V4_DST];
    if (!to || nla_len(to) < (wanted->is_ip6 ? 16 : 4))
        return false;
    if (!wanted->is_ip6)
        return !wanted->ip4 || ntohl(nla_get_u32(to)) == wanted->ip4;
    return memcmp(&wanted->ip6, &any, sizeof(any)) == 0 ||
           memcmp(nla_data(to), wanted->ip6.bytes, sizeof(wanted->ip6.bytes)) == 0;
}

static bool is_wanted(const struct search *search, struct nlattr *tuple)
{
    struct nlattr *parts[CTA_TUPLE_MAX + 1];
    struct nlattr *ip[CTA_IP_MAX + 1];
    struct nlattr *proto[CTA_PROTO_MAX + 1];
    if (nla_parse_nested(parts, CTA_TUPLE_MAX, tuple, NULL) < 0 || !parts[CTA_TUPLE_IP] ||
        !parts[CTA_TUPLE_PROTO] ||
        nla_parse_nested(ip, CTA_IP_MAX, parts[CTA_TUPLE_IP], NULL) < 0 ||
        nla_parse_nested(proto, CTA_PROTO_MAX, parts[CTA_TUPLE_PROTO], NULL) < 0)
        return false;
    if (!is_to_address(search->address, ip) || !proto[CTA_PROTO_NUM] ||
        nla_len(proto[CTA_PROTO_NUM]) < 1 || !proto[CTA_PROTO_DST_PORT] ||
        nla_len(proto[CTA_PROTO_DST_PORT]) < 2)
        return false;
    return nla_get_u8(proto[CTA_PROTO_NUM]) == IPPROTO_UDP &&
           ntohs(nla_get_u16(proto[CTA_PROTO_DST_PORT])) == search->port;
}

static int on_flow(struct nl_msg *msg, void *ctx)
{
    struct search *search = ctx;
    struct nlattr *attributes[CTA_MAX + 1];
    if (search->count >= FLOWS_MAX ||
        nlmsg_parse(nlmsg_hdr(msg), sizeof(struct nfgenmsg), attributes, CTA_MAX, NULL) < 0)
        return NL_OK;
    struct nlattr *tuple = attributes[CTA_TUPLE_ORIG];
    if (!tuple || nla_len(tuple) <= 0 || nla_len(tuple) > TUPLE_BYTES_MAX ||
        !is_wanted(search, tuple))
        return NL_OK;
    struct flow *flows = reallocarray(search->flows, search->count + 1, sizeof(*flows));
    if (!flows)
        return NL_STOP;
    search->flows = flows;
    flows[search->count].len = (size_t)nla_len(tuple);
    memcpy(flows[search->count].tuple, nla_data(tuple), (size_t)nla_len(tuple));
    search->count++;
    return NL_OK;
}

static int forget(struct nl_sock *socket, bool is_ip6, const struct flow *flow)
{
    struct nl_msg *msg = message(is_ip6, IPCTNL_MSG_CT_DELETE, NLM_F_REQUEST | NLM_F_ACK);
    if (!msg)
        return -NLE_NOMEM;
    int r = nla_put(msg, CTA_TUPLE_ORIG | NLA_F_NESTED, (int)flow->len, flow->tuple);
    if (r < 0) {
        nlmsg_free(msg);
        return r;
    }
    r = nl_send_sync(socket, msg);
    return r == -NLE_OBJ_NOTFOUND ? 0 : r; /* it ended meanwhile */
}

static int find(struct nl_sock *socket, struct search *search)
{
    struct nl_msg *msg =
        message(search->address->is_ip6, IPCTNL_MSG_CT_GET, NLM_F_REQUEST | NLM_F_DUMP);
    if (!msg)
        return -NLE_NOMEM;
    int r = nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, on_flow, search);
    if (r == 0)
        r = nl_send_auto(socket, msg);
    nlmsg_free(msg);
    if (r >= 0)
        r = nl_recvmsgs_default(socket);
    (void)nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_DEFAULT, NULL, NULL);
    return r;
}

int conntrack_forget(const struct host_address *address, unsigned port, struct dv_error *err)
{
    struct search search = {.address = address, .port = (uint16_t)port};
    struct nl_sock *socket = nl_socket_alloc();
    int r = socket ? nl_connect(socket, NETLINK_NETFILTER) : -NLE_NOMEM;
    if (r >= 0)
        r = find(socket, &search);
    for (size_t i = 0; r >= 0 && i < search.count; i++)
        r = forget(socket, address->is_ip6, &search.flows[i]);
    free(search.flows);
    nl_socket_free(socket);
    return r < 0 ? dv_error_set(err, DV_ERR_FAILED, "%s", nl_geterror(r)) : 0;
}
