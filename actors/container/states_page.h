/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* docs/states.md from the tables of states.c. Pure, any thread. */
#include "base/buf.h"
#include "base/error.h"

__attribute__((warn_unused_result)) int dv_states_markdown(struct dv_buf *out,
                                                           struct dv_error *err);
