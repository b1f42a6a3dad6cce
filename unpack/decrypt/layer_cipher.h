/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cipher of an encrypted layer, AES_256_CTR_HMAC_SHA256 of the OCI image encryption convention
 * (https://github.com/containers/ocicrypt/blob/main/docs/blockcipher.md): AES-256 in counter mode
 * and HMAC-SHA256 of the encrypted bytes, both with the same key. OpenSSL is inside; it loads its
 * configuration in dv_layer_cipher_new(), so call that before confinement. One owner.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define DV_LAYER_KEY_SIZE   32
#define DV_LAYER_NONCE_SIZE 16
#define DV_LAYER_HMAC_SIZE  32

struct dv_layer_secret {
    uint8_t key[DV_LAYER_KEY_SIZE];
    uint8_t nonce[DV_LAYER_NONCE_SIZE];
    uint8_t hmac[DV_LAYER_HMAC_SIZE]; /* what the encrypted bytes must have */
};

struct dv_layer_cipher;

/* Copies what it needs of `secret`, which the caller wipes. */
__attribute__((warn_unused_result)) int dv_layer_cipher_new(const struct dv_layer_secret *secret,
                                                            struct dv_layer_cipher **ret,
                                                            struct dv_error *err);
void dv_layer_cipher_free(struct dv_layer_cipher *cipher);
DV_DEFINE_CLEANUP(dv_layer_cipher, dv_layer_cipher_free)

/* Decrypts in place. Nothing of it may be shown before dv_layer_cipher_finish() has succeeded. */
__attribute__((warn_unused_result)) int dv_layer_cipher_decrypt(struct dv_layer_cipher *cipher,
                                                                void *bytes,
                                                                size_t len,
                                                                struct dv_error *err);
/* CORRUPT if the bytes were not those that were encrypted. */
__attribute__((warn_unused_result)) int dv_layer_cipher_finish(struct dv_layer_cipher *cipher,
                                                               struct dv_error *err);
