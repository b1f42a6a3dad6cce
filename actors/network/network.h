/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `network`: connects containers. It owns the port runtime/network.h, the only way to addresses,
 * bridges and port mappings, so their changes come one after another. A change blocks this cell
 * for as long as the kernel takes.
 *
 * Takes network_attach_cmd, network_detach_cmd, network_query, network_check_query and
 * network_describe_query.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_network_cell;
