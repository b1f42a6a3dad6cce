/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Base64 of RFC 4648, strict: no white space, no bits left over. Pure, any thread. */
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>

enum dv_base64 {
    DV_BASE64_STANDARD, /* section 4, padded */
    DV_BASE64_URL,      /* section 5, not padded */
};

/* Appends the bytes. INVALID names `what`. */
__attribute__((warn_unused_result)) int dv_base64_read(struct dv_str text,
                                                       enum dv_base64 alphabet,
                                                       const char *what,
                                                       struct dv_buf *out,
                                                       struct dv_error *err);
