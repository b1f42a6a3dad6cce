/* SPDX-License-Identifier: Apache-2.0 */
/* Wrapped keys of encrypted layers: nothing opens what was not sealed for our key. */
#include "unpack/decrypt/jwe.h"
#include "unpack/decrypt/pgp.h"
#include "unpack/decrypt/pgp_frame.h"
#include "unpack/decrypt/pkcs7.h"
#include "unpack/decrypt/secret.h"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static EVP_PKEY *rsa;
    static EVP_PKEY *ec;
    if (!rsa) {
        rsa = EVP_RSA_gen(2048);
        ec = EVP_EC_gen("P-256");
    }
    if (!rsa || !ec || size == 0)
        return 0;
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1U << 20);
    struct dv_str text = {(const char *)data + 1, size - 1};
    struct dv_str sealed;
    struct dv_str public_text;
    struct dv_layer_secret secret;
    int r = -1;
    if (data[0] % 8 == 7) {
        (void)dv_pgp_is_ring(text.data, text.len);
        (void)!dv_pgp_frame_check(text.data, text.len, NULL);
        return 0;
    }
    if (data[0] % 4 == 0)
        r = dv_jwe_open(text, rsa, &out, NULL);
    else if (data[0] % 4 == 1)
        r = dv_jwe_open(text, ec, &out, NULL);
    else if (data[0] % 4 == 2)
        r = dv_pkcs7_open(text.data, text.len, rsa, &out, NULL);
    else if (dv_str_cut(text, '\n', &public_text, &sealed))
        (void)!dv_layer_secret_read(public_text, sealed, &secret, NULL);
    if (r == 0)
        abort();
    return 0;
}
