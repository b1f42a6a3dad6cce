/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens, passwords, and where they go. */
#include "fake_registry.h"

#include <criterion/criterion.h>
#include <string.h>

TestSuite(registry_login, .init = registry_setup);

#define CHALLENGE                                                                                  \
    "Bearer "                                                                                      \
    "realm=\"https://auth.example.com/token\",service=\"reg\",scope=\"repository:u/x:pull\""
#define TOKEN_URL "https://auth.example.com/token?service=reg&scope=repository%3Au%2Fx%3Apull"

Test(registry_login, a_token_is_fetched_once_and_used_for_all)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
    registry_add(&fake, TOKEN_URL, 200, "application/json", "{\"token\":\"tok\"}");
    pull_succeeds(&fake, REF, NULL);
    const char *first = strstr(fake.trace.data, TOKEN_URL "\n");
    cr_assert_not_null(first, "%s", fake.trace.data);
    cr_assert_null(strstr(first + 1, TOKEN_URL), "%s", fake.trace.data);
    dv_buf_done(&fake.trace);
}

Test(registry_login, a_token_that_expires_in_the_middle_is_renewed)
{
    for (unsigned at = 4; at < 7; at++) {
        struct fake_registry fake = {.expire_after = at};
        registry_add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
        registry_add(&fake, TOKEN_URL, 200, "application/json", "{\"token\":\"tok\"}");
        pull_succeeds(&fake, REF, NULL);
        const char *first = strstr(fake.trace.data, TOKEN_URL "\n");
        cr_assert(first && strstr(first + 1, TOKEN_URL), "%u\n%s", at, fake.trace.data);
        dv_buf_done(&fake.trace);
    }
}

static const struct dv_registry with_password[] = {
    {.host = "r.example.com", .user = "u", .password = "p"}};
static const struct dv_registry_settings password = {.registries = with_password,
                                                     .registry_count = 1};

Test(registry_login, credentials_go_to_the_token_server_of_the_same_domain)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
    struct route *token = registry_add(&fake, TOKEN_URL, 200, NULL, "{\"token\":\"tok\"}");
    token->wants = "Basic dTpw";
    pull_succeeds(&fake, REF, &password);
    dv_buf_done(&fake.trace);
}

Test(registry_login, credentials_do_not_go_to_a_token_server_elsewhere)
{
    struct fake_registry fake = {0};
    const char *url = "https://evil.net/t?scope=repository%3Au%2Fx%3Apull";
    registry_add_image(&fake, R, "1", "Bearer tok", "Bearer realm=\"https://evil.net/t\"");
    registry_add(&fake, url, 200, NULL, "{\"token\":\"tok\"}");
    DV_AUTO(dv_pull) pull = pull_start(REF, &password);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(pull_run(&fake, pull, &err), 0, "%s", err.text);
    cr_assert_null(strstr(fake.trace.data, "Basic"), "%s", fake.trace.data);
    dv_buf_done(&fake.trace);

    struct fake_registry wants = {0};
    registry_add_image(&wants, R, "1", "Bearer tok", "Bearer realm=\"https://evil.net/t\"");
    struct route *token = registry_add(&wants, url, 200, NULL, "{\"token\":\"tok\"}");
    token->wants = "Basic dTpw";
    pull_fails(&wants, REF, &password, DV_ERR_DENIED, "was not sent to 'https://evil.net/t'");
}

Test(registry_login, basic_login_works)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", "Basic dTpw", "Basic realm=\"r\"");
    pull_succeeds(&fake, REF, &password);
    dv_buf_done(&fake.trace);
}

Test(registry_login, refused_logins_say_what_is_the_matter)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", "Basic xxxx", "Basic realm=\"r\"");
    pull_fails(&fake, REF, &password, DV_ERR_DENIED, "credentials of 'u' do not do");
    pull_fails(&fake, REF, NULL, DV_ERR_DENIED,
               "no credentials are configured for 'r.example.com'");
    struct fake_registry bearer = {0};
    registry_add_image(&bearer, R, "1", "Bearer other", CHALLENGE);
    registry_add(&bearer, TOKEN_URL, 200, NULL, "{\"token\":\"tok\"}");
    pull_fails(&bearer, REF, NULL, DV_ERR_DENIED, "no credentials are configured");
    struct fake_registry plain = {0};
    registry_add_image(&plain, R, "1", "Bearer tok", "Bearer realm=\"http://auth.example.com/\"");
    pull_fails(&plain, REF, NULL, DV_ERR_FAILED, "only https");
    struct fake_registry strange = {0};
    registry_add_image(&strange, R, "1", "Digest x", "Digest realm=\"r\"");
    pull_fails(&strange, REF, NULL, DV_ERR_FAILED, "no method that davit knows");
}

Test(registry_login, broken_token_servers_are_named)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
    struct route *token = registry_add(&fake, TOKEN_URL, 200, NULL, "<html>");
    pull_fails(&fake, REF, NULL, DV_ERR_CORRUPT, "token answer");
    token->status = 503;
    pull_fails(&fake, REF, NULL, DV_ERR_UNAVAILABLE, "token from 'https://auth.example.com/token'");
    token->status = 403;
    pull_fails(&fake, REF, NULL, DV_ERR_DENIED, "no credentials");
}
