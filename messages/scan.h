/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Structural scan of msgpack bytes: exactly one well-formed value, nesting within
 * DV_SCAN_DEPTH_MAX, every count and length no larger than the bytes that are left. It runs before
 * the unpacker, which would reserve gigabytes for a five-byte array header. Private to messages/.
 */
#include <stdbool.h>
#include <stddef.h>

/* Deep enough for a list of records inside a reply; the unpacker's own limit is 32. */
#define DV_SCAN_DEPTH_MAX 16

bool dv_scan(const void *bytes, size_t len);
