/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `sampler`: reads what all running containers use, in one pass for each who asks, through the port
 * runtime/counters.h. While it is asked again and again, descriptors stay open and it listens to
 * what containers do; else it holds nothing. It has a thread of its own, since a pass over many
 * containers takes the kernel a while.
 *
 * Takes samples_query (answered with samples, page by page); listens to container_event.
 */
#include "actors/kit/cell.h"

extern const struct dv_cell_type dv_sampler_cell;
