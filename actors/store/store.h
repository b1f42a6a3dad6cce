/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `store`: the journal's owner. Records and ends of commands are journaled in batches (one sync for
 * all that wait), container records are checkpointed to <home>/containers/<id>/config.json, and the
 * journal is rotated once they are. May block for the disk.
 *
 * Takes store_record, store_remove, store_answered, store_intent, store_value (answered with done
 * once durable), store_value_query, store_load_query, store_open_query, store_repeats_query.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_store_cell;
