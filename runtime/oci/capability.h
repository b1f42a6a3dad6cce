/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Capabilities of a container as a set of bits, one for each number of spec/capability.h. Pure
 * functions, any thread.
 */
#include "base/error.h"
#include "messages/messages.h"
#include "spec/capability.h"

#include <stdbool.h>
#include <stdint.h>

static inline bool dv_oci_capability_in(uint64_t set, unsigned number)
{
    return (set >> number) & 1U;
}

/* Those that this process may hand on: its bounding set, which a kernel or a surrounding container
 * may have made smaller. */
uint64_t dv_oci_capabilities_available(void);

/* What a container gets, out of `available`: the usual fourteen and its extra ones, or all for a
 * privileged one. INVALID names an unknown extra one and the nearest known one, FAILED one that is
 * not available. */
__attribute__((warn_unused_result)) int dv_oci_capabilities(const struct dv_container_spec *spec,
                                                            uint64_t available,
                                                            uint64_t *ret,
                                                            struct dv_error *err);

/* Those of `set` that the description asks for by name. */
uint64_t dv_oci_capabilities_extra(const struct dv_container_spec *spec, uint64_t set);
