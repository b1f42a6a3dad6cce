/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The feature `Metrics`: keeps the one request that is in force, also over restarts, asks the
 * sampler for a pass each period, and sends what the request wants of it as live messages, split at
 * the largest message a bridge may send. A tick that comes while the one before is not over is
 * left out.
 *
 * Takes command (request) and feature_query.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_metrics_cell;
