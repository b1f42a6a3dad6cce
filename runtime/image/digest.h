/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Content digests, "sha256:" or "sha512:" and lower-case hexadecimal digits: reading them, and
 * comparing bytes with them, at once or as a stream. Sums are computed by OpenSSL. Any thread; a
 * dv_digest_sum has one owner. Only dv_digest_verify_fd blocks (on the file).
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_DIGEST_SIZE 136 /* bytes for the longest text and its NUL */

bool dv_digest_is_valid(struct dv_str text);

/* "sha256" or "sha512", and the hexadecimal part, as views into a valid digest. */
struct dv_str dv_digest_algorithm(const char *digest);
struct dv_str dv_digest_hex(const char *digest);

/* The sha256 digest of the bytes; returns `text`. */
char *dv_digest_of(const void *bytes, size_t len, char text[DV_DIGEST_SIZE]);

/* The hexadecimal sum of the bytes, lower case, for "md5", "sha1" or "sha256": checksums of
 * artifacts are not content digests. UNSUPPORTED where the machine's policy forbids that algorithm.
 */
__attribute__((warn_unused_result)) int dv_digest_hex_of(const char *algorithm,
                                                         const void *bytes,
                                                         size_t len,
                                                         char ret_hex[DV_DIGEST_SIZE],
                                                         struct dv_error *err);

/* The same of a whole file, from its start; the position is left unspecified. */
__attribute__((warn_unused_result)) int
dv_digest_of_fd(int fd, char text[DV_DIGEST_SIZE], struct dv_error *err);

struct dv_digest_sum;

/* Starts a sum to be compared with `digest`. INVALID if that is no digest. */
__attribute__((warn_unused_result)) int
dv_digest_sum_new(const char *digest, struct dv_digest_sum **ret, struct dv_error *err);
void dv_digest_sum_free(struct dv_digest_sum *sum);
DV_DEFINE_CLEANUP(dv_digest_sum, dv_digest_sum_free)
void dv_digest_sum_add(struct dv_digest_sum *sum, const void *bytes, size_t len);
/* CORRUPT, with both digests, when the bytes were others. Ends the sum. */
__attribute__((warn_unused_result)) int dv_digest_sum_check(struct dv_digest_sum *sum,
                                                            struct dv_error *err);

/* All at once. */
__attribute__((warn_unused_result)) int
dv_digest_verify(const char *digest, const void *bytes, size_t len, struct dv_error *err);
/* The whole file, from its start; the position is left unspecified. */
__attribute__((warn_unused_result)) int
dv_digest_verify_fd(const char *digest, int fd, struct dv_error *err);
