/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * SHA-256 (FIPS 180-4) for names and keys that must not collide: repeat keys, shortened ids. Code
 * that verifies downloads uses OpenSSL, which is faster. Pure, any thread, nothing is allocated.
 */
#include <stddef.h>
#include <stdint.h>

#define DV_SHA256_SIZE     32
#define DV_SHA256_HEX_SIZE (2 * DV_SHA256_SIZE + 1)

struct dv_sha256 {
    uint32_t state[8];
    uint64_t len;
    uint8_t block[64];
};

void dv_sha256_init(struct dv_sha256 *sha);
void dv_sha256_add(struct dv_sha256 *sha, const void *bytes, size_t len);
/* Adds the length as eight bytes, then the bytes: two lists of parts with equal digests are equal
 * part by part. */
void dv_sha256_add_part(struct dv_sha256 *sha, const void *bytes, size_t len);
/* Ends the sum; `sha` must be initialised again before it is reused. */
void dv_sha256_finish(struct dv_sha256 *sha, uint8_t ret[DV_SHA256_SIZE]);
/* As above in lower-case hexadecimal; returns `text`. */
char *dv_sha256_finish_hex(struct dv_sha256 *sha, char text[DV_SHA256_HEX_SIZE]);
