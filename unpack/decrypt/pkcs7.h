/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Opens PKCS #7 enveloped data (RFC 5652, section 6) with an RSA private key: RSAES-PKCS1-v1_5 or
 * RSAES-OAEP for the content key, AES-128-GCM or AES-256-GCM for the content. The DER is read here,
 * since OpenSSL refuses what the usual tools write: AES-GCM outside of AuthEnvelopedData, its
 * parameters in a sequence that is marked as primitive, its tag behind the content.
 *
 * Pure but for OpenSSL, any thread.
 */
#include "base/buf.h"
#include "base/error.h"

#include <openssl/types.h>

#define DV_PKCS7_RECIPIENTS_MAX 1024

/* Appends what was encrypted to `out`; the caller wipes it. DENIED if the key opens it for no
 * recipient, UNSUPPORTED for an algorithm that is not known, INVALID for a malformed one. */
__attribute__((warn_unused_result)) int
dv_pkcs7_open(const void *der, size_t len, EVP_PKEY *key, struct dv_buf *out, struct dv_error *err);
