/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Deployment files against containers that exist: is there a difference, and can it be made up for
 * in place? Pure, any thread.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"

enum dv_deploy_difference {
    DV_DEPLOY_SAME,
    DV_DEPLOY_IN_PLACE, /* restart policy or resources only: an update */
    DV_DEPLOY_REPLACE,  /* anything else that a running container cannot change */
};

/* Not compared: id, name, host and domain name, hooks, runtime, decryption. Variables, extra hosts
 * and capabilities are compared as sets, everything else in order. Scratch goes to the arena. */
__attribute__((warn_unused_result)) int dv_deploy_compare(const struct dv_container_record *now,
                                                          const struct dv_container_record *wanted,
                                                          struct dv_arena *arena,
                                                          enum dv_deploy_difference *ret,
                                                          struct dv_error *err);

/* Appends the value of an `update` that gives a container the policy and resources of `wanted`. */
__attribute__((warn_unused_result)) int dv_deploy_update_args(
    const struct dv_container_record *wanted, struct dv_buf *out, struct dv_error *err);
