/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/auth_file.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define REF "r.example:5000/team/app:1"

static struct dv_arena *arena;

static void setup(void)
{
    arena = dv_arena_new(1U << 20);
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(auth_file, .init = setup, .fini = teardown);

static struct dv_registry_login find(const char *json, const char *reference)
{
    struct dv_registry_login login = {0};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_auth_file_parse(json, strlen(json), reference, arena, &login, &err), 0, "%s",
                 err.text);
    return login;
}

/* "user:pass" is dXNlcjpwYXNz, "other:word" is b3RoZXI6d29yZA==. */
Test(auth_file, finds_the_entry_that_fits)
{
    static const struct {
        const char *json;
        const char *reference;
        const char *user; /* NULL: none */
    } rows[] = {
        {"{\"auths\":{\"r.example:5000\":{\"auth\":\"dXNlcjpwYXNz\"}}}", REF, "user"},
        {"{\"auths\":{\"https://r.example:5000/v2/\":{\"auth\":\"dXNlcjpwYXNz\"}}}", REF, "user"},
        {"{\"auths\":{\"R.EXAMPLE:5000\":{\"auth\":\"dXNlcjpwYXNz\"}}}", REF, "user"},
        {"{\"auths\":{\"r.example\":{\"auth\":\"dXNlcjpwYXNz\"}}}", REF, NULL},
        {"{\"auths\":{\"r.example:5000/team\":{\"auth\":\"b3RoZXI6d29yZA==\"},"
         "\"r.example:5000\":{\"auth\":\"dXNlcjpwYXNz\"}}}",
         REF, "other"},
        {"{\"auths\":{\"r.example:5000/tea\":{\"auth\":\"b3RoZXI6d29yZA==\"},"
         "\"r.example:5000\":{\"auth\":\"dXNlcjpwYXNz\"}}}",
         REF, "user"},
        {"{\"auths\":{\"r.example:5000/team/app\":{\"auth\":\"dXNlcjpwYXNz\"}}}", REF, "user"},
        {"{\"auths\":{\"r.example:5000/team/app/x\":{\"auth\":\"dXNlcjpwYXNz\"}}}", REF, NULL},
        {"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"dXNlcjpwYXNz\"}}}",
         "docker.io/library/busybox:1", "user"},
        {"{\"auths\":{\"r.example:5000\":{\"username\":\"user\",\"password\":\"pass\"}}}", REF,
         "user"},
        {"{\"auths\":{}}", REF, NULL},
        {"{}", REF, NULL},
        {"{\"credsStore\":\"x\",\"auths\":{\"r.example:5000\":{\"auth\":\"dXNlcjpwYXNz\"}}}", REF,
         "user"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_registry_login login = find(rows[i].json, rows[i].reference);
        cr_assert_null(login.note, "row %zu: %s", i, login.note);
        if (!rows[i].user) {
            cr_assert_null(login.user, "row %zu", i);
            continue;
        }
        cr_assert_not_null(login.user, "row %zu", i);
        cr_assert_str_eq(login.user, rows[i].user, "row %zu", i);
        cr_assert_eq(login.password.len, 4, "row %zu", i);
        cr_assert_str_eq((const char *)login.password.data,
                         strcmp(login.user, "user") == 0 ? "pass" : "word");
    }
}

Test(auth_file, says_what_it_cannot_use)
{
    static const struct {
        const char *json;
        const char *word;
    } rows[] = {
        {"{\"auths\":{\"r.example:5000\":{}}}", "empty"},
        {"{\"auths\":{\"r.example:5000\":{\"auth\":\"!!\"}}}", "base64"},
        {"{\"auths\":{\"r.example:5000\":{\"auth\":\"dXNlcg==\"}}}", "base64"}, /* no colon */
        {"{\"credHelpers\":{\"r.example:5000\":\"ecr\"}}", "helper"},
        {"{\"credsStore\":\"secretservice\",\"auths\":{\"r.example:5000\":{}}}", "helper"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_registry_login login = find(rows[i].json, REF);
        cr_assert_null(login.user, "row %zu", i);
        cr_assert_not_null(login.note, "row %zu", i);
        cr_assert_not_null(strstr(login.note, rows[i].word), "row %zu: %s", i, login.note);
    }
}

Test(auth_file, an_identity_token_stands_for_the_password)
{
    struct dv_registry_login login =
        find("{\"auths\":{\"r.example:5000\":{\"auth\":\"dXNlcjpwYXNz\",\"identitytoken\":\"t\"}}}",
             REF);
    cr_assert_not_null(login.user);
    cr_assert_eq(login.password.len, 0);
    cr_assert_str_eq((const char *)login.identity.data, "t");
}

Test(auth_file, refuses_what_is_no_such_file)
{
    static const char *const texts[] = {"", "[]", "{", "{\"auths\":1}x"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dv_registry_login login;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_auth_file_parse(texts[i], strlen(texts[i]), REF, arena, &login, &err),
                     -DV_ERR_CORRUPT, "'%s'", texts[i]);
    }
}

Test(auth_file, an_absent_file_says_nothing_and_a_broken_one_is_told)
{
    struct dv_registry_login login;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_auth_file_find("/nonexistent/auth.json", REF, arena, &login, &err), 0);
    cr_assert_null(login.user);
    cr_assert_null(login.note);
    cr_assert_eq(dv_auth_file_find("/proc/self/status", REF, arena, &login, &err), 0);
    cr_assert_null(login.user);
    cr_assert_not_null(login.note);
}
