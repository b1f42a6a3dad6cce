/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Keys and what skopeo 1.9 sealed for them, of tests/golden/decrypt. The keys protect nothing. */
#include "base/buf.h"

#include <openssl/types.h>

/* Fails the test if it cannot be read; the caller ends it. */
void golden_read(const char *name, struct dv_buf *out);
EVP_PKEY *golden_key(const char *name);
