/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Private keys for encrypted layers, from files as the description of a container names them:
 *
 *   FILE, FILE:PASSWORD, FILE:pass=PASSWORD, FILE:file=FILE2 (the password is its first line)
 *
 * A file holds a private key in PEM or DER, or an OpenPGP key ring with secret keys, armored or
 * not. FILE:fd=N names a descriptor of davitd, which no daemon has: refused. Recipients
 * are pkcs7:FILE, a certificate in PEM; with one of them only the keys of these certificates open
 * PKCS7.
 *
 * Keys and passwords lie in OpenSSL's locked heap; rings as pgp.h says. One owner, one thread;
 * blocks on files.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "base/str.h"
#include "unpack/decrypt/layer_cipher.h"

#include <stdbool.h>
#include <stddef.h>

/* Files of keys, of all kinds together. */
#define DV_DECRYPT_KEYS_MAX 64

struct dv_decrypt_keys;

/* Makes the locked heap as well: once in a process, before the first key. */
__attribute__((warn_unused_result)) int dv_decrypt_keys_new(struct dv_decrypt_keys **ret,
                                                            struct dv_error *err);
void dv_decrypt_keys_free(struct dv_decrypt_keys *keys);
DV_DEFINE_CLEANUP(dv_decrypt_keys, dv_decrypt_keys_free)

/* Errors name the file and never quote what it or `spec` holds beside its path. *ret_is_exposed:
 * others than its owner may read the file. */
__attribute__((warn_unused_result)) int dv_decrypt_keys_add(struct dv_decrypt_keys *keys,
                                                            const char *spec,
                                                            bool *ret_is_exposed,
                                                            struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_decrypt_keys_add_recipient(struct dv_decrypt_keys *keys, const char *spec, struct dv_error *err);

/* Whether there are key rings of OpenPGP among them: RSA keys of such make a thread. */
bool dv_decrypt_keys_have_rings(const struct dv_decrypt_keys *keys);

/* What layer `index` of the manifest needs to be decrypted. *ret_is_encrypted false: nothing.
 * DENIED if no key opens it, else what is wrong with the first thing that is. Pure: no file is
 * read. */
__attribute__((warn_unused_result)) int dv_decrypt_layer(const struct dv_decrypt_keys *keys,
                                                         struct dv_str manifest,
                                                         size_t index,
                                                         bool *ret_is_encrypted,
                                                         struct dv_layer_secret *ret,
                                                         struct dv_error *err);

/* Whether the keys open every encrypted layer of the manifest. */
__attribute__((warn_unused_result)) int
dv_decrypt_check(const struct dv_decrypt_keys *keys, struct dv_str manifest, struct dv_error *err);
