/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Grammar check of JSON bytes by RFC 8259, stricter than the parser behind it. Private to json/.
 */
#include "base/error.h"

#include <stddef.h>

/* INVALID says what is wrong at which line and column. Duplicate keys are found later, in the tree.
 */
int dv_json_scan(const char *bytes, size_t len, struct dv_error *err);
