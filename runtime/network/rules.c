/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/rules.h"

/* `$T` is the table. Priorities are numbers, because their names are not allowed in every hook. */
static const char declarations[] =
    "add set ip $T bridges { type ifname; }\n"
    "add set ip $T networks { type ipv4_addr; flags interval; }\n"
    "add map ip $T ports { type inet_proto . inet_service : ipv4_addr . inet_service; }\n"
    "add map ip $T ports_at { type ipv4_addr . inet_proto . inet_service : ipv4_addr . "
    "inet_service; }\n"
    "add chain ip $T guard { type filter hook prerouting priority -300; }\n"
    "add chain ip $T mapped\n"
    "add rule ip $T mapped dnat ip to ip daddr . meta l4proto . th dport map @ports_at\n"
    "add rule ip $T mapped dnat ip to meta l4proto . th dport map @ports\n"
    "add chain ip $T incoming { type nat hook prerouting priority -100; }\n"
    "add chain ip $T local { type nat hook output priority -100; }\n"
    "add chain ip $T outgoing { type nat hook postrouting priority 100; }\n"
    "add chain ip $T through { type filter hook forward priority 0; }\n"
    "add rule ip $T guard iifname @bridges ip saddr 127.0.0.0/8 drop\n"
    "add rule ip $T guard iifname @bridges ip daddr 127.0.0.0/8 drop\n"
    "add rule ip $T incoming fib daddr type local jump mapped\n"
    "add rule ip $T local fib daddr type local jump mapped\n"
    /* What loopback sends, and what containers send to each other, must come back to where its
     * address was changed. */
    "add rule ip $T outgoing ip saddr 127.0.0.0/8 oifname @bridges masquerade\n"
    "add rule ip $T outgoing ip saddr @networks ip daddr @networks ct status dnat masquerade\n"
    "add rule ip $T through oifname @bridges ct status dnat accept\n";

static const char masquerade[] =
    "add rule ip $T outgoing ip saddr @networks ip daddr != @networks masquerade\n";

/* From one container to another. */
static const char isolation[] =
    "add rule ip $T through iifname @bridges oifname @bridges ct state established,related accept\n"
    "add rule ip $T through iifname @bridges oifname @bridges drop\n";

/* From elsewhere to a container. */
static const char entrance[] =
    "add rule ip $T through oifname @bridges iifname != @bridges ct state established,related "
    "accept\n"
    "add rule ip $T through oifname @bridges iifname != @bridges drop\n";

static int append(struct dv_buf *out, const char *text, const char *table, struct dv_error *err)
{
    int r = 0;
    struct dv_str rest = dv_str_of(text);
    while (r == 0 && rest.len > 0) {
        struct dv_str head;
        struct dv_str tail = {NULL, 0};
        bool has_more = dv_str_cut(rest, '$', &head, &tail);
        r = dv_buf_append(out, head.data, head.len, err);
        if (r == 0 && has_more)
            r = dv_buf_append_str(out, table, err);
        rest = has_more ? (struct dv_str){tail.data + 1, tail.len - 1} : tail;
    }
    return r;
}

int dv_rules_add_bridge(const char *table,
                        const struct dv_rules_bridge *bridge,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    char text[DV_IP4_TEXT_MAX];
    struct dv_cidr network = bridge->address;
    dv_ip4_text(network.address & dv_cidr_mask(network.prefix_len), text);
    return dv_buf_printf(out, err,
                         "add element ip %s bridges { \"%s\" }\n"
                         "add element ip %s networks { %s/%u }\n",
                         table, bridge->name, table, text, network.prefix_len);
}

/* The elements of one map: those with or without an address of the machine. */
static int ports_of_map(const char *verb,
                        const char *table,
                        const struct dv_rules_port *ports,
                        size_t count,
                        bool has_address,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    bool is_first = true;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct dv_rules_port *port = &ports[i];
        char at[DV_IP4_TEXT_MAX];
        char to[DV_IP4_TEXT_MAX];
        if ((port->host_address != 0) != has_address)
            continue;
        if (is_first)
            r = dv_buf_printf(out, err, "%s element ip %s %s {", verb, table,
                              has_address ? "ports_at" : "ports");
        if (r == 0)
            r = dv_buf_printf(out, err, "%s %s%s%s . %u : %s . %u", is_first ? "" : ",",
                              has_address ? dv_ip4_text(port->host_address, at) : "",
                              has_address ? " . " : "", port->proto, port->host_port,
                              dv_ip4_text(port->address, to), port->port);
        is_first = false;
    }
    return r < 0 || is_first ? r : dv_buf_append_str(out, " }\n", err);
}

static int ports_of_maps(const char *verb,
                         const char *table,
                         const struct dv_rules_port *ports,
                         size_t count,
                         struct dv_buf *out,
                         struct dv_error *err)
{
    int r = ports_of_map(verb, table, ports, count, false, out, err);
    return r < 0 ? r : ports_of_map(verb, table, ports, count, true, out, err);
}

int dv_rules_add_ports(const char *table,
                       const struct dv_rules_port *ports,
                       size_t count,
                       struct dv_buf *out,
                       struct dv_error *err)
{
    return ports_of_maps("add", table, ports, count, out, err);
}

int dv_rules_delete_ports(const char *table,
                          const struct dv_rules_port *ports,
                          size_t count,
                          struct dv_buf *out,
                          struct dv_error *err)
{
    return ports_of_maps("delete", table, ports, count, out, err);
}

int dv_rules_drop(const char *table, struct dv_buf *out, struct dv_error *err)
{
    return append(out, "add table ip $T\ndelete table ip $T\n", table, err);
}

int dv_rules_table(const struct dv_rules *rules, struct dv_buf *out, struct dv_error *err)
{
    int r = dv_rules_drop(rules->table, out, err);
    if (r == 0)
        r = append(out, "add table ip $T\n", rules->table, err);
    if (r == 0)
        r = append(out, declarations, rules->table, err);
    if (r == 0 && rules->is_masquerading)
        r = append(out, masquerade, rules->table, err);
    if (r == 0 && rules->is_isolated)
        r = append(out, isolation, rules->table, err);
    if (r == 0)
        r = append(out, entrance, rules->table, err);
    for (size_t i = 0; r == 0 && i < rules->bridge_count; i++)
        r = dv_rules_add_bridge(rules->table, &rules->bridges[i], out, err);
    return r;
}
