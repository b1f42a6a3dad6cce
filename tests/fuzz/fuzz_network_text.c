/* SPDX-License-Identifier: Apache-2.0 */
/* What the container network reads of the machine and of its configuration: routes, name servers,
 * networks, chains of others. */
#include "runtime/network/state.h"

#include <stdlib.h>

#define FOUND_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct dv_str text = {(const char *)data, size};
    struct dv_cidr found[FOUND_MAX];
    struct dv_cidr chosen;
    size_t count = busy_of_routes(text, "davit", found, FOUND_MAX / 2);
    count += busy_of_resolvers(text, found + count, FOUND_MAX - count);
    if (count > FOUND_MAX)
        abort();
    for (size_t i = 0; i < count; i++)
        if (found[i].prefix_len > 32)
            abort();
    if (dv_plan_choose(found, count, &chosen, NULL) == 0)
        for (size_t i = 0; i < count; i++)
            if (dv_cidr_overlaps(chosen, found[i]))
                abort();
    struct dv_str table;
    struct dv_str chain;
    if (firewall_drops(text, "davit", size % 2, &table, &chain) && table.len + chain.len > size)
        abort();
    struct dv_plan_wish wish = {0};
    DV_AUTO_IN_PLACE(dv_plan) plan = {0};
    struct dv_plan_slot slot;
    if (dv_cidr_parse(text, &wish.bridge, NULL) == 0 && dv_plan_init(&plan, &wish, NULL) == 0 &&
        dv_plan_take(&plan, &slot, NULL) == 0 &&
        (slot.address == wish.bridge.address ||
         !dv_cidr_overlaps(wish.bridge, (struct dv_cidr){slot.address, 32})))
        abort();
    struct dv_plan6 plan6;
    if (dv_plan6_parse(text, &plan6, NULL) == 0) {
        struct dv_cidr6 last = dv_plan6_bridge(&plan6, plan6.segment_count - 1);
        if (!dv_plan6_follow(&plan6, plan6.segment_count - 1, &last.address))
            abort();
    }
    return 0;
}
