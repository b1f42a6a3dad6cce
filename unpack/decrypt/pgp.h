/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Opens OpenPGP messages (RFC 4880) with the secret keys of a ring that was exported to a file, by
 * librnp inside of this process: there is no agent, no home directory and nobody who is asked for
 * a password. Keys are unlocked when the ring is read; opening reads no file.
 *
 * librnp has no locked heap. What is mapped when a ring has been read is locked as a whole, if the
 * process may; librnp wipes the keys when the ring is freed. A ring belongs to one thread.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Secret keys of one ring, subkeys among them. */
#define DV_PGP_KEYS_MAX 64

struct dv_pgp_ring;

/* Whether bytes look like secret keys of OpenPGP, armored or not; they need not be good ones. */
bool dv_pgp_is_ring(const char *bytes, size_t len);

/* `password` NULL: none. `bytes` are not kept. Errors name `path`, never a password: FAILED if it
 * is no ring, holds more keys than allowed, or none for encryption that the password unlocks. */
__attribute__((warn_unused_result)) int dv_pgp_ring_new(const char *bytes,
                                                        size_t len,
                                                        const char *path,
                                                        const char *password,
                                                        struct dv_pgp_ring **ret,
                                                        struct dv_error *err);
void dv_pgp_ring_free(struct dv_pgp_ring *ring);
DV_DEFINE_CLEANUP(dv_pgp_ring, dv_pgp_ring_free)

/* Appends what was encrypted to `out`, within its bound; the caller wipes it. DENIED if no key of
 * the ring is a recipient, UNSUPPORTED for a kind of message that is not accepted (pgp_frame.h),
 * INVALID for a malformed one, CORRUPT if it was changed. */
__attribute__((warn_unused_result)) int dv_pgp_open(const void *message,
                                                    size_t len,
                                                    struct dv_pgp_ring *ring,
                                                    struct dv_buf *out,
                                                    struct dv_error *err);
