/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/pgp.h"

#include "unpack/decrypt/pgp_frame.h"

#include <openssl/crypto.h>
#include <rnp/rnp.h>
#include <rnp/rnp_err.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define ARMOR          "-----BEGIN PGP PRIVATE KEY BLOCK-----"
#define TAG_SECRET_KEY 5U
#define CLEAR_TEXT_MAX (64U << 10)

/* Fewest rounds of the key derivation: the message is thrown away. */
#define WARM_UP_ROUNDS 1024

struct dv_pgp_ring {
    rnp_ffi_t ffi;
};

bool dv_pgp_is_ring(const char *bytes, size_t len)
{
    if (len >= sizeof(ARMOR) - 1 && memcmp(bytes, ARMOR, sizeof(ARMOR) - 1) == 0)
        return true;
    unsigned first = len ? (unsigned char)bytes[0] : 0;
    return (first & 0xc0) == 0xc0 ? (first & 0x3f) == TAG_SECRET_KEY
                                  : (first & 0x80) && (first >> 2 & 0xf) == TAG_SECRET_KEY;
}

/* -- rings ---------------------------------------------------------------------------------- */

/* All keys that can be used are unlocked already: nothing has to be asked. */
static bool no_password(
    rnp_ffi_t ffi, void *ctx, rnp_key_handle_t key, const char *reason, char buf[], size_t size)
{
    (void)ffi, (void)ctx, (void)key, (void)reason, (void)buf, (void)size;
    return false;
}

static bool is_for_encryption(rnp_key_handle_t key)
{
    bool has_secret = false;
    bool encrypts = false;
    return rnp_key_have_secret(key, &has_secret) == RNP_SUCCESS && has_secret &&
           rnp_key_allows_usage(key, "encrypt", &encrypts) == RNP_SUCCESS && encrypts;
}

static bool unlock(rnp_key_handle_t key, const char *password)
{
    bool is_locked = true;
    if (rnp_key_is_locked(key, &is_locked) == RNP_SUCCESS && !is_locked)
        return true;
    return password && rnp_key_unlock(key, password) == RNP_SUCCESS;
}

struct tally {
    size_t for_encryption;
    size_t unlocked;
};

static void try_key(rnp_ffi_t ffi, const char *grip, const char *password, struct tally *tally)
{
    rnp_key_handle_t key = NULL;
    if (rnp_locate_key(ffi, "grip", grip, &key) != RNP_SUCCESS || !key)
        return;
    if (is_for_encryption(key)) {
        tally->for_encryption++;
        tally->unlocked += unlock(key, password);
    }
    rnp_key_handle_destroy(key);
}

static int unlock_all(rnp_ffi_t ffi, const char *password, struct tally *ret)
{
    rnp_identifier_iterator_t iterator = NULL;
    const char *grip = NULL;
    if (rnp_identifier_iterator_create(ffi, &iterator, "grip") != RNP_SUCCESS)
        return -1;
    while (rnp_identifier_iterator_next(iterator, &grip) == RNP_SUCCESS && grip)
        try_key(ffi, grip, password, ret);
    (void)rnp_identifier_iterator_destroy(iterator);
    return 0;
}

static int
load(rnp_ffi_t ffi, const char *bytes, size_t len, const char *path, struct dv_error *err)
{
    rnp_input_t input = NULL;
    size_t count = 0;
    rnp_result_t result = rnp_input_from_memory(&input, (const uint8_t *)bytes, len, false);
    if (result == RNP_SUCCESS)
        result = rnp_load_keys(ffi, RNP_KEYSTORE_GPG, input, RNP_LOAD_SAVE_SECRET_KEYS);
    if (input)
        (void)rnp_input_destroy(input);
    if (result != RNP_SUCCESS)
        return dv_error_set(err, DV_ERR_FAILED,
                            "decryption key '%s' is no OpenPGP key ring with secret keys: %s", path,
                            rnp_result_to_string(result));
    if (rnp_get_secret_key_count(ffi, &count) != RNP_SUCCESS || count > DV_PGP_KEYS_MAX)
        return dv_error_set(err, DV_ERR_FAILED,
                            "decryption key '%s': a key ring with more than %d secret keys", path,
                            DV_PGP_KEYS_MAX);
    return 0;
}

/* Seals a byte and throws it away: the random numbers that decryption needs, to blind and to judge
 * keys, are opened now, when files can still be. */
static int warm_up(rnp_ffi_t ffi)
{
    static const uint8_t byte[1];
    rnp_input_t input = NULL;
    rnp_output_t output = NULL;
    rnp_op_encrypt_t op = NULL;
    rnp_result_t result = rnp_input_from_memory(&input, byte, sizeof(byte), false);
    if (result == RNP_SUCCESS)
        result = rnp_output_to_memory(&output, CLEAR_TEXT_MAX);
    if (result == RNP_SUCCESS)
        result = rnp_op_encrypt_create(&op, ffi, input, output);
    if (result == RNP_SUCCESS)
        result = rnp_op_encrypt_add_password(op, "-", NULL, WARM_UP_ROUNDS, NULL);
    if (result == RNP_SUCCESS)
        result = rnp_op_encrypt_execute(op);
    if (op)
        (void)rnp_op_encrypt_destroy(op);
    if (output)
        (void)rnp_output_destroy(output);
    if (input)
        (void)rnp_input_destroy(input);
    return result == RNP_SUCCESS ? 0 : -1;
}

static int prepare(rnp_ffi_t ffi, const char *path, const char *password, struct dv_error *err)
{
    struct tally tally = {0};
    if (rnp_ffi_set_pass_provider(ffi, no_password, NULL) != RNP_SUCCESS ||
        unlock_all(ffi, password, &tally) < 0 || warm_up(ffi) < 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY,
                            "decryption key '%s': no memory, or no random numbers", path);
    if (tally.for_encryption == 0)
        return dv_error_set(err, DV_ERR_FAILED,
                            "decryption key '%s': the OpenPGP key ring has no secret key for "
                            "encryption",
                            path);
    if (tally.unlocked == 0)
        return dv_error_set(err, DV_ERR_FAILED,
                            "decryption key '%s': the OpenPGP key ring is locked, %s", path,
                            password ? "its password is wrong" : "it needs a password");
    /* Also without the right to lock memory it has to work, as with the heap of keys.c. */
    (void)mlockall(MCL_CURRENT | MCL_ONFAULT);
    return 0;
}

int dv_pgp_ring_new(const char *bytes,
                    size_t len,
                    const char *path,
                    const char *password,
                    struct dv_pgp_ring **ret,
                    struct dv_error *err)
{
    DV_AUTO(dv_pgp_ring) ring = calloc(1, sizeof(*ring));
    if (!ring || rnp_ffi_create(&ring->ffi, RNP_KEYSTORE_GPG, RNP_KEYSTORE_GPG) != RNP_SUCCESS)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "decryption key '%s': no memory", path);
    int r = load(ring->ffi, bytes, len, path, err);
    if (r == 0)
        r = prepare(ring->ffi, path, password, err);
    if (r < 0)
        return r;
    *ret = ring;
    ring = NULL;
    return 0;
}

void dv_pgp_ring_free(struct dv_pgp_ring *ring)
{
    if (!ring)
        return;
    if (ring->ffi)
        (void)rnp_ffi_destroy(ring->ffi);
    free(ring);
}

/* -- messages ------------------------------------------------------------------------------- */

static int failed(rnp_result_t result, struct dv_error *err)
{
    if (result == RNP_ERROR_NO_SUITABLE_KEY || result == RNP_ERROR_BAD_PASSWORD)
        return dv_error_set(err, DV_ERR_DENIED, "OpenPGP: this key ring does not open it");
    if (result == RNP_ERROR_OUT_OF_MEMORY)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "OpenPGP: no memory");
    return dv_error_set(err, DV_ERR_CORRUPT, "OpenPGP: the message does not decrypt: %s",
                        rnp_result_to_string(result));
}

/* With a tag (modification detection code) that is right. */
static bool is_protected(rnp_op_verify_t op)
{
    char *mode = NULL;
    char *cipher = NULL;
    bool is_valid = false;
    rnp_result_t result = rnp_op_verify_get_protection_info(op, &mode, &cipher, &is_valid);
    bool is_good = result == RNP_SUCCESS && is_valid && mode && strcmp(mode, "cfb-mdc") == 0;
    rnp_buffer_destroy(mode);
    rnp_buffer_destroy(cipher);
    return is_good;
}

static int decrypt(rnp_ffi_t ffi, rnp_input_t input, rnp_output_t output, struct dv_error *err)
{
    rnp_op_verify_t op = NULL;
    rnp_result_t result = rnp_op_verify_create(&op, ffi, input, output);
    /* Who signed it says nothing here: the right to use it is to be able to open it. */
    if (result == RNP_SUCCESS)
        result = rnp_op_verify_set_flags(op, RNP_VERIFY_IGNORE_SIGS_ON_DECRYPT);
    if (result == RNP_SUCCESS)
        result = rnp_op_verify_execute(op);
    int r = result == RNP_SUCCESS ? 0 : failed(result, err);
    if (r == 0 && !is_protected(op))
        r = dv_error_set(err, DV_ERR_CORRUPT, "OpenPGP: the message was changed");
    if (op)
        (void)rnp_op_verify_destroy(op);
    return r;
}

/* Takes what is in `output` if `r` is 0, and wipes it in any case. */
static int take_output(rnp_output_t output, int r, struct dv_buf *out, struct dv_error *err)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    if (rnp_output_memory_get_buf(output, &bytes, &len, false) != RNP_SUCCESS)
        return r < 0 ? r : dv_error_set(err, DV_ERR_CORRUPT, "OpenPGP: the message is empty");
    if (r == 0)
        r = dv_buf_append(out, (const char *)bytes, len, err);
    if (bytes)
        OPENSSL_cleanse(bytes, len);
    return r;
}

int dv_pgp_open(const void *message,
                size_t len,
                struct dv_pgp_ring *ring,
                struct dv_buf *out,
                struct dv_error *err)
{
    rnp_input_t input = NULL;
    rnp_output_t output = NULL;
    int r = dv_pgp_frame_check(message, len, err);
    if (r < 0)
        return r;
    if (rnp_input_from_memory(&input, message, len, false) != RNP_SUCCESS ||
        rnp_output_to_memory(&output, CLEAR_TEXT_MAX) != RNP_SUCCESS)
        r = dv_error_set(err, DV_ERR_NO_MEMORY, "OpenPGP: no memory");
    if (r == 0) {
        r = decrypt(ring->ffi, input, output, err);
        r = take_output(output, r, out, err);
    }
    if (output)
        (void)rnp_output_destroy(output);
    if (input)
        (void)rnp_input_destroy(input);
    return r;
}
