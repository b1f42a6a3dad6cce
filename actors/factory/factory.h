/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `ContainerFactory`: create and createWithConfig. It checks the arguments (spec/), gives the id
 * and passes the create on to the roster and the container cell, whose answer it hands back. Takes
 * command.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_factory_cell;
