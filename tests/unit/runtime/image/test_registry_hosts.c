/* SPDX-License-Identifier: Apache-2.0 */
/* Which host is spoken to, and how: insecure ones, files for TLS, mirrors. */
#include "fake_registry.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(registry_hosts, .init = registry_setup);

static const char *const insecure_hosts[] = {"r.example.com"};
static const struct dv_registry_settings insecure = {.insecure = insecure_hosts,
                                                     .insecure_count = 1};

/* shows: K44 */
Test(registry_hosts, an_insecure_registry_is_spoken_to_by_plain_http)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, HTTP, "1", NULL, NULL);
    pull_succeeds(&fake, REF, &insecure);
    dv_buf_done(&fake.trace);
    struct fake_registry none = {0};
    registry_add(&none, HTTP "/manifests/1", 404, NULL, "{\"errors\":[]}");
    pull_fails(&none, REF, &insecure, DV_ERR_FAILED, "there is no manifest 1 (404)");
}

/* shows: K44 */
Test(registry_hosts, an_insecure_registry_is_tried_by_https_then)
{
    struct fake_registry fake = {0};
    struct route *route = registry_add(&fake, HTTP "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "connection refused";
    registry_add_image(&fake, R, "1", NULL, NULL);
    pull_succeeds(&fake, REF, &insecure);
    cr_assert_not_null(strstr(fake.trace.data, R "/manifests/1 unverified\n"));
    dv_buf_done(&fake.trace);

    struct fake_registry neither = {0};
    route = registry_add(&neither, HTTP "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "connection refused";
    route = registry_add(&neither, R "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "TLS handshake failed";
    pull_fails(&neither, REF, &insecure, DV_ERR_UNAVAILABLE,
               "TLS handshake failed; and by plain HTTP: connection refused");
}

Test(registry_hosts, a_secure_registry_is_never_spoken_to_by_plain_http)
{
    struct fake_registry fake = {0};
    struct route *route = registry_add(&fake, R "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_TIMED_OUT;
    route->why = "no answer";
    pull_fails(&fake, REF, NULL, DV_ERR_TIMED_OUT, "no answer");
}

Test(registry_hosts, a_forgotten_host_is_guessed)
{
    struct fake_registry fake = {0};
    struct route *route = registry_add(&fake, "https://demo/v2/app/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "no such host";
    pull_fails(&fake, "demo/app:1", NULL, DV_ERR_UNAVAILABLE, "was it forgotten?");
}

Test(registry_hosts, tls_files_go_to_their_registry_only)
{
    static const struct dv_registry files[] = {{.host = "r.example.com",
                                                .root_ca = "/ca.crt",
                                                .client_cert = "/c.crt",
                                                .client_key = "/c.key"}};
    struct dv_registry_settings settings = {.registries = files, .registry_count = 1};
    DV_AUTO(dv_pull) pull = pull_start(REF, &settings);
    struct dv_pull_step what;
    cr_assert_eq(dv_pull_next(pull, &what, NULL), 1);
    const struct dv_download_cmd *cmd = what.body;
    cr_assert_str_eq(cmd->root_ca, "/ca.crt");
    cr_assert_str_eq(cmd->client_cert, "/c.crt");
    cr_assert_str_eq(cmd->client_key, "/c.key");
    struct dv_http_header header = {(char[]){"www-authenticate"},
                                    (char[]){"Bearer realm=\"https://auth.example.com/token\""}};
    struct dv_download_result denied = {.status = 401, .headers = {&header, 1}};
    cr_assert_eq(dv_pull_downloaded(pull, what.number, &denied, NULL), 0);
    cr_assert_eq(dv_pull_next(pull, &what, NULL), 1);
    cmd = what.body;
    cr_assert_eq(strncmp(cmd->url, "https://auth.example.com/token?", 31), 0);
    cr_assert_str_eq(cmd->root_ca, "/ca.crt");
    cr_assert_null(cmd->client_cert);
    cr_assert_null(cmd->client_key);

    settings.insecure = insecure_hosts;
    settings.insecure_count = 1;
    DV_AUTO(dv_pull) open = pull_start(REF, &settings);
    cr_assert_eq(dv_pull_next(open, &what, NULL), 1);
    cmd = what.body;
    cr_assert_null(cmd->root_ca);
    cr_assert_null(cmd->client_cert);
}

static struct dv_registry_settings with_mirror(void)
{
    static const struct dv_registry registries[] = {{.host = "m.example", .user = "m"}};
    struct dv_registry_settings settings = {.registries = registries, .registry_count = 1};
    cr_assert_eq(dv_registry_mirror_add(&settings, "r.example.com=m.example", NULL), 0);
    return settings;
}

Test(registry_hosts, a_mirror_is_asked_first_with_its_own_login)
{
    struct dv_registry_settings settings = with_mirror();
    struct fake_registry fake = {0};
    registry_add_image(&fake, "https://m.example/v2/u/x", "1", "Basic bTo=", "Basic realm=\"x\"");
    pull_succeeds(&fake, REF, &settings);
    cr_assert_null(strstr(fake.trace.data, "r.example.com/v2"), "%s", fake.trace.data);
    dv_buf_done(&fake.trace);
}

Test(registry_hosts, what_a_mirror_does_not_have_comes_from_the_registry_without_its_login)
{
    struct dv_registry_settings settings = with_mirror();
    struct fake_registry fake = {0};
    registry_add(&fake, "https://m.example/v2/u/x/manifests/1", 500, NULL, "{}");
    registry_add_image(&fake, R, "1", NULL, NULL);
    pull_succeeds(&fake, REF, &settings);
    cr_assert_not_null(strstr(fake.trace.data, "https://m.example/v2/u/x/manifests/1\n" R), "%s",
                       fake.trace.data);
    cr_assert_null(strstr(fake.trace.data, "Basic"));
    dv_buf_done(&fake.trace);
}

Test(registry_hosts, when_both_fail_both_are_told)
{
    struct dv_registry_settings settings = with_mirror();
    struct fake_registry fake = {0};
    DV_AUTO(dv_pull) pull = pull_start(REF, &settings);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(pull_run(&fake, pull, &err), -DV_ERR_FAILED);
    cr_assert(strstr(err.text, "r.example.com") && strstr(err.text, "and its mirror: m.example"),
              "%s", err.text);
    dv_buf_done(&fake.trace);
}

Test(registry_hosts, mirrors_are_pairs_of_hosts)
{
    struct dv_registry_settings settings = {0};
    static const char *const wrong[] = {"", "a", "=b", "a=", "a=https://b", "a/x=b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(dv_registry_mirror_add(&settings, wrong[i], NULL), -DV_ERR_INVALID, "%s",
                     wrong[i]);
    cr_assert_eq(dv_registry_mirror_add(&settings, "Docker.io=m:5000", NULL), 0);
    cr_assert_str_eq(dv_registry_mirror(&settings, "docker.io"), "m:5000");
    cr_assert_null(dv_registry_mirror(&settings, "quay.io"));
}
