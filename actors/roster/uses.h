/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Which images containers use, for those who remove images. */
#include "actors/kit/cell.h"
#include "actors/roster/table.h"

/* Answers with image_uses: each image once, in few bytes, so it is complete or an error. */
int roster_answer_uses(struct dv_cell *cell,
                       const struct dv_roster_table *table,
                       struct dv_request **request,
                       struct dv_error *err);
