/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "unpack/decrypt/pkcs7.h"

#include <criterion/criterion.h>
#include <openssl/evp.h>
#include <string.h>

static struct dv_error err;

static int open_with(const struct dv_buf *der, size_t len, const char *key_name, struct dv_buf *out)
{
    EVP_PKEY *key = golden_key(key_name);
    err = DV_ERROR_INIT;
    int r = dv_pkcs7_open(der->data, len, key, out, &err);
    EVP_PKEY_free(key);
    return r;
}

Test(pkcs7, opens_what_others_sealed)
{
    DV_AUTO_IN_PLACE(dv_buf) der = DV_BUF_INIT(10000);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
    golden_read("pkcs7.der", &der);
    cr_assert_eq(open_with(&der, der.len, "pkcs7.pem", &out), 0, "%s", err.text);
    cr_expect(strstr(out.data, "\"symkey\":"));
}

Test(pkcs7, another_key_does_not_open_it)
{
    DV_AUTO_IN_PLACE(dv_buf) der = DV_BUF_INIT(10000);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
    golden_read("pkcs7.der", &der);
    cr_expect_eq(open_with(&der, der.len, "p256.pem", &out), -DV_ERR_DENIED);
    int r = open_with(&der, der.len, "rsa.pem", &out);
    cr_expect(r == -DV_ERR_DENIED || r == -DV_ERR_CORRUPT, "%s", err.text);
    cr_expect_eq(out.len, 0);
}

Test(pkcs7, a_part_or_more_than_all_of_it_is_refused)
{
    DV_AUTO_IN_PLACE(dv_buf) der = DV_BUF_INIT(10000);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
    golden_read("pkcs7.der", &der);
    size_t len = der.len;
    for (size_t cut = 0; cut < len; cut++)
        cr_expect_eq(open_with(&der, cut, "p256.pem", &out), -DV_ERR_INVALID, "cut at %zu", cut);
    cr_assert_eq(dv_buf_append(&der, "\0", 1, NULL), 0);
    cr_expect_eq(open_with(&der, len + 1, "pkcs7.pem", &out), -DV_ERR_INVALID);
}

Test(pkcs7, a_changed_bit_never_opens_it)
{
    DV_AUTO_IN_PLACE(dv_buf) der = DV_BUF_INIT(10000);
    golden_read("pkcs7.der", &der);
    EVP_PKEY *key = golden_key("pkcs7.pem");
    unsigned opened = 0;
    for (size_t i = 0; i < der.len; i++) {
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
        der.data[i] = (char)(der.data[i] ^ 4);
        /* Versions, the name of the recipient and the length of the tag decide nothing. */
        opened += dv_pkcs7_open(der.data, der.len, key, &out, NULL) == 0;
        der.data[i] = (char)(der.data[i] ^ 4);
    }
    EVP_PKEY_free(key);
    cr_expect_lt(opened, 60, "%u", opened);
}
