/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/pkcs7.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdbool.h>
#include <string.h>

#define TAG_INTEGER  0x02
#define TAG_OCTETS   0x04
#define TAG_OID      0x06
#define TAG_SEQUENCE 0x30
#define TAG_SET      0x31
#define TAG_0        0xa0 /* [0], constructed */
#define TAG_0_PLAIN  0x80 /* [0], primitive */
/* As the Go library writes the parameters of AES-GCM. */
#define TAG_SEQUENCE_PLAIN 0x10
#define TAG_4_PLAIN        0x84

#define GCM_TAG_SIZE      16
#define GCM_NONCE_SIZE    12
#define KEY_SIZE_MAX      32
#define DEPTH_OF_PARAMS   3
#define RSA_BYTES_MAX     1024
#define ENCRYPTED_KEY_MAX RSA_BYTES_MAX

static const uint8_t oid_enveloped[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x03};
static const uint8_t oid_rsa[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01};
static const uint8_t oid_oaep[] = {0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x07};
static const uint8_t oid_aes128_gcm[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x06};
static const uint8_t oid_aes256_gcm[] = {0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x01, 0x2e};

/* -- DER ------------------------------------------------------------------------------------ */

struct der {
    const uint8_t *at;
    size_t len;
};

struct element {
    uint8_t tag;
    struct der content;
};

/* Cuts the next element off; lengths in the shortest form only, tags of one byte only. */
static bool next(struct der *from, struct element *ret)
{
    if (from->len < 2 || (from->at[0] & 0x1f) == 0x1f)
        return false;
    size_t len = from->at[1];
    size_t head = 2;
    if (len > 0x80) {
        size_t count = len & 0x7f;
        if (count > 4 || from->len < 2 + count || from->at[2] == 0)
            return false;
        len = 0;
        for (size_t i = 0; i < count; i++)
            len = len << 8 | from->at[2 + i];
        if (len < 0x80)
            return false;
        head = 2 + count;
    } else if (len == 0x80) {
        return false;
    }
    if (len > from->len - head)
        return false;
    *ret = (struct element){from->at[0], {from->at + head, len}};
    *from = (struct der){from->at + head + len, from->len - head - len};
    return true;
}

static bool take(struct der *from, uint8_t tag, struct der *ret)
{
    struct element element;
    if (!next(from, &element) || element.tag != tag)
        return false;
    *ret = element.content;
    return true;
}

static bool is_oid(const struct der *oid, const uint8_t *bytes, size_t len)
{
    return oid->len == len && memcmp(oid->at, bytes, len) == 0;
}

#define IS_OID(oid, known) is_oid(oid, known, sizeof(known))

/* -- structure ------------------------------------------------------------------------------ */

struct enveloped {
    struct der recipients; /* content of the SET */
    struct der cipher;     /* OID */
    struct der parameters; /* what follows it */
    struct der content;    /* encrypted */
};

static int malformed(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_INVALID, "PKCS7: no enveloped data in DER");
}

/* [0] of the content: the octets themselves, or octets inside. */
static bool take_content(struct der *from, struct der *ret)
{
    struct element element;
    if (!next(from, &element))
        return false;
    *ret = element.content;
    if (element.tag == TAG_0_PLAIN)
        return true;
    struct der inside = element.content;
    return element.tag == TAG_0 && take(&inside, TAG_OCTETS, ret) && inside.len == 0;
}

static bool read_structure(struct der der, struct enveloped *ret)
{
    struct der info, oid, outer, envelope, version, encrypted, algorithm, type;
    struct element element;
    if (!take(&der, TAG_SEQUENCE, &info) || der.len != 0 || !take(&info, TAG_OID, &oid) ||
        !IS_OID(&oid, oid_enveloped) || !take(&info, TAG_0, &outer) ||
        !take(&outer, TAG_SEQUENCE, &envelope) || !take(&envelope, TAG_INTEGER, &version) ||
        !next(&envelope, &element))
        return false;
    /* Who sealed it may say more of himself. */
    if (element.tag == TAG_0 && !next(&envelope, &element))
        return false;
    if (element.tag != TAG_SET || !take(&envelope, TAG_SEQUENCE, &encrypted) ||
        !take(&encrypted, TAG_OID, &type) || !take(&encrypted, TAG_SEQUENCE, &algorithm) ||
        !take_content(&encrypted, &ret->content) || !take(&algorithm, TAG_OID, &ret->cipher))
        return false;
    ret->recipients = element.content;
    ret->parameters = algorithm;
    return true;
}

/* The nonce, in one sequence or in several around it. */
static bool read_nonce(struct der parameters, struct der *ret)
{
    struct element element;
    for (int depth = 0; depth < DEPTH_OF_PARAMS && next(&parameters, &element); depth++) {
        if (element.tag == TAG_OCTETS || element.tag == TAG_4_PLAIN) {
            *ret = element.content;
            return ret->len == GCM_NONCE_SIZE;
        }
        if (element.tag != TAG_SEQUENCE && element.tag != TAG_SEQUENCE_PLAIN)
            return false;
        parameters = element.content;
    }
    return false;
}

/* -- keys ----------------------------------------------------------------------------------- */

static bool open_key(
    const struct der *sealed, EVP_PKEY *key, int padding, size_t size, uint8_t ret[KEY_SIZE_MAX])
{
    uint8_t plain[RSA_BYTES_MAX];
    size_t len = sizeof(plain);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool is_open = context && EVP_PKEY_is_a(key, "RSA") == 1 &&
                   (size_t)EVP_PKEY_get_size(key) <= sizeof(plain) &&
                   sealed->len <= ENCRYPTED_KEY_MAX && EVP_PKEY_decrypt_init(context) == 1 &&
                   EVP_PKEY_CTX_set_rsa_padding(context, padding) == 1 &&
                   EVP_PKEY_decrypt(context, plain, &len, sealed->at, sealed->len) == 1 &&
                   len == size;
    EVP_PKEY_CTX_free(context);
    if (is_open)
        memcpy(ret, plain, size);
    OPENSSL_cleanse(plain, sizeof(plain));
    return is_open;
}

/* What a recipient's encrypted key is and how; other kinds of recipients are passed over. */
static bool read_recipient(struct der recipient, int *ret_padding, struct der *ret)
{
    struct der version, algorithm, oid;
    struct element id;
    if (!take(&recipient, TAG_INTEGER, &version) || !next(&recipient, &id) ||
        !take(&recipient, TAG_SEQUENCE, &algorithm) || !take(&algorithm, TAG_OID, &oid) ||
        !take(&recipient, TAG_OCTETS, ret))
        return false;
    *ret_padding = IS_OID(&oid, oid_oaep) ? RSA_PKCS1_OAEP_PADDING : RSA_PKCS1_PADDING;
    return IS_OID(&oid, oid_rsa) || IS_OID(&oid, oid_oaep);
}

static int find_key(const struct enveloped *data,
                    EVP_PKEY *key,
                    size_t size,
                    uint8_t ret[KEY_SIZE_MAX],
                    struct dv_error *err)
{
    struct der recipients = data->recipients;
    struct element element;
    for (int i = 0; recipients.len; i++) {
        struct der sealed;
        int padding;
        if (!next(&recipients, &element))
            return malformed(err);
        if (i == DV_PKCS7_RECIPIENTS_MAX)
            return dv_error_set(err, DV_ERR_INVALID, "PKCS7: more than %d recipients",
                                DV_PKCS7_RECIPIENTS_MAX);
        if (element.tag == TAG_SEQUENCE && read_recipient(element.content, &padding, &sealed) &&
            open_key(&sealed, key, padding, size, ret))
            return 0;
    }
    return dv_error_set(err, DV_ERR_DENIED, "PKCS7: this key does not open it");
}

static int open_content(const struct enveloped *data,
                        const EVP_CIPHER *cipher,
                        const uint8_t *key,
                        const struct der *nonce,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    size_t sealed_len = data->content.len - GCM_TAG_SIZE;
    char *plain;
    int r = dv_buf_reserve(out, sealed_len + 1, &plain, err);
    if (r < 0)
        return r;
    int len = 0;
    int unused = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool is_open = context && EVP_DecryptInit_ex(context, cipher, NULL, key, nonce->at) == 1 &&
                   EVP_DecryptUpdate(context, (unsigned char *)plain, &len, data->content.at,
                                     (int)sealed_len) == 1 &&
                   EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, GCM_TAG_SIZE,
                                       (void *)(data->content.at + sealed_len)) == 1 &&
                   EVP_DecryptFinal_ex(context, (unsigned char *)plain + len, &unused) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!is_open) {
        OPENSSL_cleanse(plain, sealed_len);
        /* A wrong key of the right length looks the same: PKCS #1 has no check of its own. */
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "PKCS7: the content is not as it was encrypted, or for another key");
    }
    out->len += (size_t)len;
    dv_buf_terminate(out);
    return 0;
}

int dv_pkcs7_open(
    const void *der, size_t len, EVP_PKEY *key, struct dv_buf *out, struct dv_error *err)
{
    struct enveloped data;
    struct der nonce;
    uint8_t content_key[KEY_SIZE_MAX];
    if (len > INT_MAX || !read_structure((struct der){der, len}, &data))
        return malformed(err);
    bool is_256 = IS_OID(&data.cipher, oid_aes256_gcm);
    if (!is_256 && !IS_OID(&data.cipher, oid_aes128_gcm))
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "PKCS7: content encryption is not accepted, only AES-128-GCM and "
                            "AES-256-GCM");
    if (!read_nonce(data.parameters, &nonce) || data.content.len < GCM_TAG_SIZE)
        return malformed(err);
    int r = find_key(&data, key, is_256 ? 32 : 16, content_key, err);
    if (r == 0)
        r = open_content(&data, is_256 ? EVP_aes_256_gcm() : EVP_aes_128_gcm(), content_key, &nonce,
                         out, err);
    OPENSSL_cleanse(content_key, sizeof(content_key));
    return r;
}
