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
    static const char *const rows[] = {"nobody", "web:nobody", "broken", "4294967296", "-1"};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_user user;
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(dv_oci_user_resolve(rows[i], view(passwd), view(group), arena, &user, &err),
                     -DV_ERR_INVALID, "%s", rows[i]);
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
