/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory limits of a container: from the texts of the description to bytes, and whether this
 * machine can hold them. Pure, any thread.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_UNLIMITED (-1)

/* Bytes, or DV_UNLIMITED. An absent text, "-1" and a size of 0 are no limit. */
struct dv_memory_limits {
    int64_t memory;
    int64_t reservation;
    int64_t swap; /* memory and swap together */
};

/* `resources` may be NULL: no limits. INVALID names field and value. */
__attribute__((warn_unused_result)) int dv_resources_bytes(const struct dv_resources *resources,
                                                           struct dv_memory_limits *ret,
                                                           struct dv_error *err);

/* Why this machine cannot hold a limit, and the remedy; NULL: it can. Texts outlive the user. */
struct dv_limit_refusals {
    const char *memory;
    const char *reservation;
    const char *swap;
};

/* UNSUPPORTED names the first field that asks for a limit that is refused here. NULL refusals: none
 * is. */
__attribute__((warn_unused_result)) int
dv_resources_check_machine(const struct dv_resources *resources,
                           const struct dv_limit_refusals *refusals,
                           struct dv_error *err);

/* The same for a description that lies on disk, where a create that filled in its defaults may have
 * left them: a limit of swap that is twice that of memory goes where swap is not counted. */
__attribute__((warn_unused_result)) int dv_resources_fit_machine(
    struct dv_resources *resources, const struct dv_limit_refusals *refusals, struct dv_error *err);

/* Whether both ask for the same limits; NULL asks for none. Texts that cannot be read differ. */
bool dv_resources_are_same(const struct dv_resources *a, const struct dv_resources *b);
