/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/rules.h"

#include <criterion/criterion.h>
#include <string.h>

#define PORT(p, ip, first, last)                                                                   \
    {                                                                                              \
        .proto = (char *)(p), .container_port = 80, .host_ip = (char *)(ip), .host_port = (first), \
        .host_port_end = (last)                                                                    \
    }

static int
check(const struct dv_port_mapping *ports, size_t count, bool has_ip6, struct dv_error *err)
{
    struct dv_container_spec spec = {
        .port_mappings = {(struct dv_port_mapping *)(void *)ports, count}};
    struct dv_container_record record = {.spec = &spec};
    *err = DV_ERROR_INIT;
    return dv_spec_check_support(&record, has_ip6, err);
}

Test(support, ipv6_needs_the_key_that_switches_it_on)
{
    struct dv_error err;
    const struct dv_port_mapping ports[] = {PORT("tcp", "0.0.0.0", 80, 80),
                                            PORT("tcp", "::1", 80, 80)};
    cr_assert_eq(check(ports, 2, true, &err), 0, "%s", err.text);
    cr_assert_eq(check(ports, 2, false, &err), -DV_ERR_UNSUPPORTED);
    cr_assert_str_eq(err.text,
                     "config.portMappings[1].hostIP: '::1' is IPv6, which containers have "
                     "only with network.default_bridge.enable_ip6");
}

Test(support, addresses_that_no_port_can_be_mapped_of_are_refused)
{
    static const struct {
        const char *address;
        const char *why;
    } cases[] = {
        {"::ffff:10.0.0.1", "write it as one"},
        {"fe80::1", "link-local or multicast"},
        {"ff02::1", "link-local or multicast"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dv_error err;
        const struct dv_port_mapping port = PORT("tcp", cases[i].address, 80, 80);
        cr_assert_eq(check(&port, 1, true, &err), -DV_ERR_INVALID);
        cr_assert_not_null(strstr(err.text, cases[i].why), "%s", err.text);
    }
}

Test(support, a_port_that_is_mapped_twice_is_refused)
{
    static const struct {
        struct dv_port_mapping ports[2];
        bool is_good;
    } cases[] = {
        {{PORT("tcp", "0.0.0.0", 80, 80), PORT("tcp", "0.0.0.0", 80, 80)}, false},
        {{PORT("tcp", "0.0.0.0", 80, 80), PORT("TCP", "127.0.0.1", 80, 80)}, false},
        {{PORT("tcp", "::1", 80, 80), PORT("tcp", "::", 80, 80)}, false},
        {{PORT("tcp", "::1", 80, 80), PORT("tcp", "0:0::1", 80, 80)}, false},
        {{PORT("tcp", "0.0.0.0", 80, 80), PORT("udp", "0.0.0.0", 80, 80)}, true},
        {{PORT("tcp", "0.0.0.0", 80, 80), PORT("tcp", "::", 80, 80)}, true},
        {{PORT("tcp", "127.0.0.1", 80, 80), PORT("tcp", "10.0.0.1", 80, 80)}, true},
        {{PORT("tcp", "0.0.0.0", 80, 80), PORT("tcp", "0.0.0.0", 81, 81)}, true},
        {{PORT("tcp", "0.0.0.0", 80, 81), PORT("tcp", "0.0.0.0", 80, 81)}, true},
        {{PORT("tcp", "0.0.0.0", 0, 0), PORT("tcp", "0.0.0.0", 0, 0)}, true},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct dv_error err;
        int r = check(cases[i].ports, 2, true, &err);
        cr_assert_eq(r, cases[i].is_good ? 0 : -DV_ERR_INVALID, "case %zu: %s", i, err.text);
        if (r < 0)
            cr_assert_not_null(strstr(err.text, "is mapped by config.portMappings[0] already"));
    }
}
