/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of the host that lead into containers. Each is held by a socket that is bound and never
 * used, so that no other program takes the port without being told; packets are led away before
 * they would reach it.
 */
#include "base/log.h"
#include "runtime/network/rules.h"
#include "runtime/network/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANY_TRIES 64
#define ANY_FIRST 49152 /* where a kernel without the protocol begins */

/* Where a mapping begins, in numbers. */
struct place {
    const char *proto;
    int type;
    int number;
    struct host_address at;
};

static bool is_any(const struct host_address *at)
{
    static const struct dv_ip6 any;
    return at->is_ip6 ? memcmp(&at->ip6, &any, sizeof(any)) == 0 : at->ip4 == 0;
}

static bool overlaps(const struct host_address *a, const struct host_address *b)
{
    if (a->is_ip6 != b->is_ip6)
        return false;
    return is_any(a) || is_any(b) ||
           (a->is_ip6 ? memcmp(&a->ip6, &b->ip6, sizeof(a->ip6)) == 0 : a->ip4 == b->ip4);
}

static const char *text_of(const struct host_address *at, char text[DV_IP6_TEXT_MAX])
{
    return at->is_ip6 ? dv_ip6_text(&at->ip6, text) : dv_ip4_text(at->ip4, text);
}

static struct place place_of(const struct dv_port_mapping *port)
{
    struct place place = {"tcp", SOCK_STREAM, IPPROTO_TCP, {0}};
    if (strcasecmp(port->proto, "udp") == 0)
        place = (struct place){"udp", SOCK_DGRAM, IPPROTO_UDP, {0}};
    else if (strcasecmp(port->proto, "sctp") == 0)
        place = (struct place){"sctp", SOCK_STREAM, IPPROTO_SCTP, {0}};
    /* Checked at create. */
    place.at.is_ip6 = dv_ip6_parse(dv_str_of(port->host_ip), &place.at.ip6, NULL) == 0;
    if (!place.at.is_ip6 && dv_ip4_parse(dv_str_of(port->host_ip), &place.at.ip4, NULL) < 0)
        place.at.ip4 = 0;
    return place;
}

static struct dv_rules_port rule_of(const struct endpoint *endpoint,
                                    const struct dv_port_mapping *port)
{
    struct place place = place_of(port);
    const struct dv_network_settings *settings = endpoint->data->settings;
    struct dv_rules_port rule = {
        .proto = place.proto,
        .is_ip6 = place.at.is_ip6,
        .host_port = (unsigned)port->chosen_port,
        .port = (unsigned)port->container_port,
    };
    if (!is_any(&place.at))
        text_of(&place.at, rule.host_address);
    /* One without IPv6 has no port of it: choose(). */
    snprintf(rule.address, sizeof(rule.address), "%s",
             rule.is_ip6 && settings->address6 ? settings->address6 : settings->address);
    return rule;
}

/* -- who has a port ------------------------------------------------------------------------- */

static bool is_taken_by(const struct endpoint *endpoint, const struct place *place, unsigned number)
{
    const struct dv_port_mapping_list *ports = &endpoint->data->settings->ports;
    for (size_t i = 0; i < ports->count; i++) {
        struct place other = place_of(&ports->items[i]);
        if (ports->items[i].chosen_port == (int64_t)number && other.number == place->number &&
            overlaps(&other.at, &place->at))
            return true;
    }
    return false;
}

static const struct endpoint *
owner_of(const struct network *n, const struct place *place, unsigned number)
{
    const struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        if (is_taken_by(endpoint, place, number))
            return endpoint;
    }
    return NULL;
}

union name {
    struct sockaddr any;
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
};

static socklen_t name_of(const struct place *place, unsigned number, union name *ret)
{
    *ret = (union name){0};
    if (!place->at.is_ip6) {
        ret->ip4 = (struct sockaddr_in){.sin_family = AF_INET,
                                        .sin_port = htons((uint16_t)number),
                                        .sin_addr.s_addr = htonl(place->at.ip4)};
        return sizeof(ret->ip4);
    }
    ret->ip6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)number)};
    memcpy(&ret->ip6.sin6_addr, place->at.ip6.bytes, sizeof(place->at.ip6.bytes));
    return sizeof(ret->ip6);
}

/* A socket bound to it, -1 with errno. `*number` 0: the kernel chooses and *number becomes that.
 * Connections of a server that ended do not keep it out, but another server cannot share it. */
static int hold(const struct place *place, unsigned *number)
{
    int on = 1;
    int off = 0;
    union name at;
    socklen_t len = name_of(place, *number, &at);
    dv_autoclose int fd = socket(at.any.sa_family, place->type | SOCK_CLOEXEC, place->number);
    if (fd < 0)
        return -1;
    /* Of IPv6 it is that alone; IPv4 is another mapping. */
    if (place->at.is_ip6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)
        return -1;
    /* Nobody reads it. */
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &on, sizeof(on));
    /* For UDP this would let two programs share a port. */
    bool may_reuse = place->type == SOCK_STREAM;
    if (may_reuse && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0)
        return -1;
    if (bind(fd, &at.any, len) < 0 || getsockname(fd, &at.any, &len) < 0)
        return -1;
    if (may_reuse && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &off, sizeof(off)) < 0)
        return -1;
    *number = ntohs(place->at.is_ip6 ? at.ip6.sin6_port : at.ip4.sin_port);
    return dv_steal_fd(&fd);
}

/* What the kernel does not have nobody can take. */
static bool is_protocol_missing(const struct place *place, int sys)
{
    return place->number == IPPROTO_SCTP && (sys == EPROTONOSUPPORT || sys == ESOCKTNOSUPPORT);
}

static int refuse(const struct network *n,
                  const struct place *place,
                  unsigned number,
                  int sys,
                  struct dv_error *err)
{
    char at[DV_IP6_TEXT_MAX];
    const struct endpoint *owner = owner_of(n, place, number);
    text_of(&place->at, at);
    if (owner)
        return dv_error_set(err, DV_ERR_FAILED,
                            "port %u/%s on %s is taken by container '%s'; free it or map another "
                            "port",
                            number, place->proto, at, owner->data->wish->name);
    if (sys == EADDRINUSE)
        return dv_error_set(err, DV_ERR_FAILED,
                            "port %u/%s on %s is taken by a program of this machine (ss -lnp shows "
                            "which); free it or map another port",
                            number, place->proto, at);
    if (sys == EADDRNOTAVAIL)
        return dv_error_set(err, DV_ERR_FAILED,
                            "port %u/%s on %s: this machine does not have that address", number,
                            place->proto, at);
    return dv_error_sys(err, DV_ERR_FAILED, sys, "take port %u/%s on %s", number, place->proto, at);
}

/* Takes this one if nobody has it; the errno of the refusal else. */
static int try_number(const struct network *n, const struct place *place, unsigned number, int *ret)
{
    if (owner_of(n, place, number))
        return EADDRINUSE;
    *ret = hold(place, &number);
    return *ret >= 0 || is_protocol_missing(place, errno) ? 0 : errno;
}

static int choose_any(const struct network *n,
                      const struct place *place,
                      struct dv_port_mapping *port,
                      int *ret,
                      struct dv_error *err)
{
    for (unsigned i = 0; i < ANY_TRIES; i++) {
        unsigned number = 0;
        dv_autoclose int fd = hold(place, &number);
        if (fd < 0 && !is_protocol_missing(place, errno))
            return refuse(n, place, 0, errno, err);
        if (fd < 0)
            number = ANY_FIRST + i;
        if (!owner_of(n, place, number)) {
            port->chosen_port = number;
            *ret = dv_steal_fd(&fd);
            return 0;
        }
    }
    return dv_error_set(err, DV_ERR_LIMIT, "no free port for %s was found", place->proto);
}

static int check_ip6(const struct network *n, const struct place *place, struct dv_error *err)
{
    static const struct dv_ip6 loopback = {{[15] = 1}};
    if (!place->at.is_ip6)
        return 0;
    if (!n->options->has_ip6)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "portMappings of IPv6 need network.default_bridge.enable_ip6");
    /* Bridges would change the address of an answer to ::1 where the kernel takes that for forged.
     */
    if (memcmp(&place->at.ip6, &loopback, sizeof(loopback)) == 0 &&
        sysctl_is("bridge/bridge-nf-call-ip6tables", "1"))
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "no port of ::1 can be mapped while bridges call the packet filter "
                            "(sysctl net.bridge.bridge-nf-call-ip6tables is 1); map '::' or "
                            "127.0.0.1, or set it to 0");
    return 0;
}

/* The one of the last start, so that others can rely on it, then the range in order. */
static int choose(const struct network *n,
                  struct dv_port_mapping *port,
                  unsigned last,
                  int *ret,
                  struct dv_error *err)
{
    struct place place = place_of(port);
    unsigned first = (unsigned)port->host_port;
    unsigned end = port->host_port_end > port->host_port ? (unsigned)port->host_port_end : first;
    bool is_last_good = last && (!first || (last >= first && last <= end));
    int sys = 0;
    int r = check_ip6(n, &place, err);
    if (r < 0)
        return r;
    if (is_last_good && try_number(n, &place, last, ret) == 0) {
        port->chosen_port = last;
        return 0;
    }
    if (!first)
        return choose_any(n, &place, port, ret, err);
    for (unsigned number = first; number <= end; number++) {
        sys = try_number(n, &place, number, ret);
        if (sys == 0) {
            port->chosen_port = number;
            return 0;
        }
        if (sys != EADDRINUSE)
            break;
    }
    if (sys != EADDRINUSE || first == end)
        return refuse(n, &place, first, sys, err);
    return dv_error_set(err, DV_ERR_FAILED,
                        "no port of %u...%u/%s on %s is free; free one or map others", first, end,
                        place.proto, port->host_ip);
}

/* -- life ----------------------------------------------------------------------------------- */

static int make_holders(struct endpoint *endpoint)
{
    size_t count = endpoint->data->settings->ports.count;
    endpoint->holders = calloc(count ? count : 1, sizeof(int));
    for (size_t i = 0; endpoint->holders && i < count; i++)
        endpoint->holders[i] = -1;
    return endpoint->holders ? 0 : -1;
}

static int check_possible(const struct network *n, struct dv_error *err)
{
    return n->options->has_rules ? 0
                                 : dv_error_set(err, DV_ERR_UNSUPPORTED,
                                                "portMappings need nftables, which "
                                                "network.default_bridge.ip_tables switches off");
}

int ports_check(const struct network *n,
                const struct dv_network_check_query *query,
                struct dv_error *err)
{
    size_t count = query->ports.count;
    if (count == 0)
        return 0;
    int r = check_possible(n, err);
    dv_autofree int *holders = calloc(count, sizeof(*holders));
    if (r == 0 && !holders)
        r = dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for port mappings");
    size_t held = 0;
    while (r == 0 && held < count) {
        /* What is chosen is seen by nobody. */
        struct dv_port_mapping port = query->ports.items[held];
        holders[held] = -1;
        r = choose(n, &port, (unsigned)port.chosen_port, &holders[held], err);
        held++;
    }
    while (held > 0)
        dv_close(&holders[--held]);
    return r;
}

int ports_take(struct network *n, struct endpoint *endpoint, struct dv_error *err)
{
    const struct dv_port_mapping_list *ports = &endpoint->data->settings->ports;
    if (ports->count == 0)
        return 0;
    int r = check_possible(n, err);
    if (r < 0)
        return r;
    if (make_holders(endpoint) < 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for port mappings");
    for (size_t i = 0; r == 0 && i < ports->count; i++)
        r = choose(n, &ports->items[i], (unsigned)endpoint->data->wish->ports.items[i].chosen_port,
                   &endpoint->holders[i], err);
    return r;
}

void ports_hold_again(struct endpoint *endpoint)
{
    const struct dv_port_mapping_list *ports = &endpoint->data->settings->ports;
    if (ports->count == 0 || make_holders(endpoint) < 0)
        return;
    for (size_t i = 0; i < ports->count; i++) {
        struct place place = place_of(&ports->items[i]);
        unsigned number = (unsigned)ports->items[i].chosen_port;
        endpoint->holders[i] = hold(&place, &number);
        if (endpoint->holders[i] < 0 && !is_protocol_missing(&place, errno))
            dv_log(DV_LOG_WARN,
                   "network: port %u/%s leads to container '%s', and another program has taken it "
                   "while davitd was away",
                   number, place.proto, endpoint->data->wish->name);
    }
}

void ports_release(struct endpoint *endpoint)
{
    for (size_t i = 0; endpoint->holders && i < endpoint->data->settings->ports.count; i++)
        dv_close(&endpoint->holders[i]);
    free(endpoint->holders);
    endpoint->holders = NULL;
}

static int
run_rules(struct network *n, const struct endpoint *endpoint, bool is_open, struct dv_error *err)
{
    const struct dv_port_mapping_list *ports = &endpoint->data->settings->ports;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    dv_autofree struct dv_rules_port *rules = calloc(ports->count, sizeof(*rules));
    if (!rules)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for port mappings");
    for (size_t i = 0; i < ports->count; i++)
        rules[i] = rule_of(endpoint, &ports->items[i]);
    int r = is_open ? dv_rules_add_ports(n->options->name, rules, ports->count, &text, err)
                    : dv_rules_delete_ports(n->options->name, rules, ports->count, &text, err);
    return r < 0 ? r : network_change_rules(n, &text, err);
}

static void forget_flows(const struct endpoint *endpoint)
{
    const struct dv_port_mapping_list *ports = &endpoint->data->settings->ports;
    for (size_t i = 0; i < ports->count; i++) {
        struct place place = place_of(&ports->items[i]);
        struct dv_error why = DV_ERROR_INIT;
        if (place.number == IPPROTO_UDP &&
            conntrack_forget(&place.at, (unsigned)ports->items[i].chosen_port, &why) < 0)
            dv_log(DV_LOG_WARN, "network: flows to port %lld/udp may go on as before: %s",
                   (long long)ports->items[i].chosen_port, why.text);
    }
}

int ports_open(struct network *n, struct endpoint *endpoint, struct dv_error *err)
{
    if (endpoint->data->settings->ports.count == 0)
        return 0;
    endpoint->has_rules = true;
    int r = run_rules(n, endpoint, true, err);
    endpoint->has_rules = r == 0;
    if (r == 0)
        forget_flows(endpoint);
    return r;
}

int ports_close(struct network *n, struct endpoint *endpoint, struct dv_error *err)
{
    if (!endpoint->has_rules)
        return 0;
    endpoint->has_rules = false;
    int r = run_rules(n, endpoint, false, err);
    endpoint->has_rules = r < 0;
    if (r == 0)
        forget_flows(endpoint);
    return r;
}

int ports_append_rules(const struct network *n, struct dv_buf *text, struct dv_error *err)
{
    int r = 0;
    const struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        const struct dv_port_mapping_list *ports = &endpoint->data->settings->ports;
        for (size_t i = 0; r == 0 && endpoint->has_rules && i < ports->count; i++) {
            struct dv_rules_port rule = rule_of(endpoint, &ports->items[i]);
            r = dv_rules_add_ports(n->options->name, &rule, 1, text, err);
        }
    }
    return r;
}
