/* SPDX-License-Identifier: Apache-2.0 */
/* What a container could never have on this machine: refused by name at create, never ignored. */
#include "spec/rules.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* A hostIP in numbers. */
struct place {
    bool is_ip6;
    bool is_any;
    struct in6_addr address; /* of IPv4 the first four bytes */
};

static struct place place_of(const char *host_ip)
{
    struct place place = {.is_ip6 = strchr(host_ip, ':')};
    (void)inet_pton(place.is_ip6 ? AF_INET6 : AF_INET, host_ip, &place.address);
    place.is_any = memcmp(&place.address, &in6addr_any, sizeof(place.address)) == 0;
    return place;
}

static int check_address(const char *host_ip, size_t i, bool has_ip6, struct dv_error *err)
{
    struct place place = place_of(host_ip);
    if (!place.is_ip6)
        return 0;
    if (IN6_IS_ADDR_V4MAPPED(&place.address))
        return dv_error_set(err, DV_ERR_INVALID,
                            "config.portMappings[%zu].hostIP: '%s' is an IPv4 address; write it as "
                            "one",
                            i, host_ip);
    if (IN6_IS_ADDR_LINKLOCAL(&place.address) || IN6_IS_ADDR_MULTICAST(&place.address))
        return dv_error_set(err, DV_ERR_INVALID,
                            "config.portMappings[%zu].hostIP: '%s' is link-local or multicast; use "
                            "'::' or another address of this machine",
                            i, host_ip);
    if (!has_ip6)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "config.portMappings[%zu].hostIP: '%s' is IPv6, which containers have "
                            "only with network.default_bridge.enable_ip6",
                            i, host_ip);
    return 0;
}

static bool is_one_port(const struct dv_port_mapping *port)
{
    return port->host_port > 0 && port->host_port_end <= port->host_port;
}

/* Both cannot be had, whatever is free. */
static bool excludes(const struct dv_port_mapping *a, const struct dv_port_mapping *b)
{
    if (!is_one_port(a) || !is_one_port(b) || a->host_port != b->host_port ||
        strcasecmp(a->proto, b->proto) != 0)
        return false;
    struct place at = place_of(a->host_ip);
    struct place other = place_of(b->host_ip);
    return at.is_ip6 == other.is_ip6 &&
           (at.is_any || other.is_any ||
            memcmp(&at.address, &other.address, sizeof(at.address)) == 0);
}

static int check_twice(const struct dv_port_mapping_list *ports, size_t i, struct dv_error *err)
{
    for (size_t k = 0; k < i; k++)
        if (excludes(&ports->items[k], &ports->items[i]))
            return dv_error_set(err, DV_ERR_INVALID,
                                "config.portMappings[%zu].hostPort: %lld/%s on %s is mapped by "
                                "config.portMappings[%zu] already",
                                i, (long long)ports->items[i].host_port, ports->items[i].proto,
                                ports->items[i].host_ip, k);
    return 0;
}

int dv_spec_check_support(const struct dv_container_record *record,
                          bool has_ip6,
                          struct dv_error *err)
{
    const struct dv_port_mapping_list *ports = &record->spec->port_mappings;
    int r = 0;
    for (size_t i = 0; r == 0 && i < ports->count; i++) {
        r = check_address(ports->items[i].host_ip, i, has_ip6, err);
        if (r == 0)
            r = check_twice(ports, i, err);
    }
    return r;
}
