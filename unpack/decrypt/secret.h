/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is told of an encrypted layer: in public its cipher and HMAC, sealed for each recipient its
 * key (https://github.com/containers/ocicrypt/blob/main/docs/design.md). Pure, any thread.
 */
#include "base/str.h"
#include "unpack/decrypt/layer_cipher.h"

#define DV_LAYER_PUBLIC_ANNOTATION "org.opencontainers.image.enc.pubopts"
#define DV_LAYER_KEYS_ANNOTATION   "org.opencontainers.image.enc.keys."

/* `public_text` and `sealed_text` are JSON. The caller wipes both `sealed_text` and *ret. INVALID
 * names what is malformed, UNSUPPORTED another cipher. */
__attribute__((warn_unused_result)) int dv_layer_secret_read(struct dv_str public_text,
                                                             struct dv_str sealed_text,
                                                             struct dv_layer_secret *ret,
                                                             struct dv_error *err);
