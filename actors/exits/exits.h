/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `exits`: tells container cells that their process ended. It owns the exit source
 * (runtime/exits.h). An exit is offered again until its container has taken it over; one that no
 * container wants is dropped after DV_EXIT_OFFERS offers.
 *
 * Takes exit_watch_cmd and exits_query.
 */
#include "actors/kit/cell.h"

#define DV_EXIT_OFFERS 120 /* one every 500 ms */

extern const struct dv_cell_type dv_exits_cell;
