/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text of an OCI layout's index.json: reading its entries and rewriting one of them, with all
 * others kept as they are. Pure, any thread. CORRUPT for what is no image index.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "runtime/image/store.h"

#include "json/json.h"

#define DV_INDEX_EMPTY                                                                             \
    "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_OCI_INDEX "\",\"manifests\":[]}"

/* The tree, owned by the caller. */
int dv_layout_index_parse(const char *bytes,
                          size_t len,
                          struct dv_json **ret,
                          struct dv_error *err);

/* The named images with a sound descriptor, in order. */
int dv_layout_index_images(const struct dv_json *index,
                           struct dv_arena *arena,
                           struct dv_stored_image **ret,
                           size_t *ret_count,
                           struct dv_error *err);

/* Writes the index to *out without entries of the name `reference`, and with `image` behind the
 * others unless it is NULL. *ret_found says whether there was one of that name. */
int dv_layout_index_write(const struct dv_json *index,
                          const char *reference,
                          const struct dv_stored_image *image,
                          struct dv_buf *out,
                          bool *ret_found,
                          struct dv_error *err);
