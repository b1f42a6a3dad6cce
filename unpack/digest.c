/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define HEX_MAX (2 * EVP_MAX_MD_SIZE)

struct dv_unpack_digest {
    const char *role;
    const char *algorithm; /* static text */
    EVP_MD_CTX *context;
    char expected[HEX_MAX + 1];
};

struct algorithm {
    const char *name;
    size_t hex_len;
    const EVP_MD *(*md)(void);
};

static const struct algorithm algorithms[] = {
    {"sha256", 64, EVP_sha256},
    {"sha512", 128, EVP_sha512},
};

static const struct algorithm *algorithm_of(const char *text, const char **ret_hex)
{
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        size_t len = strlen(algorithms[i].name);
        if (strncmp(text, algorithms[i].name, len) == 0 && text[len] == ':') {
            *ret_hex = text + len + 1;
            return &algorithms[i];
        }
    }
    return NULL;
}

int dv_unpack_digest_new(const char *text,
                         const char *role,
                         struct dv_unpack_digest **ret,
                         struct dv_error *err)
{
    const char *hex = NULL;
    const struct algorithm *algorithm = algorithm_of(text, &hex);
    if (!algorithm || strlen(hex) != algorithm->hex_len ||
        strspn(hex, "0123456789abcdef") != algorithm->hex_len)
        return dv_error_set(err, DV_ERR_INVALID,
                            "%s '%.160s' is not sha256: or sha512: with lower case hex digits",
                            role, text);
    DV_AUTO(dv_unpack_digest) digest = calloc(1, sizeof(*digest));
    if (!digest)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "%s: out of memory", role);
    digest->role = role;
    digest->algorithm = algorithm->name;
    memcpy(digest->expected, hex, algorithm->hex_len);
    digest->context = EVP_MD_CTX_new();
    if (!digest->context || EVP_DigestInit_ex(digest->context, algorithm->md(), NULL) != 1)
        return dv_error_set(err, DV_ERR_FAILED, "%s: OpenSSL does not offer %s", role,
                            algorithm->name);
    *ret = dv_steal(&digest);
    return 0;
}

void dv_unpack_digest_free(struct dv_unpack_digest *digest)
{
    if (!digest)
        return;
    EVP_MD_CTX_free(digest->context);
    free(digest);
}

int dv_unpack_digest_add(struct dv_unpack_digest *digest,
                         const void *bytes,
                         size_t len,
                         struct dv_error *err)
{
    if (EVP_DigestUpdate(digest->context, bytes, len) != 1)
        return dv_error_set(err, DV_ERR_FAILED, "%s: OpenSSL refused %zu bytes", digest->role, len);
    return 0;
}

int dv_unpack_digest_verify(struct dv_unpack_digest *digest, struct dv_error *err)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    if (EVP_DigestFinal_ex(digest->context, value, &len) != 1)
        return dv_error_set(err, DV_ERR_FAILED, "%s: OpenSSL failed to finish", digest->role);
    char hex[HEX_MAX + 1];
    for (unsigned i = 0; i < len; i++)
        snprintf(hex + 2 * i, 3, "%02x", value[i]);
    if (strcmp(hex, digest->expected) != 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s is %s:%s, but %s:%s was promised",
                            digest->role, digest->algorithm, hex, digest->algorithm,
                            digest->expected);
    return 0;
}
