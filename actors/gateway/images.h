/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The operations of the feature `davit` about images: asked of the image cell, answered as JSON. */
#include "actors/env.h"
#include "actors/kit/cell.h"

#include "json/json.h"
#include <stdbool.h>

/* False when `operation` is none about images; else *ret is what the handler returns. */
bool gateway_images(struct dv_cell *cell,
                    const struct dv_actor_env *env,
                    const char *operation,
                    const struct dv_json *args,
                    struct dv_request **request,
                    int *ret,
                    struct dv_error *err);
