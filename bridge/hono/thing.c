/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/thing.h"

#include <stdio.h>
#include <string.h>

#define SUFFIX_MAX 16

static size_t suffix_of(unsigned index, char ret[SUFFIX_MAX])
{
    ret[0] = '\0';
    return index == 0 ? 0 : (size_t)snprintf(ret, SUFFIX_MAX, "-%u", index + 1);
}

void dv_hono_thing_name(const char *first, unsigned index, char ret[DV_HONO_THING_MAX + 1])
{
    char suffix[SUFFIX_MAX];
    size_t room = DV_HONO_THING_MAX - suffix_of(index, suffix);
    snprintf(ret, DV_HONO_THING_MAX + 1, "%.*s%s", (int)room, first, suffix);
}

int dv_hono_thing_index(const char *first, unsigned count, struct dv_str name)
{
    char candidate[DV_HONO_THING_MAX + 1];
    if (!first[0] || !dv_str_starts_with(name, first))
        return -1;
    for (unsigned i = 0; i < count; i++) {
        dv_hono_thing_name(first, i, candidate);
        if (dv_str_eq(name, candidate))
            return (int)i;
    }
    return -1;
}

int dv_hono_things_check(const char *first, unsigned count, struct dv_error *err)
{
    char suffix[SUFFIX_MAX];
    size_t max = DV_HONO_THING_MAX - suffix_of(count - 1, suffix);
    if (strlen(first) <= max)
        return 0;
    return dv_error_set(
        err, DV_ERR_INVALID,
        "thing id '%s' is longer than %zu bytes, which leave room for '%s': shorten "
        "the device id or set davit.bridge.things to 1",
        first, max, suffix);
}
