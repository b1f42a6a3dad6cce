/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keys as Ditto accepts them: 1 to 256 printable ASCII characters without '/'. Other characters,
 * and '%' itself, are percent-encoded, so that different names stay different; what is still too
 * long is cut and ends in a digest of the whole name. Pure, any thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"

#define DV_DITTO_KEY_MAX 256

/* Appends the key of a feature (or of one member of a property path). */
__attribute__((warn_unused_result)) int
dv_ditto_append_key(struct dv_buf *out, struct dv_str name, struct dv_error *err);

/* Appends a path of keys separated by '/'. */
__attribute__((warn_unused_result)) int
dv_ditto_append_key_path(struct dv_buf *out, struct dv_str path, struct dv_error *err);
