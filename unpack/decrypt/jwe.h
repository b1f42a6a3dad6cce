/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Opens a JSON Web Encryption (RFC 7516) in JSON serialization with a private key: RSA-OAEP,
 * RSA-OAEP-256 and ECDH-ES+A256KW (RFC 7518, P-256, P-384 and P-521) with A256GCM. Anything else,
 * compression and passwords among it, is refused. Pure but for OpenSSL, any thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#include <openssl/types.h>

#define DV_JWE_RECIPIENTS_MAX 1024

/* Appends what was encrypted to `out`; the caller wipes it. DENIED if the key opens it for no
 * recipient, UNSUPPORTED for an algorithm that is not known, INVALID for a malformed one. */
__attribute__((warn_unused_result)) int
dv_jwe_open(struct dv_str text, EVP_PKEY *key, struct dv_buf *out, struct dv_error *err);
