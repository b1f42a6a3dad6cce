/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/user.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char passwd[] = "root:x:0:0:root:/root:/bin/sh\n"
                             "# no user\n"
                             "broken:x:many:1\n"
                             "\n"
                             "web:x:101:102:Web:/srv:/bin/false\n"
                             "5000:x:7:8::/:\n"
                             "last:x:200:201::/:";
static const char group[] = "root:x:0:\n"
                            "www:x:33:other,web\n"
                            "nobody\n"
                            "log:x:44:web\n"
                            "prefix:x:45:webmaster\n"
                            "bad:x:-1:web\n";

static struct dv_str view(const char *text)
{
    return dv_str_of(text);
}

Test(oci_user, texts_become_numbers)
{
    static const struct {
        const char *text;
        const char *wanted;
    } rows[] = {
        {NULL, "0:0"},
        {"", "0:0"},
        {"root", "0:0"},
        {"web", "101:102 33 44"},
        {"last", "200:201"},
        {"101", "101:102 33 44"},
        {"web:", "101:102 33 44"},
        {"web:log", "101:44"},
        {"web:9", "101:9"},
        {"3000", "3000:0"},
        {"3000:log", "3000:44"},
        {"3000:3001", "3000:3001"},
        {":log", "0:44"},
        {"5000", "5000:0"}, /* a number is no name */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_user user;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(
            dv_oci_user_resolve(rows[i].text, view(passwd), view(group), arena, &user, &err), 0,
            "%s: %s", rows[i].text, err.text);
        char got[128];
        int used = snprintf(got, sizeof(got), "%u:%u", user.uid, user.gid);
        for (size_t j = 0; j < user.group_count; j++)
            used += snprintf(got + used, sizeof(got) - (size_t)used, " %u", user.groups[j]);
        cr_expect_str_eq(got, rows[i].wanted, "%s gives %s", rows[i].text, got);
    }
}

Test(oci_user, unknown_names_are_errors_that_say_so)
{
    static const char *const rows[] = {
        "nobody",
        "web:nobody",
        "broken",
        "web:www:log",
        "a:b:c:d",
        "we",
        "web ",
        "-1",
        "+1",
        "0x0",
        "2147483648", /* the runtimes take signed numbers of 32 bits */
        "4294967295",
        "4294967296",
        "99999999999999999999",
        "0:4294967295",
        "../../etc/passwd",
        "root\nroot",
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_user user;
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(dv_oci_user_resolve(rows[i], view(passwd), view(group), arena, &user, &err),
                     -DV_ERR_INVALID, "%s", rows[i]);
        cr_expect_lt(strlen(err.text), 200U);
        cr_expect_not_null(strstr(err.text, "/etc/"), "%s", err.text);
    }
}

Test(oci_user, numbers_need_no_files)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    struct dv_oci_user user;
    const struct dv_str none = {NULL, 0};
    cr_assert_eq(dv_oci_user_resolve("12:13", none, none, arena, &user, NULL), 0);
    cr_assert_eq(user.uid, 12);
    cr_assert_eq(user.gid, 13);
    cr_assert_eq(dv_oci_user_resolve(NULL, none, none, arena, &user, NULL), 0);
    cr_assert_eq(user.uid, 0);
}

Test(oci_user, more_groups_than_the_kernel_takes_are_refused)
{
    const size_t lines = 70000;
    dv_autofree char *many = malloc(lines * 24);
    size_t used = 0;
    for (size_t i = 0; i < lines; i++)
        used += (size_t)snprintf(many + used, 24, "g:x:%zu:web\n", i);
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    struct dv_oci_user user;
    cr_assert_eq(
        dv_oci_user_resolve("web", view(passwd), (struct dv_str){many, used}, arena, &user, NULL),
        -DV_ERR_LIMIT);
}

Test(oci_user, long_name_does_not_flood_the_error)
{
    char name[10001];
    memset(name, 'u', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    struct dv_oci_user user;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_user_resolve(name, view(passwd), view(group), arena, &user, &err),
                 -DV_ERR_INVALID);
    cr_expect_lt(strlen(err.text), 200U);
}

Test(oci_user, bytes_that_are_no_lines_are_passed_over)
{
    static const char noise[] = "\0\0:::\n::::::::::::::::::\n\xff\xfe:x:1:1\nweb:x:8:9:\0:/:\n:\n";
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    struct dv_str file = {noise, sizeof(noise) - 1};
    struct dv_oci_user user;
    cr_assert_eq(dv_oci_user_resolve("web", file, file, arena, &user, NULL), 0);
    cr_expect_eq(user.uid, 8U);
    cr_expect_eq(user.gid, 9U);
}
