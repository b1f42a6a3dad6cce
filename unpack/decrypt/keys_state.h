/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What keys.c reads and layer.c uses. */
#include "unpack/decrypt/keys.h"
#include "unpack/decrypt/pgp.h"

#include <openssl/types.h>

struct dv_decrypt_keys {
    EVP_PKEY *keys[DV_DECRYPT_KEYS_MAX];
    size_t count;
    struct dv_pgp_ring *rings[DV_DECRYPT_KEYS_MAX];
    size_t ring_count;
    EVP_PKEY *certificates[DV_DECRYPT_KEYS_MAX]; /* public keys of recipients */
    size_t certificate_count;
};
