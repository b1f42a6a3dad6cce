/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* davit status: asks all who know something and puts it together. Private to actors/gateway. */
#include "actors/env.h"
#include "actors/kit/cell.h"

/* Keeps the request and answers it when all parts are there; a part that does not answer in time is
 * left empty. */
int gateway_status(struct dv_cell *cell,
                   const struct dv_actor_env *env,
                   int64_t started_ns,
                   struct dv_request **request,
                   struct dv_error *err);
