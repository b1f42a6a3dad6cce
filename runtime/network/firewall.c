/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of others that stand in the way: told, never changed. */
#include "base/log.h"
#include "runtime/network/rules.h"
#include "runtime/network/state.h"

#include <string.h>

static bool has(struct dv_str line, const char *part)
{
    return memmem(line.data, line.len, part, strlen(part)) != NULL;
}

/* "<keyword> <name> {" with blanks in front: the name. */
static bool opens(struct dv_str line, const char *keyword, struct dv_str *ret)
{
    size_t len = strlen(keyword);
    while (line.len && (*line.data == ' ' || *line.data == '\t')) {
        line.data++;
        line.len--;
    }
    if (line.len < len + 2 || !dv_str_starts_with(line, keyword) ||
        memcmp(line.data + line.len - 2, " {", 2) != 0)
        return false;
    *ret = (struct dv_str){line.data + len, line.len - len - 2};
    return ret->len > 0;
}

/* "ip filter": a table of packets that containers have, and not ours. */
static bool is_of_containers(struct dv_str table, const char *own, bool has_ip6)
{
    struct dv_str family;
    struct dv_str name;
    return dv_str_cut(table, ' ', &family, &name) &&
           (dv_str_eq(family, "ip") || dv_str_eq(family, "inet") ||
            (has_ip6 && dv_str_eq(family, "ip6"))) &&
           !dv_str_eq(name, own);
}

bool firewall_drops(struct dv_str listing,
                    const char *own,
                    bool has_ip6,
                    struct dv_str *ret_table,
                    struct dv_str *ret_chain)
{
    struct dv_str table = {NULL, 0};
    struct dv_str chain = {NULL, 0};
    while (listing.len) {
        struct dv_str line;
        struct dv_str rest = {NULL, 0};
        (void)dv_str_cut(listing, '\n', &line, &rest);
        listing = rest;
        if (opens(line, "table ", &table) || opens(line, "chain ", &chain))
            continue;
        if (!has(line, "hook forward") || !has(line, "policy drop") ||
            !is_of_containers(table, own, has_ip6))
            continue;
        *ret_table = table;
        *ret_chain = chain;
        return true;
    }
    return false;
}

void firewall_warn(const struct network *n)
{
    DV_AUTO_IN_PLACE(dv_buf) listing = DV_BUF_INIT(DV_RULES_BYTES_MAX);
    struct dv_str table;
    struct dv_str chain;
    /* Nothing depends on it: who cannot be asked is not warned of. */
    if (!n->options->has_rules || dv_nft_list(n->nft, "list chains\n", &listing, NULL) < 0)
        return;
    if (firewall_drops((struct dv_str){listing.data, listing.len}, n->options->name, n->has_ip6,
                       &table, &chain))
        dv_log(DV_LOG_WARN,
               "network: chain '%.*s' of table '%.*s' drops forwarded packets that it does not "
               "accept, those of containers too: make it accept what comes from and goes to %s0",
               DV_STR_ARG(chain), DV_STR_ARG(table), n->options->name);
}
