/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "unpack/decrypt/jwe.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <string.h>

static struct dv_error err;

static int open_with(const char *text, const char *key_name, struct dv_buf *out)
{
    EVP_PKEY *key = golden_key(key_name);
    err = DV_ERROR_INIT;
    int r = dv_jwe_open(dv_str_of(text), key, out, &err);
    EVP_PKEY_free(key);
    return r;
}

/* `from` becomes `to` in a golden JWE. */
static int open_changed(const char *name, const char *key, const char *from, const char *to)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(100000);
    DV_AUTO_IN_PLACE(dv_buf) changed = DV_BUF_INIT(100000);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(100000);
    golden_read(name, &text);
    const char *at = strstr(text.data, from);
    cr_assert_not_null(at, "%s has no %s", name, from);
    cr_assert_eq(dv_buf_append(&changed, text.data, (size_t)(at - text.data), NULL), 0);
    cr_assert_eq(dv_buf_append_str(&changed, to, NULL), 0);
    cr_assert_eq(dv_buf_append_str(&changed, at + strlen(from), NULL), 0);
    int r = open_with(changed.data, key, &out);
    cr_expect_eq(out.len, 0, "nothing is given away");
    return r;
}

Test(jwe, opens_what_others_sealed)
{
    static const char *const table[][2] = {
        {"rsa.jwe", "rsa.pem"},   {"p256.jwe", "p256.pem"}, {"p384.jwe", "p384.pem"},
        {"p521.jwe", "p521.pem"}, {"two.jwe", "rsa.pem"},   {"two.jwe", "p256.pem"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(100000);
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(100000);
        golden_read(table[i][0], &text);
        cr_expect_eq(open_with(text.data, table[i][1], &out), 0, "%s: %s", table[i][0], err.text);
        cr_expect(out.data && strstr(out.data, "\"symkey\":"), "%s", table[i][0]);
    }
}

Test(jwe, another_key_does_not_open_it)
{
    static const char *const table[][2] = {
        {"rsa.jwe", "pkcs7.pem"}, {"rsa.jwe", "p256.pem"},  {"p256.jwe", "rsa.pem"},
        {"p256.jwe", "p384.pem"}, {"two.jwe", "pkcs7.pem"}, {"two.jwe", "p521.pem"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(100000);
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(100000);
        golden_read(table[i][0], &text);
        cr_expect_eq(open_with(text.data, table[i][1], &out), -DV_ERR_DENIED, "%s with %s: %s",
                     table[i][0], table[i][1], err.text);
    }
}

Test(jwe, a_changed_byte_is_found)
{
    cr_expect_eq(open_changed("rsa.jwe", "rsa.pem", "\"tag\":\"L", "\"tag\":\"M"), -DV_ERR_CORRUPT);
    cr_expect_eq(open_changed("rsa.jwe", "rsa.pem", "\"iv\":\"Y", "\"iv\":\"Z"), -DV_ERR_CORRUPT);
    cr_expect_eq(open_changed("rsa.jwe", "rsa.pem", "\"ciphertext\":\"a", "\"ciphertext\":\"b"),
                 -DV_ERR_CORRUPT);
    cr_expect_eq(
        open_changed("rsa.jwe", "rsa.pem", "\"encrypted_key\":\"G", "\"encrypted_key\":\"H"),
        -DV_ERR_DENIED);
    cr_expect_eq(
        open_changed("p256.jwe", "p256.pem", "\"encrypted_key\":\"V", "\"encrypted_key\":\"W"),
        -DV_ERR_DENIED);
}

#define SEALED "\"encrypted_key\":\"AA\",\"iv\":\"AA\",\"ciphertext\":\"AA\",\"tag\":\"AA\"}"

Test(jwe, what_is_not_accepted_is_named)
{
    static const struct {
        const char *text;
        enum dv_error_class class;
        const char *part;
    } table[] = {
        {"", DV_ERR_INVALID, "JWE"},
        {"[]", DV_ERR_INVALID, "alg"},
        {"{}", DV_ERR_INVALID, "alg"},
        {"{\"header\":{\"alg\":\"RSA-OAEP\"}," SEALED, DV_ERR_INVALID, "enc"},
        {"{\"header\":{\"alg\":\"RSA-OAEP\",\"enc\":\"A128CBC-HS256\"}," SEALED, DV_ERR_UNSUPPORTED,
         "A128CBC"},
        {"{\"header\":{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\",\"zip\":\"DEF\"}," SEALED,
         DV_ERR_UNSUPPORTED, "compression"},
        {"{\"header\":{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\",\"crit\":[\"x\"]}," SEALED,
         DV_ERR_UNSUPPORTED, "critical"},
        {"{\"header\":{\"alg\":\"PBES2-HS512+A256KW\",\"p2c\":2000000000,\"p2s\":\"AA\",\"enc\":"
         "\"A256GCM\"}," SEALED,
         DV_ERR_UNSUPPORTED, "PBES2"},
        {"{\"header\":{\"alg\":\"dir\",\"enc\":\"A256GCM\"}," SEALED, DV_ERR_UNSUPPORTED, "dir"},
        {"{\"header\":{\"alg\":\"RSA-OAEP\",\"enc\":\"A256GCM\"},\"encrypted_key\":\"=\"}",
         DV_ERR_INVALID, "encrypted_key"},
        {"{\"protected\":\"e30\",\"recipients\":{}}", DV_ERR_INVALID, "recipients"},
        {"{\"protected\":\"e30\",\"recipients\":[]}", DV_ERR_DENIED, "does not open"},
        {"{\"protected\":\"!\"}", DV_ERR_INVALID, "protected"},
        {"{\"protected\":\"AAAA\"}", DV_ERR_INVALID, "protected"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1000);
        cr_expect_eq(open_with(table[i].text, "rsa.pem", &out), -(int)table[i].class, "row %zu: %s",
                     i, err.text);
        cr_expect(strstr(err.text, table[i].part), "row %zu: %s", i, err.text);
    }
}

Test(jwe, too_many_recipients_are_refused)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1 << 20);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1000);
    cr_assert_eq(dv_buf_append_str(&text, "{\"protected\":\"e30\",\"recipients\":[0", NULL), 0);
    for (int i = 0; i < DV_JWE_RECIPIENTS_MAX; i++)
        cr_assert_eq(dv_buf_append_str(&text, ",0", NULL), 0);
    cr_assert_eq(dv_buf_append_str(&text, "]}", NULL), 0);
    cr_expect_eq(open_with(text.data, "rsa.pem", &out), -DV_ERR_INVALID);
}
