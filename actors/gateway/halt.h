/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Stops all containers at once, for a machine that goes down. Called from the gateway cell's
 * handlers, answers later.
 */
#include "actors/env.h"
#include "actors/kit/cell.h"

/* `timeout_ms` of each container before SIGKILL, 0: the default. Takes *request on success. */
__attribute__((warn_unused_result)) int gateway_halt(struct dv_cell *cell,
                                                     const struct dv_actor_env *env,
                                                     int64_t timeout_ms,
                                                     struct dv_request **request,
                                                     struct dv_error *err);
