/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/name.h"

#include <criterion/criterion.h>
#include <string.h>

static int clean(const char *name, char out[DV_UNPACK_NAME_SIZE])
{
    return dv_unpack_name_clean(name, DV_UNPACK_NAME_MAX, false, "entry", out, NULL);
}

Test(unpack_name, clean_drops_dots_and_slashes)
{
    static const struct {
        const char *name;
        const char *expected;
    } rows[] = {
        {"a", "a"},
        {"./a/b/", "a/b"},
        {"a//b/./c", "a/b/c"},
        {"./", ""},
        {"/", ""},
        {"//./", ""},
        {".", ""},
        {"...", "..."},
        {"a/..b/c..", "a/..b/c.."},
        {"a\nb\xff", "a\nb\xff"},
    };
    char out[DV_UNPACK_NAME_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_expect_eq(clean(rows[i].name, out), 0, "%s", rows[i].name);
        cr_expect_str_eq(out, rows[i].expected);
    }
}

Test(unpack_name, clean_refuses_escapes)
{
    static const char *const rows[] = {"",     "/a",   "//a",    "/./a", "..",
                                       "../a", "a/..", "a/../b", "./..", "/.."};
    char out[DV_UNPACK_NAME_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(clean(rows[i], out), -DV_ERR_INVALID, "'%s'", rows[i]);
}

Test(unpack_name, absolute_names_are_below_the_root_where_they_are_taken)
{
    char out[DV_UNPACK_NAME_SIZE];
    cr_assert_eq(dv_unpack_name_clean("//a/./b", DV_UNPACK_NAME_MAX, true, "entry", out, NULL), 0);
    cr_expect_str_eq(out, "a/b");
    cr_expect_eq(dv_unpack_name_clean("/a/../../b", DV_UNPACK_NAME_MAX, true, "entry", out, NULL),
                 -DV_ERR_INVALID);
    cr_expect_eq(dv_unpack_name_clean("/..", DV_UNPACK_NAME_MAX, true, "entry", out, NULL),
                 -DV_ERR_INVALID);
}

Test(unpack_name, clean_refuses_long_and_deep_names)
{
    char name[DV_UNPACK_NAME_SIZE + 1];
    char out[DV_UNPACK_NAME_SIZE];
    memset(name, 'a', sizeof(name));
    name[DV_UNPACK_NAME_MAX] = '\0';
    cr_expect_eq(clean(name, out), 0);
    cr_expect_eq(dv_unpack_name_clean(name, 100, false, "entry", out, NULL), -DV_ERR_LIMIT);
    name[DV_UNPACK_NAME_MAX] = 'a';
    name[DV_UNPACK_NAME_MAX + 1] = '\0';
    cr_expect_eq(clean(name, out), -DV_ERR_LIMIT);
    for (size_t i = 0; i <= DV_UNPACK_DEPTH_MAX; i++)
        memcpy(name + 2 * i, "d/", 3);
    cr_expect_eq(clean(name, out), -DV_ERR_LIMIT);
    name[2 * DV_UNPACK_DEPTH_MAX] = '\0';
    cr_expect_eq(clean(name, out), 0);
}

Test(unpack_name, base_splits_at_the_last_slash)
{
    size_t len = 7;
    cr_expect_str_eq(dv_unpack_name_base("a/b/c", &len), "c");
    cr_expect_eq(len, 3);
    cr_expect_str_eq(dv_unpack_name_base("c", &len), "c");
    cr_expect_eq(len, 0);
    cr_expect_str_eq(dv_unpack_name_base("", &len), "");
}

Test(unpack_name, whiteouts_are_told_apart)
{
    static const struct {
        const char *base;
        enum dv_unpack_whiteout expected;
        const char *hidden;
    } rows[] = {
        {"a", DV_UNPACK_PLAIN, NULL},           {".wha", DV_UNPACK_PLAIN, NULL},
        {".wh.a", DV_UNPACK_WHITEOUT, "a"},     {".wh..a", DV_UNPACK_WHITEOUT, ".a"},
        {".wh....", DV_UNPACK_WHITEOUT, "..."}, {".wh..wh..opq", DV_UNPACK_OPAQUE, NULL},
        {".wh..wh.plnk", DV_UNPACK_AUFS, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum dv_unpack_whiteout got = DV_UNPACK_AUFS;
        const char *hidden = NULL;
        cr_expect_eq(dv_unpack_name_whiteout(rows[i].base, &got, &hidden, NULL), 0);
        cr_expect_eq(got, rows[i].expected, "%s", rows[i].base);
        if (rows[i].hidden)
            cr_expect_str_eq(hidden, rows[i].hidden);
    }
    enum dv_unpack_whiteout got;
    const char *hidden = NULL;
    cr_expect_eq(dv_unpack_name_whiteout(".wh.", &got, &hidden, NULL), -DV_ERR_INVALID);
    cr_expect_eq(dv_unpack_name_whiteout(".wh..", &got, &hidden, NULL), -DV_ERR_INVALID);
    cr_expect_eq(dv_unpack_name_whiteout(".wh...", &got, &hidden, NULL), -DV_ERR_INVALID);
}
