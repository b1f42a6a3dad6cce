/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Defaults and rules of the container description. Pure, any thread. Texts that change go to the
 * arena; the structs of the record are changed in place.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>

#define DV_MEMORY_MIN_BYTES (3LL << 20)

/* Fills what was not given: names, policy, log, ports, devices. `is_new`: a create, where memory
 * without swap also sets the swap limit to twice the memory. */
__attribute__((warn_unused_result)) int dv_spec_fill_defaults(struct dv_container_record *record,
                                                              struct dv_arena *arena,
                                                              bool is_new,
                                                              struct dv_error *err);

/* INVALID names field (by its API key), value and rule. Expects defaults to be filled. */
__attribute__((warn_unused_result)) int dv_spec_check(const struct dv_container_record *record,
                                                      struct dv_error *err);
/* The parts that `update` changes. */
__attribute__((warn_unused_result)) int
dv_spec_check_restart(const struct dv_restart_policy *policy, struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_spec_check_resources(const struct dv_resources *resources, struct dv_error *err);

/* What no start could do: ports that the container itself wants twice (INVALID), and IPv6 without
 * `has_ip6`, whether containers have it on this machine (UNSUPPORTED). Not a part of
 * dv_spec_check(), since records of earlier managers with such ports are kept. */
__attribute__((warn_unused_result)) int
dv_spec_check_support(const struct dv_container_record *record, bool has_ip6, struct dv_error *err);
