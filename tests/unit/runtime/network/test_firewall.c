/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/state.h"

#include <criterion/criterion.h>

/* As `nft list chains` prints it. */
#define CHAIN(name, type, policy)                                                                  \
    "\tchain " name " {\n\t\ttype filter hook " type " priority filter; policy " policy ";\n\t}\n"
#define TABLE(name, chains) "table " name " {\n" chains "}\n"

static bool drops(const char *text, struct dv_str *table, struct dv_str *chain)
{
    return firewall_drops(dv_str_of(text), "davit", false, table, chain);
}

Test(firewall, a_chain_that_drops_what_is_forwarded_is_found)
{
    struct dv_str table;
    struct dv_str chain;
    cr_assert(
        drops(TABLE("ip filter", CHAIN("INPUT", "input", "accept") "\tchain DOCKER {\n\t}\n" CHAIN(
                                     "FORWARD", "forward", "drop")),
              &table, &chain));
    cr_expect(dv_str_eq(table, "ip filter"));
    cr_expect(dv_str_eq(chain, "FORWARD"));
    cr_assert(drops(TABLE("ip davit", CHAIN("guard", "forward", "accept"))
                        TABLE("inet mine", CHAIN("fwd", "forward", "drop")),
                    &table, &chain));
    cr_expect(dv_str_eq(table, "inet mine"));
}

Test(firewall, ip6_counts_where_containers_have_it)
{
    static const char text[] = TABLE("ip6 filter", CHAIN("FORWARD", "forward", "drop"));
    struct dv_str table;
    struct dv_str chain;
    cr_assert(firewall_drops(dv_str_of(text), "davit", true, &table, &chain));
    cr_expect(dv_str_eq(table, "ip6 filter"));
}

Test(firewall, what_does_not_concern_containers_is_not)
{
    static const char *const rows[] = {
        "",
        "\n\n",
        "table",
        "hook forward policy drop",
        TABLE("ip filter", CHAIN("FORWARD", "forward", "accept")),
        TABLE("ip filter", CHAIN("INPUT", "input", "drop")),
        TABLE("ip6 filter", CHAIN("FORWARD", "forward", "drop")),
        TABLE("bridge filter", CHAIN("FORWARD", "forward", "drop")),
        TABLE("ip davit", CHAIN("FORWARD", "forward", "drop")),
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_str table;
        struct dv_str chain;
        cr_expect_not(drops(rows[i], &table, &chain), "%s", rows[i]);
    }
}
