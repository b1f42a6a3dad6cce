/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/secret.h"

#include "unpack/decrypt/encoding.h"

#include "json/json.h"
#include <openssl/crypto.h>
#include <string.h>

#define CIPHER "AES_256_CTR_HMAC_SHA256"

/* The bytes pass through a buffer that is wiped; the tree of the JSON is freed by its owner. */
static int read_bytes(
    const struct dv_json *node, const char *what, uint8_t *ret, size_t size, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(256);
    const char *text = dv_json_text(node);
    if (!text)
        return dv_error_set(err, DV_ERR_INVALID, "encrypted layer: %s is missing", what);
    int r = dv_base64_read(dv_str_of(text), DV_BASE64_STANDARD, what, &bytes, err);
    if (r == 0 && bytes.len != size)
        r = dv_error_set(err, DV_ERR_INVALID, "encrypted layer: %s has %zu bytes, not %zu", what,
                         bytes.len, size);
    if (r == 0)
        memcpy(ret, bytes.data, size);
    if (bytes.data)
        OPENSSL_cleanse(bytes.data, bytes.len);
    return r;
}

static int read_public(struct dv_str text, struct dv_layer_secret *ret, struct dv_error *err)
{
    DV_AUTO(dv_json) options = NULL;
    int r = dv_json_parse(text.data, text.len, &options, err);
    if (r < 0)
        return dv_error_prefix(err, DV_LAYER_PUBLIC_ANNOTATION ": ");
    const char *cipher = dv_json_text(dv_json_get(options, "cipher"));
    if (!cipher || strcmp(cipher, CIPHER) != 0)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "encrypted layer: cipher '%.64s' is not accepted, only " CIPHER,
                            cipher ? cipher : "");
    return read_bytes(dv_json_get(options, "hmac"), "hmac", ret->hmac, sizeof(ret->hmac), err);
}

int dv_layer_secret_read(struct dv_str public_text,
                         struct dv_str sealed_text,
                         struct dv_layer_secret *ret,
                         struct dv_error *err)
{
    struct dv_layer_secret secret;
    int r = read_public(public_text, &secret, err);
    if (r < 0)
        return r;
    DV_AUTO(dv_json) options = NULL;
    r = dv_json_parse(sealed_text.data, sealed_text.len, &options, err);
    if (r < 0) {
        /* The reason could quote the secret. */
        dv_error_clear(err);
        return dv_error_set(err, DV_ERR_INVALID, "encrypted layer: what was sealed is no JSON");
    }
    const struct dv_json *cipher = dv_json_get(options, "cipheroptions");
    r = read_bytes(dv_json_get(options, "symkey"), "symkey", secret.key, sizeof(secret.key), err);
    if (r == 0)
        r = read_bytes(dv_json_get(cipher, "nonce"), "nonce", secret.nonce, sizeof(secret.nonce),
                       err);
    if (r == 0)
        *ret = secret;
    OPENSSL_cleanse(&secret, sizeof(secret));
    return r;
}
