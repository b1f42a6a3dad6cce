/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `image`: has images ready for containers, and removes those that nobody needs. One pull a
 * reference, shared by all who wait for it, and canceled when nobody does. Never blocks: downloads
 * go to `downloader`, disk work to `workers`.
 *
 * Takes image_ensure_cmd, image_pull_cmd (both answered with image_ready), image_pull_cancel,
 * image_released, image_list_query, image_pulls_query, image_remove_cmd, image_prune_cmd and
 * image_load_cmd; sends image_progress to the containers that wait. Images that no container uses
 * are removed when they expire: what is used is asked of `roster` each time, and what a container
 * was told of just now is remembered here until its record names it.
 */
#include "actors/kit/cell.h"

#define DV_PULLS_MAX  256 /* references pulled at a time, one more is BUSY */
#define DV_CHORES_MAX 64  /* removals and loads that wait, one more is BUSY */

extern const struct dv_cell_type dv_image_cell;
