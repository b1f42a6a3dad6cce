/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Who this gateway is for the cloud: told by the connector in its answer to the handshake, or fixed
 * by the configuration. An answer that would give an unusable identity is refused whole.
 *
 * Pure functions, any thread.
 */
#include "base/error.h"
#include "base/str.h"
#include "bridge/hono/topic.h"

#include <stdbool.h>

#define DV_HONO_HANDSHAKE_MAX 4096
#define DV_HONO_TENANT_MAX    256
#define DV_HONO_POLICY_MAX    256

struct dv_hono_identity {
    char thing[DV_HONO_THING_MAX + 1]; /* <device id>:edge:containers */
    char tenant[DV_HONO_TENANT_MAX + 1];
    char policy[DV_HONO_POLICY_MAX + 1]; /* may be empty; only its change matters */
};

/* INVALID names the id and the rule. NULL policy: empty. */
__attribute__((warn_unused_result)) int dv_hono_identity_make(const char *device,
                                                              const char *tenant,
                                                              const char *policy,
                                                              struct dv_hono_identity *ret,
                                                              struct dv_error *err);

/* The answer of the connector: {"deviceId":..,"tenantId":..,"policyId":..}, other keys ignored. */
__attribute__((warn_unused_result)) int
dv_hono_handshake_parse(struct dv_str bytes, struct dv_hono_identity *ret, struct dv_error *err);
