/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "unpack/decrypt/jwe.h"
#include "unpack/decrypt/secret.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <string.h>

static struct dv_error err;

static void read_secret(struct dv_layer_secret *ret)
{
    DV_AUTO_IN_PLACE(dv_buf) jwe = DV_BUF_INIT(100000);
    DV_AUTO_IN_PLACE(dv_buf) sealed = DV_BUF_INIT(100000);
    DV_AUTO_IN_PLACE(dv_buf) public = DV_BUF_INIT(100000);
    EVP_PKEY *key = golden_key("rsa.pem");
    golden_read("rsa.jwe", &jwe);
    golden_read("layer.pubopts", &public);
    cr_assert_eq(dv_jwe_open((struct dv_str){jwe.data, jwe.len}, key, &sealed, &err), 0, "%s",
                 err.text);
    cr_assert_eq(dv_layer_secret_read((struct dv_str){public.data, public.len},
                                      (struct dv_str){sealed.data, sealed.len}, ret, &err),
                 0, "%s", err.text);
    EVP_PKEY_free(key);
}

static int decrypt(struct dv_layer_secret *secret, struct dv_buf *layer, size_t step)
{
    DV_AUTO(dv_layer_cipher) cipher = NULL;
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_layer_cipher_new(secret, &cipher, &err), 0, "%s", err.text);
    for (size_t at = 0; at < layer->len; at += step) {
        size_t len = layer->len - at < step ? layer->len - at : step;
        cr_assert_eq(dv_layer_cipher_decrypt(cipher, layer->data + at, len, &err), 0);
    }
    return dv_layer_cipher_finish(cipher, &err);
}

Test(layer_cipher, decrypts_what_others_encrypted_in_steps_of_any_length)
{
    struct dv_layer_secret secret;
    DV_AUTO_IN_PLACE(dv_buf) plain = DV_BUF_INIT(100000);
    golden_read("layer.tar.gz", &plain);
    read_secret(&secret);
    for (size_t step = 1; step < 200; step += 11) {
        DV_AUTO_IN_PLACE(dv_buf) layer = DV_BUF_INIT(100000);
        golden_read("layer.sealed", &layer);
        cr_expect_eq(decrypt(&secret, &layer, step), 0, "%s", err.text);
        cr_expect(layer.len == plain.len && memcmp(layer.data, plain.data, plain.len) == 0);
    }
}

Test(layer_cipher, finds_a_changed_byte_and_a_missing_one)
{
    struct dv_layer_secret secret;
    DV_AUTO_IN_PLACE(dv_buf) layer = DV_BUF_INIT(100000);
    DV_AUTO_IN_PLACE(dv_buf) shorter = DV_BUF_INIT(100000);
    read_secret(&secret);
    golden_read("layer.sealed", &layer);
    golden_read("layer.sealed", &shorter);
    layer.data[70] = (char)(layer.data[70] ^ 1);
    cr_expect_eq(decrypt(&secret, &layer, 64), -DV_ERR_CORRUPT);
    shorter.len--;
    cr_expect_eq(decrypt(&secret, &shorter, 64), -DV_ERR_CORRUPT);
    cr_expect(strstr(err.text, "HMAC"), "%s", err.text);
}

#define KEY   "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define NONCE "AAAAAAAAAAAAAAAAAAAAAA=="
#define GOOD  "{\"cipher\":\"AES_256_CTR_HMAC_SHA256\",\"hmac\":\"" KEY "\",\"cipheroptions\":{}}"

Test(layer_secret, what_is_malformed_is_named_and_never_quoted)
{
    static const struct {
        const char *public;
        const char *sealed;
        enum dv_error_class class;
        const char *part;
    } table[] = {
        {GOOD, "{\"symkey\":\"" KEY "\",\"cipheroptions\":{\"nonce\":\"" NONCE "\"}}", DV_ERR_NONE,
         NULL},
        {"", "{}", DV_ERR_INVALID, "pubopts"},
        {"{\"cipher\":\"ROT13\",\"hmac\":\"" KEY "\"}", "{}", DV_ERR_UNSUPPORTED, "ROT13"},
        {"{\"cipher\":\"AES_256_CTR_HMAC_SHA256\"}", "{}", DV_ERR_INVALID, "hmac"},
        {GOOD, "{}", DV_ERR_INVALID, "symkey"},
        {GOOD, "{\"symkey\":\"AAAA\"}", DV_ERR_INVALID, "symkey"},
        {GOOD, "{\"symkey\":\"" KEY "\"}", DV_ERR_INVALID, "nonce"},
        {GOOD, "c2VjcmV0", DV_ERR_INVALID, "no JSON"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_layer_secret secret;
        err = DV_ERROR_INIT;
        cr_expect_eq(dv_layer_secret_read(dv_str_of(table[i].public), dv_str_of(table[i].sealed),
                                          &secret, &err),
                     -(int)table[i].class, "row %zu: %s", i, err.text);
        cr_expect(!table[i].part || strstr(err.text, table[i].part), "row %zu: %s", i, err.text);
        cr_expect_null(strstr(err.text, "c2Vj"));
    }
}
