/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/layer_cipher.h"

#include <limits.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <stdlib.h>
#include <string.h>

struct dv_layer_cipher {
    EVP_CIPHER_CTX *cipher;
    EVP_MAC *mac_type;
    EVP_MAC_CTX *mac;
    uint8_t hmac[DV_LAYER_HMAC_SIZE];
};

static int failed(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_INTERNAL, "layer cipher: OpenSSL fails");
}

int dv_layer_cipher_new(const struct dv_layer_secret *secret,
                        struct dv_layer_cipher **ret,
                        struct dv_error *err)
{
    DV_AUTO(dv_layer_cipher) c = calloc(1, sizeof(*c));
    if (!c)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "layer cipher: no memory");
    char digest[] = "SHA256";
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    memcpy(c->hmac, secret->hmac, sizeof(c->hmac));
    c->cipher = EVP_CIPHER_CTX_new();
    c->mac_type = EVP_MAC_fetch(NULL, "HMAC", NULL);
    c->mac = c->mac_type ? EVP_MAC_CTX_new(c->mac_type) : NULL;
    if (!c->cipher || !c->mac ||
        EVP_DecryptInit_ex(c->cipher, EVP_aes_256_ctr(), NULL, secret->key, secret->nonce) != 1 ||
        EVP_MAC_init(c->mac, secret->key, sizeof(secret->key), parameters) != 1)
        return failed(err);
    *ret = dv_steal(&c);
    return 0;
}

void dv_layer_cipher_free(struct dv_layer_cipher *c)
{
    if (!c)
        return;
    EVP_CIPHER_CTX_free(c->cipher);
    EVP_MAC_CTX_free(c->mac);
    EVP_MAC_free(c->mac_type);
    free(c);
}

int dv_layer_cipher_decrypt(struct dv_layer_cipher *c,
                            void *bytes,
                            size_t len,
                            struct dv_error *err)
{
    int done = 0;
    if (len > INT_MAX || EVP_MAC_update(c->mac, bytes, len) != 1 ||
        EVP_DecryptUpdate(c->cipher, bytes, &done, bytes, (int)len) != 1 || (size_t)done != len)
        return failed(err);
    return 0;
}

int dv_layer_cipher_finish(struct dv_layer_cipher *c, struct dv_error *err)
{
    uint8_t hmac[DV_LAYER_HMAC_SIZE];
    size_t len = 0;
    if (EVP_MAC_final(c->mac, hmac, &len, sizeof(hmac)) != 1 || len != sizeof(hmac))
        return failed(err);
    if (CRYPTO_memcmp(hmac, c->hmac, sizeof(hmac)) != 0)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "the encrypted layer is not as it was encrypted (its HMAC differs)");
    return 0;
}
