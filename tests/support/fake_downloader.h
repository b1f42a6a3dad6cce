/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The downloader without a network: artifacts are made of their links. http://sim/NAME/IMAGE is the
 * description of container NAME from IMAGE. `failures` makes the next ones unreachable; each takes
 * a while. Takes the place of the downloader in a simulation.
 */
#include "actors/kit/cell.h"

struct fake_downloads {
    unsigned failures;
    int64_t delay_ms; /* each takes so long */
};

/* The one that is in use: a simulation has one thread and one daemon at a time. */
void fake_downloads_use(struct fake_downloads *downloads);

extern const struct dv_cell_type fake_downloader_cell;
