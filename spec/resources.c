/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/resources.h"

#include "base/str.h"

#include <string.h>

static int
take(const char *field, const char *text, bool may_be_unlimited, int64_t *ret, struct dv_error *err)
{
    struct dv_error why = DV_ERROR_INIT;
    int64_t bytes;
    *ret = DV_UNLIMITED;
    if (!text || !text[0] || (may_be_unlimited && strcmp(text, "-1") == 0))
        return 0;
    if (dv_str_to_size(dv_str_of(text), &bytes, &why) < 0)
        return dv_error_set(err, DV_ERR_INVALID, "config.resources.%s: %s%s", field, why.text,
                            may_be_unlimited ? " or -1" : "");
    *ret = bytes > 0 ? bytes : DV_UNLIMITED;
    return 0;
}

int dv_resources_bytes(const struct dv_resources *resources,
                       struct dv_memory_limits *ret,
                       struct dv_error *err)
{
    struct dv_memory_limits limits = {DV_UNLIMITED, DV_UNLIMITED, DV_UNLIMITED};
    int r = 0;
    if (resources) {
        r = take("memory", resources->memory, false, &limits.memory, err);
        if (r == 0)
            r = take("memoryReservation", resources->memory_reservation, false, &limits.reservation,
                     err);
        if (r == 0)
            r = take("memorySwap", resources->memory_swap, true, &limits.swap, err);
    }
    if (r == 0)
        *ret = limits;
    return r;
}

int dv_resources_check_machine(const struct dv_resources *resources,
                               const struct dv_limit_refusals *refusals,
                               struct dv_error *err)
{
    struct dv_memory_limits limits;
    int r = dv_resources_bytes(resources, &limits, err);
    if (r < 0 || !refusals)
        return r;
    const struct {
        const char *field;
        const char *text;
        int64_t bytes;
        const char *refusal;
    } rows[] = {
        {"memory", resources ? resources->memory : NULL, limits.memory, refusals->memory},
        {"memoryReservation", resources ? resources->memory_reservation : NULL, limits.reservation,
         refusals->reservation},
        {"memorySwap", resources ? resources->memory_swap : NULL, limits.swap, refusals->swap},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].bytes != DV_UNLIMITED && rows[i].refusal)
            return dv_error_set(err, DV_ERR_UNSUPPORTED,
                                "config.resources.%s: '%s' cannot be enforced here: %s",
                                rows[i].field, rows[i].text, rows[i].refusal);
    return 0;
}

int dv_resources_fit_machine(struct dv_resources *resources,
                             const struct dv_limit_refusals *refusals,
                             struct dv_error *err)
{
    struct dv_memory_limits limits;
    int r = dv_resources_bytes(resources, &limits, err);
    if (r < 0)
        return r;
    if (refusals && refusals->swap && limits.memory != DV_UNLIMITED &&
        limits.memory <= INT64_MAX / 2 && limits.swap == 2 * limits.memory)
        resources->memory_swap = NULL;
    return dv_resources_check_machine(resources, refusals, err);
}

bool dv_resources_are_same(const struct dv_resources *a, const struct dv_resources *b)
{
    struct dv_memory_limits first;
    struct dv_memory_limits second;
    return dv_resources_bytes(a, &first, NULL) == 0 && dv_resources_bytes(b, &second, NULL) == 0 &&
           first.memory == second.memory && first.reservation == second.reservation &&
           first.swap == second.swap;
}
