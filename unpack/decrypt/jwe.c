/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/jwe.h"

#include "unpack/decrypt/encoding.h"

#include "json/json.h"
#include <limits.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/params.h>
#include <openssl/rsa.h>
#include <string.h>

#define TEXT_MAX       (1U << 20)
#define CONTENT_KEY    32 /* of A256GCM */
#define WRAPPED_KEY    40 /* RFC 3394: eight bytes more than the key */
#define IV_SIZE        12
#define TAG_SIZE       16
#define COORDINATE_MAX 66 /* P-521 */

/* One recipient's view: the headers that count for it and its encrypted key. */
struct recipient {
    const struct dv_json *protected_header;
    const struct dv_json *shared_header;
    const struct dv_json *own_header;
    const struct dv_json *encrypted_key;
};

static int not_for_us(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_DENIED, "JWE: this key does not open it");
}

static int malformed(const char *what, struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_INVALID, "JWE: %s", what);
}

/* A header may be in any of the three, in one of them only. */
static const struct dv_json *header_of(const struct recipient *to, const char *name)
{
    const struct dv_json *found = dv_json_get(to->protected_header, name);
    if (!found)
        found = dv_json_get(to->shared_header, name);
    return found ? found : dv_json_get(to->own_header, name);
}

static int
read_url(const struct dv_json *node, const char *what, struct dv_buf *out, struct dv_error *err)
{
    const char *text = dv_json_text(node);
    if (!text)
        return dv_error_set(err, DV_ERR_INVALID, "JWE: %s is missing", what);
    return dv_base64_read(dv_str_of(text), DV_BASE64_URL, what, out, err);
}

/* -- RSA ------------------------------------------------------------------------------------ */

static int open_rsa(const struct dv_buf *wrapped,
                    EVP_PKEY *key,
                    const EVP_MD *digest,
                    uint8_t ret[CONTENT_KEY],
                    struct dv_error *err)
{
    uint8_t plain[1024]; /* of a key of 8192 bits at most */
    size_t len = sizeof(plain);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(key, NULL);
    bool is_open = context && (size_t)EVP_PKEY_get_size(key) <= sizeof(plain) &&
                   EVP_PKEY_decrypt_init(context) == 1 &&
                   EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_OAEP_PADDING) == 1 &&
                   EVP_PKEY_CTX_set_rsa_oaep_md(context, digest) == 1 &&
                   EVP_PKEY_CTX_set_rsa_mgf1_md(context, digest) == 1 &&
                   EVP_PKEY_decrypt(context, plain, &len, (const unsigned char *)wrapped->data,
                                    wrapped->len) == 1 &&
                   len == CONTENT_KEY;
    EVP_PKEY_CTX_free(context);
    if (is_open)
        memcpy(ret, plain, CONTENT_KEY);
    OPENSSL_cleanse(plain, sizeof(plain));
    return is_open ? 0 : not_for_us(err);
}

/* -- ECDH ----------------------------------------------------------------------------------- */

static const struct curve {
    const char *jose;
    const char *openssl; /* as OSSL_PKEY_PARAM_GROUP_NAME says it */
    size_t size;         /* of a coordinate */
} curves[] = {
    {"P-256", "prime256v1", 32},
    {"P-384", "secp384r1", 48},
    {"P-521", "secp521r1", 66},
};

static const struct curve *curve_of(EVP_PKEY *key)
{
    char group[64];
    if (EVP_PKEY_get_utf8_string_param(key, OSSL_PKEY_PARAM_GROUP_NAME, group, sizeof(group),
                                       NULL) != 1)
        return NULL;
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (strcmp(group, curves[i].openssl) == 0)
            return &curves[i];
    return NULL;
}

/* The sender's public key, a point on our curve: OpenSSL refuses any other. */
static EVP_PKEY *public_key(const struct curve *curve, const uint8_t *point, size_t len)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve->openssl, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)point, len),
        OSSL_PARAM_construct_end(),
    };
    if (!context || EVP_PKEY_fromdata_init(context) != 1 ||
        EVP_PKEY_fromdata(context, &key, EVP_PKEY_PUBLIC_KEY, parameters) != 1)
        key = NULL;
    EVP_PKEY_CTX_free(context);
    return key;
}

static int read_point(const struct dv_json *epk,
                      const struct curve *curve,
                      uint8_t point[1 + 2 * COORDINATE_MAX],
                      struct dv_error *err)
{
    static const char *const names[] = {"x", "y"};
    point[0] = POINT_CONVERSION_UNCOMPRESSED;
    for (size_t i = 0; i < 2; i++) {
        DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(COORDINATE_MAX);
        int r = read_url(dv_json_get(epk, names[i]), "epk coordinate", &bytes, err);
        if (r < 0)
            return r;
        if (bytes.len != curve->size)
            return malformed("epk coordinate has a wrong length", err);
        memcpy(point + 1 + i * curve->size, bytes.data, curve->size);
    }
    return 0;
}

static bool derive(EVP_PKEY *ours, EVP_PKEY *theirs, uint8_t *secret, size_t *len)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(ours, NULL);
    bool is_done = context && theirs && EVP_PKEY_derive_init(context) == 1 &&
                   EVP_PKEY_derive_set_peer(context, theirs) == 1 &&
                   EVP_PKEY_derive(context, secret, len) == 1;
    EVP_PKEY_CTX_free(context);
    return is_done;
}

static bool add_number(EVP_MD_CTX *hash, size_t number)
{
    uint8_t bytes[4] = {(uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
                        (uint8_t)number};
    return EVP_DigestUpdate(hash, bytes, sizeof(bytes)) == 1;
}

static bool add_part(EVP_MD_CTX *hash, const void *bytes, size_t len)
{
    return add_number(hash, len) && EVP_DigestUpdate(hash, bytes ? bytes : "", len) == 1;
}

/* The Concat KDF of NIST SP 800-56A as RFC 7518 4.6.2 has it; one round gives 256 bits. */
static bool concat_kdf(const uint8_t *secret,
                       size_t len,
                       const char *algorithm,
                       const struct dv_buf *apu,
                       const struct dv_buf *apv,
                       uint8_t ret[32])
{
    EVP_MD_CTX *hash = EVP_MD_CTX_new();
    bool is_done = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) == 1 &&
                   add_number(hash, 1) && EVP_DigestUpdate(hash, secret, len) == 1 &&
                   add_part(hash, algorithm, strlen(algorithm)) &&
                   add_part(hash, apu->data, apu->len) && add_part(hash, apv->data, apv->len) &&
                   add_number(hash, 256) && EVP_DigestFinal_ex(hash, ret, NULL) == 1;
    EVP_MD_CTX_free(hash);
    return is_done;
}

static bool
unwrap_key(const uint8_t key[32], const struct dv_buf *wrapped, uint8_t ret[CONTENT_KEY])
{
    uint8_t plain[WRAPPED_KEY];
    int len = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    if (context)
        EVP_CIPHER_CTX_set_flags(context, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    bool is_open = context && wrapped->len == WRAPPED_KEY &&
                   EVP_DecryptInit_ex(context, EVP_aes_256_wrap(), NULL, key, NULL) == 1 &&
                   EVP_DecryptUpdate(context, plain, &len, (const unsigned char *)wrapped->data,
                                     WRAPPED_KEY) == 1 &&
                   len == CONTENT_KEY;
    EVP_CIPHER_CTX_free(context);
    if (is_open)
        memcpy(ret, plain, CONTENT_KEY);
    OPENSSL_cleanse(plain, sizeof(plain));
    return is_open;
}

static int read_optional(const struct dv_json *node,
                         const char *what,
                         struct dv_buf *out,
                         struct dv_error *err)
{
    return node ? read_url(node, what, out, err) : 0;
}

static int open_ecdh(const struct recipient *to,
                     const struct dv_buf *wrapped,
                     EVP_PKEY *key,
                     uint8_t ret[CONTENT_KEY],
                     struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) apu = DV_BUF_INIT(4096);
    DV_AUTO_IN_PLACE(dv_buf) apv = DV_BUF_INIT(4096);
    uint8_t point[1 + 2 * COORDINATE_MAX];
    const struct dv_json *epk = header_of(to, "epk");
    const struct curve *curve = curve_of(key);
    const char *name = dv_json_text(dv_json_get(epk, "crv"));
    if (!name)
        return malformed("epk has no curve", err);
    if (!curve || strcmp(name, curve->jose) != 0)
        return not_for_us(err);
    int r = read_point(epk, curve, point, err);
    if (r == 0)
        r = read_optional(header_of(to, "apu"), "apu", &apu, err);
    if (r == 0)
        r = read_optional(header_of(to, "apv"), "apv", &apv, err);
    if (r < 0)
        return r;
    uint8_t secret[COORDINATE_MAX];
    uint8_t wrapping[32];
    size_t len = sizeof(secret);
    EVP_PKEY *theirs = public_key(curve, point, 1 + 2 * curve->size);
    bool is_open = derive(key, theirs, secret, &len) &&
                   concat_kdf(secret, len, "ECDH-ES+A256KW", &apu, &apv, wrapping) &&
                   unwrap_key(wrapping, wrapped, ret);
    EVP_PKEY_free(theirs);
    OPENSSL_cleanse(secret, sizeof(secret));
    OPENSSL_cleanse(wrapping, sizeof(wrapping));
    return is_open ? 0 : not_for_us(err);
}

/* -- recipients ----------------------------------------------------------------------------- */

static int open_content_key(const struct recipient *to,
                            EVP_PKEY *key,
                            uint8_t ret[CONTENT_KEY],
                            struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) wrapped = DV_BUF_INIT(2048);
    const char *algorithm = dv_json_text(header_of(to, "alg"));
    const char *encryption = dv_json_text(header_of(to, "enc"));
    if (!algorithm || !encryption)
        return malformed("alg or enc is missing", err);
    if (header_of(to, "zip") || header_of(to, "crit"))
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "JWE: compression and critical headers are not accepted");
    if (strcmp(encryption, "A256GCM") != 0)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "JWE: content encryption '%.32s' is not accepted, only A256GCM",
                            encryption);
    int r = read_url(to->encrypted_key, "encrypted_key", &wrapped, err);
    if (r < 0)
        return r;
    bool is_rsa = EVP_PKEY_is_a(key, "RSA");
    bool is_ec = EVP_PKEY_is_a(key, "EC");
    if (strcmp(algorithm, "RSA-OAEP") == 0)
        return is_rsa ? open_rsa(&wrapped, key, EVP_sha1(), ret, err) : not_for_us(err);
    if (strcmp(algorithm, "RSA-OAEP-256") == 0)
        return is_rsa ? open_rsa(&wrapped, key, EVP_sha256(), ret, err) : not_for_us(err);
    if (strcmp(algorithm, "ECDH-ES+A256KW") == 0)
        return is_ec ? open_ecdh(to, &wrapped, key, ret, err) : not_for_us(err);
    return dv_error_set(err, DV_ERR_UNSUPPORTED,
                        "JWE: key algorithm '%.32s' is not accepted, only RSA-OAEP, RSA-OAEP-256 "
                        "and ECDH-ES+A256KW",
                        algorithm);
}

/* -- content -------------------------------------------------------------------------------- */

/* What is authenticated beside the content: the protected header as it was sent, and `aad`. */
static int additional_data(const struct dv_json *jwe, struct dv_buf *out, struct dv_error *err)
{
    const char *header = dv_json_text(dv_json_get(jwe, "protected"));
    const struct dv_json *aad = dv_json_get(jwe, "aad");
    int r = dv_buf_append_str(out, header ? header : "", err);
    if (r < 0 || !aad)
        return r;
    if (!dv_json_text(aad))
        return malformed("aad is no text", err);
    return dv_buf_printf(out, err, ".%s", dv_json_text(aad));
}

static int open_content(const struct dv_json *jwe,
                        const uint8_t key[CONTENT_KEY],
                        struct dv_buf *out,
                        struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) iv = DV_BUF_INIT(64);
    DV_AUTO_IN_PLACE(dv_buf) tag = DV_BUF_INIT(64);
    DV_AUTO_IN_PLACE(dv_buf) sealed = DV_BUF_INIT(TEXT_MAX);
    DV_AUTO_IN_PLACE(dv_buf) aad = DV_BUF_INIT(TEXT_MAX);
    int r = read_url(dv_json_get(jwe, "iv"), "iv", &iv, err);
    if (r == 0)
        r = read_url(dv_json_get(jwe, "tag"), "tag", &tag, err);
    if (r == 0)
        r = read_url(dv_json_get(jwe, "ciphertext"), "ciphertext", &sealed, err);
    if (r == 0)
        r = additional_data(jwe, &aad, err);
    if (r < 0)
        return r;
    if (iv.len != IV_SIZE || tag.len != TAG_SIZE)
        return malformed("iv or tag has a wrong length", err);
    char *plain;
    r = dv_buf_reserve(out, sealed.len + 1, &plain, err);
    if (r < 0)
        return r;
    int len = 0;
    int unused = 0;
    EVP_CIPHER_CTX *context = EVP_CIPHER_CTX_new();
    bool is_open =
        context &&
        EVP_DecryptInit_ex(context, EVP_aes_256_gcm(), NULL, key, (unsigned char *)iv.data) == 1 &&
        EVP_DecryptUpdate(context, NULL, &unused, (unsigned char *)(aad.len ? aad.data : ""),
                          (int)aad.len) == 1 &&
        EVP_DecryptUpdate(context, (unsigned char *)plain, &len,
                          (unsigned char *)(sealed.len ? sealed.data : ""), (int)sealed.len) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, TAG_SIZE, tag.data) == 1 &&
        EVP_DecryptFinal_ex(context, (unsigned char *)plain + len, &unused) == 1;
    EVP_CIPHER_CTX_free(context);
    if (!is_open) {
        OPENSSL_cleanse(plain, sealed.len);
        return dv_error_set(err, DV_ERR_CORRUPT, "JWE: the content is not as it was encrypted");
    }
    out->len += (size_t)len;
    dv_buf_terminate(out);
    return 0;
}

/* -- whole ---------------------------------------------------------------------------------- */

static int read_protected(const struct dv_json *jwe, struct dv_json **ret, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(TEXT_MAX);
    const struct dv_json *header = dv_json_get(jwe, "protected");
    *ret = NULL;
    if (!header)
        return 0;
    int r = read_url(header, "protected", &text, err);
    if (r == 0)
        r = dv_json_parse(text.data ? text.data : "", text.len, ret, err);
    return r < 0 ? dv_error_prefix(err, "JWE: protected: ") : 0;
}

/* The first recipient whose key ours is; why not, if none. */
static int open_for_one(const struct dv_json *jwe,
                        const struct dv_json *protected_header,
                        EVP_PKEY *key,
                        uint8_t ret[CONTENT_KEY],
                        struct dv_error *err)
{
    const struct dv_json *list = dv_json_get(jwe, "recipients");
    struct recipient to = {
        .protected_header = protected_header,
        .shared_header = dv_json_get(jwe, "unprotected"),
        .own_header = dv_json_get(jwe, "header"),
        .encrypted_key = dv_json_get(jwe, "encrypted_key"),
    };
    if (!list)
        return open_content_key(&to, key, ret, err);
    if (!dv_json_is(list, DV_JSON_ARRAY) || dv_json_count(list) > DV_JWE_RECIPIENTS_MAX)
        return malformed("recipients are no list, or too many", err);
    int r = not_for_us(err);
    for (const struct dv_json *one = dv_json_first(list); one; one = dv_json_next(one)) {
        struct dv_error why = DV_ERROR_INIT;
        to.own_header = dv_json_get(one, "header");
        to.encrypted_key = dv_json_get(one, "encrypted_key");
        int tried = open_content_key(&to, key, ret, &why);
        if (tried == 0)
            return 0;
        if (tried != -DV_ERR_DENIED && r == -DV_ERR_DENIED) {
            dv_error_clear(err);
            r = dv_error_set(err, why.class, "%s", why.text);
        }
    }
    return r;
}

int dv_jwe_open(struct dv_str text, EVP_PKEY *key, struct dv_buf *out, struct dv_error *err)
{
    DV_AUTO(dv_json) jwe = NULL;
    DV_AUTO(dv_json) header = NULL;
    uint8_t content_key[CONTENT_KEY];
    int r = dv_json_parse(text.data, text.len, &jwe, err);
    if (r < 0)
        return dv_error_prefix(err, "JWE: ");
    r = read_protected(jwe, &header, err);
    if (r == 0)
        r = open_for_one(jwe, header, key, content_key, err);
    if (r == 0)
        r = open_content(jwe, content_key, out, err);
    OPENSSL_cleanse(content_key, sizeof(content_key));
    return r;
}
