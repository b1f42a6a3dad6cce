/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Folders of containers that there are not: what a crash left is taken away, what somebody may
 * still need is reported. Once, after all records are loaded; containers that are created meanwhile
 * have ids that the list of folders cannot hold.
 */
#include "actors/kit/cell.h"
#include "actors/roster/table.h"

/* Asks the workers, one folder after the other; ends by itself. `table` outlives it. */
void roster_sweep(struct dv_cell *cell, struct dv_roster_table *table, int64_t job_timeout_ms);
