/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* docs/messages.md from the schema tables. Pure, any thread. */
#include "base/buf.h"
#include "base/error.h"

__attribute__((warn_unused_result)) int dv_messages_markdown(struct dv_buf *out,
                                                             struct dv_error *err);
