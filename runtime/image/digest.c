/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#define READ_SIZE (64U << 10)

struct algorithm {
    const char *name;
    size_t hex_len;
    const EVP_MD *(*md)(void);
};

static const struct algorithm algorithms[] = {
    {"sha256", 64, EVP_sha256},
    {"sha512", 128, EVP_sha512},
};

struct dv_digest_sum {
    const struct algorithm *algorithm;
    EVP_MD_CTX *ctx;
    char expected[DV_DIGEST_SIZE];
};

static const struct algorithm *algorithm_of(struct dv_str text)
{
    struct dv_str name, hex = {NULL, 0};
    if (!dv_str_cut(text, ':', &name, &hex))
        return NULL;
    for (size_t i = 0; i < sizeof(algorithms) / sizeof(algorithms[0]); i++) {
        if (!dv_str_eq(name, algorithms[i].name) || hex.len != algorithms[i].hex_len)
            continue;
        for (size_t at = 0; at < hex.len; at++)
            if (!(hex.data[at] >= '0' && hex.data[at] <= '9') &&
                !(hex.data[at] >= 'a' && hex.data[at] <= 'f'))
                return NULL;
        return &algorithms[i];
    }
    return NULL;
}

bool dv_digest_is_valid(struct dv_str text)
{
    return text.data && algorithm_of(text);
}

struct dv_str dv_digest_algorithm(const char *digest)
{
    struct dv_str name, hex;
    (void)dv_str_cut(dv_str_of(digest), ':', &name, &hex);
    return name;
}

struct dv_str dv_digest_hex(const char *digest)
{
    struct dv_str name, hex = {"", 0};
    (void)dv_str_cut(dv_str_of(digest), ':', &name, &hex);
    return hex;
}

static void write_text(const struct algorithm *algorithm,
                       const unsigned char *sum,
                       size_t len,
                       char text[DV_DIGEST_SIZE])
{
    int at = snprintf(text, DV_DIGEST_SIZE, "%s:", algorithm->name);
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        text[at++] = digits[sum[i] >> 4];
        text[at++] = digits[sum[i] & 15];
    }
    text[at] = '\0';
}

/* The provider of these algorithms is part of libcrypto, so they fail only without memory, and
 * then there is nothing a caller could do. */
static void must(int ok)
{
    if (ok != 1)
        abort();
}

char *dv_digest_of(const void *bytes, size_t len, char text[DV_DIGEST_SIZE])
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned sum_len = 0;
    must(EVP_Digest(bytes, len, sum, &sum_len, EVP_sha256(), NULL));
    write_text(&algorithms[0], sum, sum_len, text);
    return text;
}

int dv_digest_hex_of(const char *algorithm,
                     const void *bytes,
                     size_t len,
                     char ret_hex[DV_DIGEST_SIZE],
                     struct dv_error *err)
{
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned sum_len = 0;
    const EVP_MD *md = EVP_get_digestbyname(algorithm);
    if (!md || EVP_Digest(bytes, len, sum, &sum_len, md, NULL) != 1)
        return dv_error_set(err, DV_ERR_UNSUPPORTED, "%s sums cannot be made on this machine",
                            algorithm);
    for (unsigned i = 0; i < sum_len; i++)
        snprintf(ret_hex + 2 * (size_t)i, 3, "%02x", sum[i]);
    return 0;
}

int dv_digest_sum_new(const char *digest, struct dv_digest_sum **ret, struct dv_error *err)
{
    const struct algorithm *algorithm = digest ? algorithm_of(dv_str_of(digest)) : NULL;
    if (!algorithm)
        return dv_error_set(err, DV_ERR_INVALID, "'%.140s' is not a sha256 or sha512 digest",
                            digest ? digest : "");
    DV_AUTO(dv_digest_sum) sum = calloc(1, sizeof(*sum));
    if (!sum)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "digest: out of memory");
    sum->algorithm = algorithm;
    (void)snprintf(sum->expected, sizeof(sum->expected), "%s", digest);
    sum->ctx = EVP_MD_CTX_new();
    if (!sum->ctx || EVP_DigestInit_ex(sum->ctx, algorithm->md(), NULL) != 1)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "digest: cannot start a %s sum",
                            algorithm->name);
    *ret = dv_steal(&sum);
    return 0;
}

void dv_digest_sum_free(struct dv_digest_sum *sum)
{
    if (!sum)
        return;
    EVP_MD_CTX_free(sum->ctx);
    free(sum);
}

void dv_digest_sum_add(struct dv_digest_sum *sum, const void *bytes, size_t len)
{
    must(EVP_DigestUpdate(sum->ctx, bytes, len));
}

int dv_digest_sum_check(struct dv_digest_sum *sum, struct dv_error *err)
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    must(EVP_DigestFinal_ex(sum->ctx, value, &len));
    char text[DV_DIGEST_SIZE];
    write_text(sum->algorithm, value, len, text);
    if (strcmp(text, sum->expected) != 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "content has digest %s, expected is %s", text,
                            sum->expected);
    return 0;
}

int dv_digest_verify(const char *digest, const void *bytes, size_t len, struct dv_error *err)
{
    DV_AUTO(dv_digest_sum) sum = NULL;
    int r = dv_digest_sum_new(digest, &sum, err);
    if (r < 0)
        return r;
    dv_digest_sum_add(sum, bytes, len);
    return dv_digest_sum_check(sum, err);
}

static int add_file(struct dv_digest_sum *sum, int fd, struct dv_error *err)
{
    dv_autofree char *block = malloc(READ_SIZE);
    if (!block)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "digest: out of memory");
    off_t at = 0;
    for (;;) {
        ssize_t got = pread(fd, block, READ_SIZE, at);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "read to verify %s", sum->expected);
        if (got == 0)
            return 0;
        dv_digest_sum_add(sum, block, (size_t)got);
        at += got;
    }
}

int dv_digest_verify_fd(const char *digest, int fd, struct dv_error *err)
{
    DV_AUTO(dv_digest_sum) sum = NULL;
    int r = dv_digest_sum_new(digest, &sum, err);
    if (r == 0)
        r = add_file(sum, fd, err);
    return r < 0 ? r : dv_digest_sum_check(sum, err);
}

int dv_digest_of_fd(int fd, char text[DV_DIGEST_SIZE], struct dv_error *err)
{
    DV_AUTO(dv_digest_sum) sum = NULL;
    char any[DV_DIGEST_SIZE];
    int r = dv_digest_sum_new(dv_digest_of("", 0, any), &sum, err);
    if (r == 0)
        r = add_file(sum, fd, err);
    if (r < 0)
        return r;
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    must(EVP_DigestFinal_ex(sum->ctx, value, &len));
    write_text(sum->algorithm, value, len, text);
    return 0;
}
