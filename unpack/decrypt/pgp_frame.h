/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether bytes are framed as an encrypted OpenPGP message that may be opened (RFC 4880, sections
 * 4.2, 5.1, 5.13 and 11.3): session keys for at most DV_PGP_RECIPIENTS_MAX public keys, then
 * encrypted data with integrity protection up to the last byte. Messages for passwords, data
 * without integrity protection and whatever is not encrypted are refused before the library that
 * decrypts sees them. Pure, any thread.
 */
#include "base/error.h"

#include <stddef.h>

#define DV_PGP_RECIPIENTS_MAX 1024

/* INVALID for a malformed message, UNSUPPORTED for another kind of it. */
__attribute__((warn_unused_result)) int
dv_pgp_frame_check(const void *message, size_t len, struct dv_error *err);
