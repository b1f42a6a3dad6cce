/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/auth.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static struct dv_arena *arena;

static void setup(void)
{
    arena = dv_arena_new(1U << 20);
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(auth, .init = setup, .fini = teardown);

static int challenge_of(const char *value, struct dv_challenge *ret, struct dv_error *err)
{
    char *copy = dv_arena_strdup(arena, value);
    struct dv_http_header header = {.name = (char[]){"WWW-Authenticate"}, .value = copy};
    struct dv_http_header_list headers = {&header, 1};
    return dv_challenge_parse(&headers, arena, ret, err);
}

static const struct {
    const char *value;
    const char *realm; /* NULL: basic */
    const char *service;
    const char *scope;
} good[] = {
    {"Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\","
     "scope=\"repository:library/x:pull\"",
     "https://auth.docker.io/token", "registry.docker.io", "repository:library/x:pull"},
    {"bearer realm = \"https://a/t\" , error=\"insufficient_scope\"", "https://a/t", NULL, NULL},
    {"Bearer realm=\"https://a/t\",service=\"x, y=\\\"z\\\"\"", "https://a/t", "x, y=\"z\"", NULL},
    {"Basic realm=\"Registry\", Bearer realm=\"https://a/t\",service=s", "https://a/t", "s", NULL},
    {"Bearer realm=\"https://a/t\",service=s, Basic realm=\"https://evil/\"", "https://a/t", "s",
     NULL},
    {"Negotiate YII==, Basic realm=\"r\"", NULL, NULL, NULL},
    {"Basic", NULL, NULL, NULL},
    {"Bearer realm=\"ftp://a/t\", Basic realm=x", NULL, NULL, NULL},
};

Test(auth, challenges_are_read)
{
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        struct dv_challenge c;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(challenge_of(good[i].value, &c, &err), 0, "%s: %s", good[i].value, err.text);
        cr_assert_eq(c.is_bearer, good[i].realm != NULL, "%s", good[i].value);
        if (!good[i].realm)
            continue;
        cr_assert_str_eq(c.realm, good[i].realm);
        cr_assert(good[i].service ? c.service && strcmp(c.service, good[i].service) == 0
                                  : !c.service);
        cr_assert(good[i].scope ? c.scope && strcmp(c.scope, good[i].scope) == 0 : !c.scope);
    }
}

Test(auth, unusable_challenges_are_refused)
{
    static const char *const bad[] = {"",
                                      "Digest realm=\"x\"",
                                      "Bearer",
                                      "Bearer realm=\"\"",
                                      "=\"x\"",
                                      "Bearer realm=\"https://user@host/\"",
                                      ",,,,",
                                      "Bearer realm=\"https://a/t",
                                      "Bearer realm=\"file:///etc/passwd\"",
                                      "Bearer realm=\"https://a/\r\nX: y\"",
                                      "Bearer realm=\"https:///t\""};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dv_challenge c;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(challenge_of(bad[i], &c, &err), -DV_ERR_FAILED, "%s", bad[i]);
        cr_assert(err.text[0]);
    }
}

Test(auth, token_addresses_are_encoded)
{
    struct dv_challenge c = {
        .is_bearer = true, .realm = (char[]){"https://a/t?x=1"}, .service = (char[]){"a b&c"}};
    char *url = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_token_url(&c, "repository:u/x:pull", arena, &url, &err), 0, "%s", err.text);
    cr_assert_str_eq(url, "https://a/t?x=1&service=a%20b%26c&scope=repository%3Au%2Fx%3Apull");
}

static int token_of(const char *json, struct dv_token *ret)
{
    struct dv_error err = DV_ERROR_INIT;
    int r = dv_token_parse(json, strlen(json), arena, ret, &err);
    cr_assert(r == 0 || err.text[0]);
    return r;
}

Test(auth, token_answers_are_read)
{
    struct dv_token t;
    cr_assert_eq(token_of("{\"token\":\"abc\",\"expires_in\":300}", &t), 0);
    cr_assert_str_eq(t.text, "abc");
    cr_assert_eq(t.expires_s, 300);
    cr_assert_eq(token_of("{\"access_token\":\"x.y-z\"}", &t), 0);
    cr_assert_str_eq(t.text, "x.y-z");
    cr_assert_eq(t.expires_s, 60);
    cr_assert_eq(token_of("{\"token\":\"\",\"access_token\":\"q\",\"expires_in\":-5}", &t), 0);
    cr_assert_str_eq(t.text, "q");
    cr_assert_eq(t.expires_s, 60);
}

Test(auth, hostile_token_answers_are_corrupt)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{}",
                                      "{\"token\":7}",
                                      "{\"token\":\"\"}",
                                      "{\"token\":\"a b\"}",
                                      "{\"token\":\"a\\r\\nX: y\"}",
                                      "{\"token\":\"\\u00e9\"}",
                                      "<html>"};
    struct dv_token t;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        cr_assert_eq(token_of(bad[i], &t), -DV_ERR_CORRUPT, "%s", bad[i]);
    char big[20000];
    memset(big, 'x', sizeof(big));
    memcpy(big, "{\"token\":\"", 10);
    memcpy(big + sizeof(big) - 3, "\"}", 3);
    cr_assert_eq(token_of(big, &t), -DV_ERR_CORRUPT);
}

Test(auth, basic_is_encoded)
{
    cr_assert_str_eq(dv_auth_basic(arena, "Aladdin", "open sesame"),
                     "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    cr_assert_str_eq(dv_auth_basic(arena, "a", NULL), "Basic YTo=");
}

static const struct {
    const char *host;
    bool is_https;
    const char *realm;
    bool may;
} sends[] = {
    {"registry-1.docker.io", true, "https://auth.docker.io/token", true},
    {"registry.example.com", true, "https://gitlab.example.com/jwt/auth", true},
    {"r.example.com", true, "https://r.example.com/token", true},
    {"r.example.com:5000", true, "https://r.example.com:5001/token", true},
    {"r.example.com", true, "http://r.example.com/token", false},
    {"r.example.com", true, "https://r.example.com.evil.net/token", false},
    {"r.example.com", true, "https://evilexample.com/token", false},
    {"r.example.com", true, "https://example.org/", false},
    {"localhost:5000", false, "http://localhost:5000/token", true},
    {"localhost:5000", false, "http://localhost:5001/token", false},
    {"localhost:5000", false, "https://evil.net/token", false},
    {"a.lan.net", false, "http://b.lan.net/token", false},
    {"192.168.1.2", true, "https://192.168.1.2/t", true},
    {"192.168.1.2", true, "https://10.9.1.2/t", false},
    {"[::1]:5000", true, "https://[::1]:5000/t", true},
    {"[::1]:5000", true, "https://[::2]:5000/t", false},
    {"registry", true, "https://registry/t", true},
    {"registry", true, "https://other/t", false},
};

Test(auth, passwords_go_only_where_they_belong)
{
    for (size_t i = 0; i < sizeof(sends) / sizeof(sends[0]); i++)
        cr_assert_eq(dv_auth_may_send(sends[i].host, sends[i].is_https, sends[i].realm),
                     sends[i].may, "%s -> %s", sends[i].host, sends[i].realm);
}
