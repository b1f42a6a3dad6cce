/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The one nftables context. libnftables waits with select(2), so it must be opened while
 * descriptors are few, and it needs some 100 KB of stack. One thread owns it for life; a run is
 * one transaction: all of it or nothing.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

struct dv_nft;

/* DENIED or UNSUPPORTED say what is missing. */
__attribute__((warn_unused_result)) int dv_nft_new(struct dv_nft **ret, struct dv_error *err);
void dv_nft_free(struct dv_nft *nft);
DV_DEFINE_CLEANUP(dv_nft, dv_nft_free)

__attribute__((warn_unused_result)) int
dv_nft_run(struct dv_nft *nft, const char *text, struct dv_error *err);
/* As that; what it prints is appended to *out. */
__attribute__((warn_unused_result)) int
dv_nft_list(struct dv_nft *nft, const char *text, struct dv_buf *out, struct dv_error *err);
