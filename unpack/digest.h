/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A digest computed while bytes stream by and compared with the one that was promised. OpenSSL is
 * inside and does not show; it loads its configuration in dv_unpack_digest_new(), so call that
 * before confinement. Not thread-safe: one owner.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>

struct dv_unpack_digest;

/* `text` is "sha256:<64 lower case hex digits>" or "sha512:<128>"; anything else is INVALID.
 * `role` names it in errors ("blob digest", "diff id") and must outlive the object. */
__attribute__((warn_unused_result)) int dv_unpack_digest_new(const char *text,
                                                             const char *role,
                                                             struct dv_unpack_digest **ret,
                                                             struct dv_error *err);
void dv_unpack_digest_free(struct dv_unpack_digest *digest);
DV_DEFINE_CLEANUP(dv_unpack_digest, dv_unpack_digest_free)

__attribute__((warn_unused_result)) int dv_unpack_digest_add(struct dv_unpack_digest *digest,
                                                             const void *bytes,
                                                             size_t len,
                                                             struct dv_error *err);

/* CORRUPT, naming both digests, if they differ. Ends the computation. */
__attribute__((warn_unused_result)) int dv_unpack_digest_verify(struct dv_unpack_digest *digest,
                                                                struct dv_error *err);
