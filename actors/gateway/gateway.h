/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `davit`: the feature that only the local bridge can reach. Operations: list (a JSON of
 * container_summaries), status (daemon_status), inspect {"name"} (a record as on disk), trace
 * {"on"} (then every message between actors goes to the local bridge as a live message `trace`).
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_gateway_cell;
