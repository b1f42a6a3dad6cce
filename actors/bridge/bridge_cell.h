/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `bridge/<name>`: what the cloud side of one bridge has been told and has asked: routing of
 * commands to features, repeats, admission, the twin's outbox. It knows no wire; session/<name>
 * carries. Start message: bridge_start_args. Takes command, outbox_message, link_changed,
 * twin_sent and bridge_query; listens to container_event and feature_event.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_bridge_cell;
