/* SPDX-License-Identifier: Apache-2.0 */
/* From the annotations of a layer to the secret that decrypts it. */
#include "base/buf.h"
#include "unpack/decrypt/encoding.h"
#include "unpack/decrypt/jwe.h"
#include "unpack/decrypt/keys_state.h"
#include "unpack/decrypt/pgp.h"
#include "unpack/decrypt/pkcs7.h"
#include "unpack/decrypt/secret.h"

#include "json/json.h"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

#define SUFFIX     "+encrypted"
#define SEALED_MAX (1U << 20)
#define PARTS_MAX  1024

typedef int open_fn(const struct dv_decrypt_keys *keys,
                    struct dv_str sealed,
                    size_t key,
                    struct dv_buf *out,
                    struct dv_error *err);

static int open_jwe(const struct dv_decrypt_keys *keys,
                    struct dv_str sealed,
                    size_t key,
                    struct dv_buf *out,
                    struct dv_error *err)
{
    return dv_jwe_open(sealed, keys->keys[key], out, err);
}

/* With certificates given, only their keys. */
static bool is_recipient(const struct dv_decrypt_keys *keys, size_t key)
{
    for (size_t i = 0; i < keys->certificate_count; i++)
        if (EVP_PKEY_eq(keys->certificates[i], keys->keys[key]) == 1)
            return true;
    return keys->certificate_count == 0;
}

static int open_pkcs7(const struct dv_decrypt_keys *keys,
                      struct dv_str sealed,
                      size_t key,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    if (!is_recipient(keys, key))
        return dv_error_set(err, DV_ERR_DENIED, "PKCS7: this key is of no given recipient");
    return dv_pkcs7_open(sealed.data, sealed.len, keys->keys[key], out, err);
}

static int open_pgp(const struct dv_decrypt_keys *keys,
                    struct dv_str sealed,
                    size_t ring,
                    struct dv_buf *out,
                    struct dv_error *err)
{
    return dv_pgp_open(sealed.data, sealed.len, keys->rings[ring], out, err);
}

static const struct scheme {
    const char *name;
    open_fn *open;
    bool takes_rings; /* of OpenPGP, not private keys */
} schemes[] = {
    {"jwe", open_jwe, false},
    {"pkcs7", open_pkcs7, false},
    {"pgp", open_pgp, true},
};

/* The first reason other than a wrong key is what people need to know. */
static void note(struct dv_error *first, const struct dv_error *why)
{
    if (first->class == DV_ERR_NONE ||
        (first->class == DV_ERR_DENIED && why->class != DV_ERR_DENIED))
        *first = *why;
}

/* One sealed text with every key. */
static bool open_one(const struct dv_decrypt_keys *keys,
                     const struct scheme *scheme,
                     struct dv_str sealed,
                     struct dv_buf *out,
                     struct dv_error *first)
{
    size_t count = scheme->takes_rings ? keys->ring_count : keys->count;
    for (size_t i = 0; i < count; i++) {
        struct dv_error why = DV_ERROR_INIT;
        if (scheme->open(keys, sealed, i, out, &why) == 0)
            return true;
        note(first, &why);
    }
    if (count == 0) {
        struct dv_error why = DV_ERROR_INIT;
        (void)dv_error_set(&why, DV_ERR_DENIED, "it takes %s, and none is given",
                           scheme->takes_rings ? "an OpenPGP key ring" : "a private key");
        note(first, &why);
    }
    return false;
}

/* An annotation: texts in base64, separated by commas. */
static bool open_annotation(const struct dv_decrypt_keys *keys,
                            const struct scheme *scheme,
                            const char *text,
                            struct dv_buf *out,
                            struct dv_error *first)
{
    struct dv_str rest = dv_str_of(text);
    struct dv_str part;
    bool has_more = true;
    for (unsigned i = 0; has_more && i < PARTS_MAX; i++) {
        DV_AUTO_IN_PLACE(dv_buf) sealed = DV_BUF_INIT(SEALED_MAX);
        struct dv_error why = DV_ERROR_INIT;
        has_more = dv_str_cut(rest, ',', &part, &rest);
        if (dv_base64_read(part, DV_BASE64_STANDARD, "a wrapped key", &sealed, &why) < 0)
            note(first, &why);
        else if (open_one(keys, scheme, (struct dv_str){sealed.data ? sealed.data : "", sealed.len},
                          out, first))
            return true;
    }
    return false;
}

static const char *annotation(const struct dv_json *layer, const char *name)
{
    return dv_json_text(dv_json_get(dv_json_get(layer, "annotations"), name));
}

static int open_keys(const struct dv_decrypt_keys *keys,
                     const struct dv_json *layer,
                     struct dv_buf *out,
                     struct dv_error *err)
{
    struct dv_error first = DV_ERROR_INIT;
    bool has_scheme = false;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        char name[64];
        snprintf(name, sizeof(name), "%s%s", DV_LAYER_KEYS_ANNOTATION, schemes[i].name);
        const char *text = annotation(layer, name);
        has_scheme |= text != NULL;
        if (text && open_annotation(keys, &schemes[i], text, out, &first))
            return 0;
    }
    if (!has_scheme)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "the layer is encrypted, but not with JWE, PKCS7 or OpenPGP keys");
    if (!keys->count && !keys->ring_count)
        return dv_error_set(err, DV_ERR_DENIED, "the layer is encrypted and no key is given");
    return dv_error_set(err, first.class, "no key opens the layer: %s", first.text);
}

static bool is_encrypted(const struct dv_json *layer)
{
    const char *type = dv_json_text(dv_json_get(layer, "mediaType"));
    size_t len = type ? strlen(type) : 0;
    size_t suffix = sizeof(SUFFIX) - 1;
    return len >= suffix && strcmp(type + len - suffix, SUFFIX) == 0;
}

static int open_layer(const struct dv_decrypt_keys *keys,
                      const struct dv_json *layer,
                      struct dv_layer_secret *ret,
                      struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) sealed = DV_BUF_INIT(SEALED_MAX);
    DV_AUTO_IN_PLACE(dv_buf) public_text = DV_BUF_INIT(SEALED_MAX);
    const char *text = annotation(layer, DV_LAYER_PUBLIC_ANNOTATION);
    if (!text)
        return dv_error_set(
            err, DV_ERR_INVALID,
            "the layer is encrypted without the annotation " DV_LAYER_PUBLIC_ANNOTATION);
    int r = dv_base64_read(dv_str_of(text), DV_BASE64_STANDARD, DV_LAYER_PUBLIC_ANNOTATION,
                           &public_text, err);
    if (r == 0)
        r = open_keys(keys, layer, &sealed, err);
    if (r == 0)
        r = dv_layer_secret_read(
            (struct dv_str){public_text.data ? public_text.data : "", public_text.len},
            (struct dv_str){sealed.data, sealed.len}, ret, err);
    if (sealed.data)
        OPENSSL_cleanse(sealed.data, sealed.capacity);
    return r;
}

static int parse(struct dv_str manifest, struct dv_json **ret, struct dv_error *err)
{
    int r = dv_json_parse_cased(manifest.data, manifest.len, ret, err);
    return r < 0 ? dv_error_prefix(err, "manifest: ") : 0;
}

int dv_decrypt_layer(const struct dv_decrypt_keys *keys,
                     struct dv_str manifest,
                     size_t index,
                     bool *ret_is_encrypted,
                     struct dv_layer_secret *ret,
                     struct dv_error *err)
{
    DV_AUTO(dv_json) root = NULL;
    int r = parse(manifest, &root, err);
    if (r < 0)
        return r;
    const struct dv_json *layer = dv_json_first(dv_json_get(root, "layers"));
    for (size_t i = 0; i < index && layer; i++)
        layer = dv_json_next(layer);
    if (!layer)
        return dv_error_set(err, DV_ERR_INVALID, "manifest: there is no layer %zu", index);
    *ret_is_encrypted = is_encrypted(layer);
    return *ret_is_encrypted ? open_layer(keys, layer, ret, err) : 0;
}

int dv_decrypt_check(const struct dv_decrypt_keys *keys,
                     struct dv_str manifest,
                     struct dv_error *err)
{
    DV_AUTO(dv_json) root = NULL;
    int r = parse(manifest, &root, err);
    if (r < 0)
        return r;
    const struct dv_json *layer = dv_json_first(dv_json_get(root, "layers"));
    for (size_t i = 0; layer; layer = dv_json_next(layer), i++) {
        struct dv_layer_secret secret;
        if (!is_encrypted(layer))
            continue;
        r = open_layer(keys, layer, &secret, err);
        OPENSSL_cleanse(&secret, sizeof(secret));
        if (r < 0)
            return dv_error_prefix(err, "layer %zu: ", i);
    }
    return 0;
}
