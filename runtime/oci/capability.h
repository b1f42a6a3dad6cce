/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Capabilities of a container as a set of bits, one for each number of linux/capability.h. Pure
 * functions, any thread.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_OCI_CAPABILITIES 41 /* CAP_CHOWN 0 .. CAP_CHECKPOINT_RESTORE 40 */

const char *dv_oci_capability_name(unsigned number); /* "CAP_CHOWN"; NULL beyond the last */

/* With or without CAP_, any case. False if there is none of that name. */
bool dv_oci_capability_parse(const char *name, unsigned *ret_number);

static inline bool dv_oci_capability_in(uint64_t set, unsigned number)
{
    return (set >> number) & 1U;
}

/* What a container gets: the usual fourteen and its extra ones, or all up to `last` (of this
 * kernel) for a privileged one. INVALID names an unknown capability and the nearest known one. */
__attribute__((warn_unused_result)) int dv_oci_capabilities(const struct dv_container_spec *spec,
                                                            unsigned last,
                                                            uint64_t *ret,
                                                            struct dv_error *err);
