/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/rules.h"

/* What the texts differ in between the families. */
struct family {
    const char *name;
    const char *address_type;
    const char *loopback;
};

static const struct family ip4 = {"ip", "ipv4_addr", "127.0.0.0/8"};
static const struct family ip6 = {"ip6", "ipv6_addr", "::1"};

/* `$T` is the table, `$F` the family, `$A` the type of its addresses, `$L` what loopback has.
 * Priorities are numbers, because their names are not allowed in every hook. */
static const char declarations[] =
    "add set $F $T bridges { type ifname; }\n"
    "add set $F $T networks { type $A; flags interval; }\n"
    "add map $F $T ports { type inet_proto . inet_service : $A . inet_service; }\n"
    "add map $F $T ports_at { type $A . inet_proto . inet_service : $A . inet_service; }\n"
    "add chain $F $T guard { type filter hook prerouting priority -300; }\n"
    "add chain $F $T mapped\n"
    "add rule $F $T mapped dnat $F to $F daddr . meta l4proto . th dport map @ports_at\n"
    "add rule $F $T mapped dnat $F to meta l4proto . th dport map @ports\n"
    "add chain $F $T incoming { type nat hook prerouting priority -100; }\n"
    "add chain $F $T local { type nat hook output priority -100; }\n"
    "add chain $F $T outgoing { type nat hook postrouting priority 100; }\n"
    "add chain $F $T through { type filter hook forward priority 0; }\n"
    "add rule $F $T guard iifname @bridges $F saddr $L drop\n"
    "add rule $F $T guard iifname @bridges $F daddr $L drop\n"
    "add rule $F $T incoming fib daddr type local jump mapped\n"
    "add rule $F $T local fib daddr type local jump mapped\n"
    /* What loopback sends, and what containers send to each other, must come back to where its
     * address was changed. */
    "add rule $F $T outgoing $F saddr $L oifname @bridges masquerade\n"
    "add rule $F $T outgoing $F saddr @networks $F daddr @networks ct status dnat masquerade\n"
    "add rule $F $T through oifname @bridges ct status dnat accept\n";

static const char masquerade[] =
    "add rule $F $T outgoing $F saddr @networks $F daddr != @networks masquerade\n";

/* From one container to another. */
static const char isolation[] =
    "add rule $F $T through iifname @bridges oifname @bridges ct state established,related accept\n"
    "add rule $F $T through iifname @bridges oifname @bridges drop\n";

/* From elsewhere to a container. */
static const char entrance[] =
    "add rule $F $T through oifname @bridges iifname != @bridges ct state established,related "
    "accept\n"
    "add rule $F $T through oifname @bridges iifname != @bridges drop\n";

static const char *value_of(char mark, const struct family *family, const char *table)
{
    switch (mark) {
    case 'F':
        return family->name;
    case 'A':
        return family->address_type;
    case 'L':
        return family->loopback;
    default:
        return table;
    }
}

static int append(struct dv_buf *out,
                  const char *text,
                  const struct family *family,
                  const char *table,
                  struct dv_error *err)
{
    int r = 0;
    struct dv_str rest = dv_str_of(text);
    while (r == 0 && rest.len > 0) {
        struct dv_str head;
        struct dv_str tail = {NULL, 0};
        bool has_more = dv_str_cut(rest, '$', &head, &tail);
        r = dv_buf_append(out, head.data, head.len, err);
        if (r == 0 && has_more)
            r = dv_buf_append_str(out, value_of(tail.data[0], family, table), err);
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
    int r = dv_buf_printf(out, err,
                          "add element ip %s bridges { \"%s\" }\n"
                          "add element ip %s networks { %s/%u }\n",
                          table, bridge->name, table, text, network.prefix_len);
    if (r < 0 || !bridge->address6.prefix_len)
        return r;
    char text6[DV_IP6_TEXT_MAX];
    struct dv_ip6 network6 = dv_cidr6_network(&bridge->address6);
    return dv_buf_printf(out, err,
                         "add element ip6 %s bridges { \"%s\" }\n"
                         "add element ip6 %s networks { %s/%u }\n",
                         table, bridge->name, table, dv_ip6_text(&network6, text6),
                         bridge->address6.prefix_len);
}

/* One of the four maps: by family, and by whether an address of the machine is a part of the key.
 */
struct map {
    bool is_ip6;
    bool has_address;
};

static bool is_of(const struct map *map, const struct dv_rules_port *port)
{
    return port->is_ip6 == map->is_ip6 && (port->host_address[0] != 0) == map->has_address;
}

static int ports_of_map(const char *verb,
                        const char *table,
                        const struct map *map,
                        const struct dv_rules_port *ports,
                        size_t count,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    bool is_first = true;
    int r = 0;
    for (size_t i = 0; r == 0 && i < count; i++) {
        const struct dv_rules_port *port = &ports[i];
        if (!is_of(map, port))
            continue;
        if (is_first)
            r = dv_buf_printf(out, err, "%s element %s %s %s {", verb, map->is_ip6 ? "ip6" : "ip",
                              table, map->has_address ? "ports_at" : "ports");
        if (r == 0)
            r = dv_buf_printf(out, err, "%s %s%s%s . %u : %s . %u", is_first ? "" : ",",
                              port->host_address, map->has_address ? " . " : "", port->proto,
                              port->host_port, port->address, port->port);
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
    static const struct map maps[] = {{false, false}, {false, true}, {true, false}, {true, true}};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(maps) / sizeof(maps[0]); i++)
        r = ports_of_map(verb, table, &maps[i], ports, count, out, err);
    return r;
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

static int
drop(const char *table, const struct family *family, struct dv_buf *out, struct dv_error *err)
{
    return append(out, "add table $F $T\ndelete table $F $T\n", family, table, err);
}

int dv_rules_drop(const char *table, bool has_ip6, struct dv_buf *out, struct dv_error *err)
{
    int r = drop(table, &ip4, out, err);
    return r < 0 || !has_ip6 ? r : drop(table, &ip6, out, err);
}

static int append_table(const struct dv_rules *rules,
                        const struct family *family,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    int r = drop(rules->table, family, out, err);
    if (r == 0)
        r = append(out, "add table $F $T\n", family, rules->table, err);
    if (r == 0)
        r = append(out, declarations, family, rules->table, err);
    if (r == 0 && rules->is_masquerading)
        r = append(out, masquerade, family, rules->table, err);
    if (r == 0 && rules->is_isolated)
        r = append(out, isolation, family, rules->table, err);
    return r < 0 ? r : append(out, entrance, family, rules->table, err);
}

int dv_rules_table(const struct dv_rules *rules, struct dv_buf *out, struct dv_error *err)
{
    int r = append_table(rules, &ip4, out, err);
    if (r == 0 && rules->has_ip6)
        r = append_table(rules, &ip6, out, err);
    for (size_t i = 0; r == 0 && i < rules->bridge_count; i++)
        r = dv_rules_add_bridge(rules->table, &rules->bridges[i], out, err);
    return r;
}
