/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/keys.h"

#include "base/buf.h"
#include "unpack/decrypt/keys_state.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECURE_HEAP   (1U << 18)
#define SECURE_MIN    32
#define FILE_MAX      (256U << 10)
#define PATH_SIZE     4096
#define PASSWORD_SIZE 1024

int dv_decrypt_keys_new(struct dv_decrypt_keys **ret, struct dv_error *err)
{
    struct dv_decrypt_keys *keys = calloc(1, sizeof(*keys));
    if (!keys)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "decryption keys: no memory");
    /* librnp's library of ciphers would make a thread for each processor. */
    (void)setenv("BOTAN_THREAD_POOL_SIZE", "1", 1);
    /* Without the right to lock memory the heap is there and not locked, as is that of the rest. */
    if (!CRYPTO_secure_malloc_initialized())
        (void)CRYPTO_secure_malloc_init(SECURE_HEAP, SECURE_MIN);
    *ret = keys;
    return 0;
}

void dv_decrypt_keys_free(struct dv_decrypt_keys *keys)
{
    if (!keys)
        return;
    for (size_t i = 0; i < keys->count; i++)
        EVP_PKEY_free(keys->keys[i]);
    for (size_t i = 0; i < keys->ring_count; i++)
        dv_pgp_ring_free(keys->rings[i]);
    for (size_t i = 0; i < keys->certificate_count; i++)
        EVP_PKEY_free(keys->certificates[i]);
    free(keys);
}

bool dv_decrypt_keys_have_rings(const struct dv_decrypt_keys *keys)
{
    return keys->ring_count > 0;
}

/* -- files ---------------------------------------------------------------------------------- */

/* A file in the locked heap; freed with secret_free(). */
struct secret {
    char *bytes;
    size_t len;
};

static void secret_free(struct secret *secret)
{
    OPENSSL_secure_clear_free(secret->bytes, secret->len + 1);
    secret->bytes = NULL;
}
DV_DEFINE_CLEANUP_IN_PLACE(secret, secret_free)

static int read_all(int fd, struct secret *secret)
{
    size_t size = secret->len;
    secret->len = 0;
    while (secret->len < size) {
        ssize_t got = read(fd, secret->bytes + secret->len, size - secret->len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got < 0 ? -errno : 0;
        secret->len += (size_t)got;
    }
    return 0;
}

static int
read_file(const char *path, struct secret *ret, bool *ret_is_exposed, struct dv_error *err)
{
    struct stat info;
    dv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &info) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "read key file '%s'", path);
    if (!S_ISREG(info.st_mode) || info.st_size > FILE_MAX)
        return dv_error_set(err, DV_ERR_FAILED,
                            "key file '%s' is no regular file of at most %u bytes", path, FILE_MAX);
    *ret = (struct secret){OPENSSL_secure_zalloc((size_t)info.st_size + 1), (size_t)info.st_size};
    if (!ret->bytes)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "key file '%s': no memory", path);
    int r = read_all(fd, ret);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_FAILED, -r, "read key file '%s'", path);
    *ret_is_exposed |= (info.st_mode & (S_IRWXG | S_IRWXO)) != 0;
    return 0;
}

/* -- specifications ------------------------------------------------------------------------- */

struct parts {
    char path[PATH_SIZE];
    struct secret password; /* bytes NULL: none */
};

static int set_password(const char *text, size_t len, struct secret *ret, struct dv_error *err)
{
    if (len >= PASSWORD_SIZE)
        return dv_error_set(err, DV_ERR_INVALID, "a password is longer than %d bytes",
                            PASSWORD_SIZE - 1);
    *ret = (struct secret){OPENSSL_secure_zalloc(len + 1), len};
    if (!ret->bytes)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "decryption keys: no memory");
    memcpy(ret->bytes, text, len);
    return 0;
}

static int
read_password(const char *path, struct secret *ret, bool *ret_is_exposed, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(secret) text = {0};
    int r = read_file(path, &text, ret_is_exposed, err);
    return r < 0 ? r : set_password(text.bytes, strcspn(text.bytes, "\r\n"), ret, err);
}

static int split(const char *spec, struct parts *ret, bool *ret_is_exposed, struct dv_error *err)
{
    const char *colon = strchr(spec, ':');
    size_t len = colon ? (size_t)(colon - spec) : strlen(spec);
    if (len == 0 || len >= sizeof(ret->path))
        return dv_error_set(err, DV_ERR_INVALID, "a decryption key names no file");
    memcpy(ret->path, spec, len);
    ret->path[len] = '\0';
    if (!colon)
        return 0;
    const char *rest = colon + 1;
    if (strncmp(rest, "file=", 5) == 0)
        return read_password(rest + 5, &ret->password, ret_is_exposed, err);
    if (strncmp(rest, "fd=", 3) == 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "decryption key '%s': fd= means a descriptor of davitd, which a "
                            "container's description cannot know; use file=",
                            ret->path);
    if (strncmp(rest, "pass=", 5) == 0)
        rest += 5;
    return set_password(rest, strlen(rest), &ret->password, err);
}

/* -- keys ----------------------------------------------------------------------------------- */

static int give_password(char *buf, int size, int unused, void *ctx)
{
    (void)unused;
    const struct secret *password = ctx;
    if (!password->bytes || password->len > (size_t)size)
        return -1;
    memcpy(buf, password->bytes, password->len);
    return (int)password->len;
}

static EVP_PKEY *parse_key(const struct secret *text, struct secret *password)
{
    BIO *bio = BIO_new_mem_buf(text->bytes, (int)text->len);
    EVP_PKEY *key = bio ? PEM_read_bio_PrivateKey(bio, NULL, give_password, password) : NULL;
    if (!key) {
        const unsigned char *at = (const unsigned char *)text->bytes;
        key = d2i_AutoPrivateKey(NULL, &at, (long)text->len);
    }
    BIO_free(bio);
    return key;
}

static int add_private(struct dv_decrypt_keys *keys,
                       const struct secret *text,
                       struct parts *parts,
                       struct dv_error *err)
{
    EVP_PKEY *key = parse_key(text, &parts->password);
    if (!key)
        return dv_error_set(
            err, DV_ERR_FAILED,
            "decryption key '%s' is no private key in PEM or DER and no OpenPGP key "
            "ring%s",
            parts->path,
            parts->password.bytes ? ", or its password is wrong" : ", or it needs a password");
    keys->keys[keys->count++] = key;
    return 0;
}

static int add_ring(struct dv_decrypt_keys *keys,
                    const struct secret *text,
                    const struct parts *parts,
                    struct dv_error *err)
{
    int r = dv_pgp_ring_new(text->bytes, text->len, parts->path, parts->password.bytes,
                            &keys->rings[keys->ring_count], err);
    keys->ring_count += r == 0;
    return r;
}

int dv_decrypt_keys_add(struct dv_decrypt_keys *keys,
                        const char *spec,
                        bool *ret_is_exposed,
                        struct dv_error *err)
{
    struct parts parts = {.path = ""};
    DV_AUTO_IN_PLACE(secret) text = {0};
    bool is_exposed = false;
    if (keys->count + keys->ring_count == DV_DECRYPT_KEYS_MAX)
        return dv_error_set(err, DV_ERR_INVALID, "more than %d decryption keys",
                            DV_DECRYPT_KEYS_MAX);
    int r = split(spec, &parts, &is_exposed, err);
    if (r == 0)
        r = read_file(parts.path, &text, &is_exposed, err);
    if (r == 0)
        r = dv_pgp_is_ring(text.bytes, text.len) ? add_ring(keys, &text, &parts, err)
                                                 : add_private(keys, &text, &parts, err);
    secret_free(&parts.password);
    if (r == 0)
        *ret_is_exposed = is_exposed;
    return r;
}

int dv_decrypt_keys_add_recipient(struct dv_decrypt_keys *keys,
                                  const char *spec,
                                  struct dv_error *err)
{
    static const char prefix[] = "pkcs7:";
    DV_AUTO_IN_PLACE(secret) text = {0};
    bool unused;
    if (strncmp(spec, prefix, sizeof(prefix) - 1) != 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "decryption recipient '%.200s' is not pkcs7: and a certificate file",
                            spec);
    if (keys->certificate_count == DV_DECRYPT_KEYS_MAX)
        return dv_error_set(err, DV_ERR_INVALID, "more than %d decryption recipients",
                            DV_DECRYPT_KEYS_MAX);
    const char *path = spec + sizeof(prefix) - 1;
    int r = read_file(path, &text, &unused, err);
    if (r < 0)
        return r;
    BIO *bio = BIO_new_mem_buf(text.bytes, (int)text.len);
    X509 *certificate = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
    EVP_PKEY *key = certificate ? X509_get_pubkey(certificate) : NULL;
    X509_free(certificate);
    BIO_free(bio);
    if (!key)
        return dv_error_set(err, DV_ERR_FAILED,
                            "decryption recipient '%s' is no certificate in PEM", path);
    keys->certificates[keys->certificate_count++] = key;
    return 0;
}
