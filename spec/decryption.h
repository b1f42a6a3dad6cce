/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Decryption keys as one text that no trace shows: a line for each, "k" and a key or "r" and a
 * recipient. Pure, any thread.
 */
#include "base/buf.h"
#include "messages/messages.h"

/* NULL: none. The caller wipes *out. */
__attribute__((warn_unused_result)) int dv_decryption_write(const struct dv_decryption *decryption,
                                                            struct dv_buf *out,
                                                            struct dv_error *err);
