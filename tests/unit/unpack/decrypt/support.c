/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include "base/durable.h"

#include <criterion/criterion.h>
#include <openssl/pem.h>
#include <stdio.h>

void golden_read(const char *name, struct dv_buf *out)
{
    char path[512];
    struct dv_error err = DV_ERROR_INIT;
    snprintf(path, sizeof(path), "%s/tests/golden/decrypt/%s", DV_SOURCE_DIR, name);
    cr_assert_eq(dv_file_read(path, out, &err), 0, "%s", err.text);
}

EVP_PKEY *golden_key(const char *name)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(10000);
    golden_read(name, &text);
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.len);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(bio, NULL, NULL, NULL);
    BIO_free(bio);
    cr_assert_not_null(key, "%s", name);
    return key;
}
