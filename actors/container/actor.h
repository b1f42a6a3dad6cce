/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `Container:<id>`: one container. It owns the record, the state machine, the restart policy and
 * the order of commands, and reaches everything else by messages: it cannot call a driver.
 *
 * Start message: container_start_args. Takes command, container_exited, image_progress and
 * container_snapshot_query; publishes container_event. Commands of one container run in the order
 * in which they came, at most DV_CONTAINER_QUEUE_MAX wait, one more is BUSY.
 */
#include "actors/kit/cell.h"

#define DV_CONTAINER_QUEUE_MAX 64

extern const struct dv_cell_type dv_container_cell;
