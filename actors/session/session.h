/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `session/<name>`: one connection of one bridge, through the port bridge/bridge.h; may block. It
 * moves commands to `bridge/<name>` and answers, twin changes and live messages back out, and makes
 * commands durable before they are acknowledged. Start message: bridge_start_args.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_session_cell;
