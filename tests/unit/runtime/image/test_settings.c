/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"
#include "runtime/image/settings.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static const char *const insecure[] = {"localhost", "Reg.lan:5000"};
static const struct dv_registry registries[] = {{.host = "quay.io", .user = "u"}};
static const struct dv_registry_settings settings = {
    .insecure = insecure, .insecure_count = 2, .registries = registries, .registry_count = 1};

/* shows: K44 */
Test(settings, hosts_are_compared_whole_and_in_any_case)
{
    cr_assert(dv_registry_is_insecure(&settings, "localhost"));
    cr_assert(dv_registry_is_insecure(&settings, "reg.lan:5000"));
    cr_assert_not(dv_registry_is_insecure(&settings, "localhost:5000"));
    cr_assert_not(dv_registry_is_insecure(&settings, "reg.lan"));
    cr_assert_str_eq(dv_registry_find(&settings, "QUAY.io")->user, "u");
    cr_assert_null(dv_registry_find(&settings, "quay.io:443"));
}

static void check(const char *ca, const char *cert, const char *key, const char *why)
{
    struct dv_registry registry = {
        .host = "h", .root_ca = ca, .client_cert = cert, .client_key = key};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_registry_tls_is_usable(&registry, &err), why == NULL, "%s", err.text);
    if (why)
        cr_assert(strstr(err.text, why), "%s", err.text);
}

Test(settings, tls_files_are_checked)
{
    char dir[SCRATCH_PATH_MAX], ca[600], cert[600], key[600], empty[600];
    scratch_init(dir);
    (void)snprintf(ca, sizeof(ca), "%s/ca.crt", dir);
    (void)snprintf(cert, sizeof(cert), "%s/client.cert", dir);
    (void)snprintf(key, sizeof(key), "%s/client.key", dir);
    (void)snprintf(empty, sizeof(empty), "%s/empty.crt", dir);
    file_write(ca, "x");
    file_write(cert, "x");
    file_write(key, "x");
    file_write(empty, "");
    check(NULL, NULL, NULL, NULL);
    check(ca, cert, key, NULL);
    check(ca, NULL, NULL, NULL);
    check(ca, cert, NULL, "both or not at all");
    check("ca.crt", NULL, NULL, "absolute");
    check(key, NULL, NULL, ".crt or .cert");
    check(ca, cert, cert, "does not end in .key");
    check(empty, NULL, NULL, "is empty");
    check("/nonexistent/ca.crt", NULL, NULL, "root_ca '/nonexistent/ca.crt'");
    scratch_done(dir);
}
