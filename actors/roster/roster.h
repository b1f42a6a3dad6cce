/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `roster`: which containers exist, under which names, and what was last heard of each. It restores
 * them at start and starts the cells of new ones.
 *
 * Takes container_create_cmd (answered by the container cell), container_name_cmd and
 * container_list_query (answered once the restore is over); listens to container_event.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_roster_cell;
