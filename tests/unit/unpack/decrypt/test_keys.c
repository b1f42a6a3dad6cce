/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"
#include "support.h"
#include "unpack/decrypt/keys.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static struct dv_error err;
static char folder[64];

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-keys-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void teardown(void)
{
    (void)!dv_tree_remove(folder, NULL);
}

TestSuite(keys, .init = setup, .fini = teardown);

static int add(const char *spec, bool *ret_is_exposed)
{
    DV_AUTO(dv_decrypt_keys) keys = NULL;
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_decrypt_keys_new(&keys, &err), 0, "%s", err.text);
    return dv_decrypt_keys_add(keys, spec, ret_is_exposed, &err);
}

/* A golden key below `folder`, with that mode; its path, valid until the next call. */
static const char *copy_of(const char *name, mode_t mode)
{
    static char path[128];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(10000);
    golden_read(name, &text);
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    cr_assert_eq(dv_durable_replace(path, text.data, text.len, mode, NULL), 0);
    cr_assert_eq(chmod(path, mode), 0);
    return path;
}

Test(keys, a_file_that_others_may_read_is_told)
{
    bool is_exposed = true;
    cr_expect_eq(add(copy_of("rsa.pem", 0600), &is_exposed), 0, "%s", err.text);
    cr_expect_not(is_exposed);
    cr_expect_eq(add(copy_of("rsa.pem", 0640), &is_exposed), 0, "%s", err.text);
    cr_expect(is_exposed);
}

Test(keys, what_cannot_be_used_names_the_file_and_never_the_password)
{
    static const struct {
        const char *tail;
        const char *part;
    } table[] = {
        {"/none:s3cret", "none"},
        {"/pkcs7.crt:s3cret", "password is wrong"},
        {"/pkcs7.crt", "needs a password"},
        {"/pkcs7.crt:fd=3", "fd="},
        {"/pkcs7.crt:file=/nowhere", "/nowhere"},
        {"", "no regular file"},
    };
    (void)copy_of("pkcs7.crt", 0600);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char spec[256];
        bool is_exposed;
        snprintf(spec, sizeof(spec), "%s%s", folder, table[i].tail);
        cr_expect_lt(add(spec, &is_exposed), 0, "row %zu", i);
        cr_expect(strstr(err.text, table[i].part), "row %zu: %s", i, err.text);
        cr_expect_null(strstr(err.text, "s3cret"), "row %zu: %s", i, err.text);
    }
}

Test(keys, recipients_are_certificates)
{
    DV_AUTO(dv_decrypt_keys) keys = NULL;
    char spec[256];
    cr_assert_eq(dv_decrypt_keys_new(&keys, &err), 0);
    snprintf(spec, sizeof(spec), "pkcs7:%s", copy_of("pkcs7.crt", 0644));
    cr_expect_eq(dv_decrypt_keys_add_recipient(keys, spec, &err), 0, "%s", err.text);
    snprintf(spec, sizeof(spec), "pkcs7:%s", copy_of("rsa.pem", 0600));
    cr_expect_eq(dv_decrypt_keys_add_recipient(keys, spec, &err), -DV_ERR_FAILED);
    err = DV_ERROR_INIT;
    cr_expect_eq(dv_decrypt_keys_add_recipient(keys, "jwe:/x", &err), -DV_ERR_INVALID);
}

Test(keys, a_manifest_without_such_a_layer_or_without_sense_is_refused)
{
    static const char *const manifests[] = {"", "[]", "{}", "{\"layers\":7}", "{\"layers\":[]}"};
    DV_AUTO(dv_decrypt_keys) keys = NULL;
    cr_assert_eq(dv_decrypt_keys_new(&keys, &err), 0);
    for (size_t i = 0; i < sizeof(manifests) / sizeof(manifests[0]); i++) {
        struct dv_layer_secret secret;
        bool is_encrypted;
        err = DV_ERROR_INIT;
        cr_expect_eq(
            dv_decrypt_layer(keys, dv_str_of(manifests[i]), 0, &is_encrypted, &secret, &err),
            -DV_ERR_INVALID, "row %zu", i);
    }
}
