/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/key.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static char *key_of(const char *name)
{
    struct dv_buf out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_ditto_append_key(&out, dv_str_of(name), NULL), 0);
    return dv_buf_take(&out, NULL);
}

static void expect_key(const char *name, const char *want)
{
    char *got = key_of(name);
    cr_expect_str_eq(got, want);
    free(got);
}

Test(ditto_key, keeps_what_ditto_accepts)
{
    expect_key("Container:7b0c", "Container:7b0c");
    expect_key("a b~!", "a b~!");
}

/* shows: ditto-refuses */
Test(ditto_key, encodes_what_ditto_refuses)
{
    expect_key("a/b", "a%2Fb");
    expect_key("a%2Fb", "a%252Fb");
    expect_key("\x01\x7f", "%01%7F");
    expect_key("\xc3\xa4", "%C3%A4");
}

/* shows: ditto-refuses */
Test(ditto_key, shortens_long_names_to_different_keys)
{
    char name[400];
    memset(name, '/', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    char *first = key_of(name);
    name[sizeof(name) - 2] = 'x';
    char *second = key_of(name);
    cr_expect_leq(strlen(first), 256);
    cr_expect_leq(strlen(second), 256);
    cr_expect_str_neq(first, second);
    free(first);
    free(second);
}

Test(ditto_key, keeps_256_characters_whole)
{
    char name[258];
    memset(name, 'x', 256);
    name[256] = '\0';
    expect_key(name, name);
    name[256] = 'y';
    name[257] = '\0';
    char *cut = key_of(name);
    cr_expect_eq(strlen(cut), 256);
    cr_expect_eq(cut[235], '~');
    free(cut);
}

Test(ditto_key, is_never_empty)
{
    char *key = key_of("");
    cr_expect_gt(strlen(key), 0);
    free(key);
}

Test(ditto_key, paths_keep_their_slashes)
{
    struct dv_buf out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_ditto_append_key_path(&out, DV_STR("status/st\xc3\xa4te"), NULL), 0);
    cr_expect_str_eq(out.data, "status/st%C3%A4te");
    dv_buf_done(&out);
}

Test(ditto_key, respects_the_ceiling_of_the_buffer)
{
    struct dv_buf out = DV_BUF_INIT(4);
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_ditto_append_key(&out, DV_STR("longer"), &err), -DV_ERR_LIMIT);
    dv_buf_done(&out);
}
