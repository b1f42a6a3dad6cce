/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `image`: has images ready for containers. One pull a reference, shared by all who wait for it,
 * and canceled when nobody does. Never blocks: downloads go to `downloader`, disk work to
 * `workers`.
 *
 * Takes image_ensure_cmd (answered with image_ready) and image_released; sends image_progress to
 * the containers that wait.
 */
#include "actors/kit/cell.h"

#define DV_PULLS_MAX 256 /* references pulled at a time, one more is BUSY */

extern const struct dv_cell_type dv_image_cell;
