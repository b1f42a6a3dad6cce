/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* CRC-32C (Castagnoli polynomial, RFC 3720 appendix B.4). Pure, any thread. */
#include <stddef.h>
#include <stdint.h>

/* Goes on from `crc`; start with 0. */
uint32_t dv_crc32c(uint32_t crc, const void *bytes, size_t len);
