/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `SoftwareUpdatable`: installs and removes containers as software modules, one operation after the
 * other. An operation is in the journal before its command is answered; a start of davitd goes on
 * with it (docs/software-updates.md).
 *
 * Takes command and feature_query, which is answered as soon as all containers are known; listens
 * to container_event; publishes feature_event.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_software_cell;
