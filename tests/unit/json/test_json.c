/* SPDX-License-Identifier: Apache-2.0 */
#include "json/json.h"
#include <criterion/criterion.h>
#include <string.h>

static int parse(const char *text, struct dv_json **ret, struct dv_error *err)
{
    return dv_json_parse(text, strlen(text), ret, err);
}

/* shows: D31 */
Test(json, refuses_what_rfc_8259_and_the_rules_forbid)
{
    static const char *const bad[] = {
        "",
        " ",
        "{",
        "[1,]",
        "{\"a\":1,}",
        "[1 2]",
        "{\"a\" 1}",
        "{a:1}",
        "01",
        "1.",
        ".5",
        "+1",
        "1e",
        "-",
        "tru",
        "nul",
        "\"a",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\udc00\"",
        "\"\\ud800\\u0041\"",
        "\"\n\"",
        "\"\xff\"",
        "{} {}",
        "1 x",
        "{\"a\":1,\"a\":2}",
        "{\"Name\":1,\"name\":2}",
        "1e999",
        "\xef\xbb\xbf{}",
        "[\"a\":1]",
        "{\"a\",1}",
        "]",
        "}",
        "'a'",
        "//x",
        "NaN",
        "Infinity",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dv_error err = DV_ERROR_INIT;
        struct dv_json *tree = NULL;
        cr_assert_eq(parse(bad[i], &tree, &err), -DV_ERR_INVALID, "accepted: %s", bad[i]);
        cr_assert(strstr(err.text, "JSON"), "%s", err.text);
    }
}

/* shows: D31 */
Test(json, says_line_and_column)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_json *tree = NULL;
    cr_assert_lt(parse("{\n \"a\": 1,\n}", &tree, &err), 0);
    cr_assert_str_eq(err.text, "JSON line 3, column 1: a key in double quotes is expected");
}

/* shows: D31 */
Test(json, nesting_has_a_limit)
{
    char text[2 * (DV_JSON_DEPTH_MAX + 1) + 1];
    for (size_t depth = DV_JSON_DEPTH_MAX; depth <= DV_JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        text[2 * depth] = '\0';
        DV_AUTO(dv_json) tree = NULL;
        cr_assert_eq(parse(text, &tree, NULL) == 0, depth <= DV_JSON_DEPTH_MAX);
    }
}

Test(json, keys_match_in_any_case_and_values_keep_their_type)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_json) tree = NULL;
    cr_assert_eq(parse("{\"imageRef\":\"a\",\"n\":5,\"f\":1.5,\"t\":true,\"z\":null,\"l\":[1,2]}",
                       &tree, &err),
                 0, "%s", err.text);
    cr_assert_str_eq(dv_json_text(dv_json_get(tree, "IMAGEREF")), "a");
    int64_t n;
    cr_assert(dv_json_to_i64(dv_json_get(tree, "n"), &n));
    cr_assert_eq(n, 5);
    cr_assert_not(dv_json_to_i64(dv_json_get(tree, "f"), &n));
    cr_assert_not(dv_json_to_i64(dv_json_get(tree, "imageRef"), &n));
    cr_assert(dv_json_bool(dv_json_get(tree, "t")));
    cr_assert(dv_json_is(dv_json_get(tree, "z"), DV_JSON_NULL));
    cr_assert_eq(dv_json_count(dv_json_get(tree, "l")), 2);
    cr_assert_null(dv_json_get(tree, "absent"));
    cr_assert_null(dv_json_text(dv_json_get(dv_json_get(tree, "absent"), "x")));
}

Test(json, keys_that_differ_in_case_are_two_where_that_is_asked_for)
{
    static const char text[] = "{\"a\":{\"Name\":1,\"name\":2,\"NAME\":3}}";
    DV_AUTO(dv_json) root = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_json_parse(text, strlen(text), &root, &err), -DV_ERR_INVALID);
    cr_assert_eq(dv_json_parse_cased(text, strlen(text), &root, NULL), 0);
    const struct dv_json *object = dv_json_get(root, "A");
    cr_expect_eq(dv_json_number(dv_json_get(object, "name")), 2);
    cr_expect_eq(dv_json_number(dv_json_get(object, "NAME")), 3);
    cr_expect_eq(dv_json_number(dv_json_get(object, "nAmE")), 1, "the first of those like it");
    struct dv_json *none = NULL;
    err = DV_ERROR_INIT;
    cr_expect_eq(dv_json_parse_cased("{\"a\":1,\"a\":1}", 13, &none, &err), -DV_ERR_INVALID);
    cr_expect_not_null(strstr(err.text, "'a' comes twice"), "%s", err.text);
}

Test(json, integer_bounds_are_those_of_64_bits)
{
    DV_AUTO(dv_json) tree = NULL;
    cr_assert_eq(parse("[-9223372036854775808,9223372036854775808,1e3]", &tree, NULL), 0);
    const struct dv_json *at = dv_json_first(tree);
    int64_t n;
    cr_assert(dv_json_to_i64(at, &n));
    cr_assert_eq(n, INT64_MIN);
    at = dv_json_next(at);
    cr_assert_not(dv_json_to_i64(at, &n));
    at = dv_json_next(at);
    cr_assert(dv_json_to_i64(at, &n));
    cr_assert_eq(n, 1000);
}

Test(json, writer_escapes_as_kanto_does)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1000);
    struct dv_json_writer w;
    dv_jw_init(&w, &out);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "a<b", "x&y>\"\\\n\x01\xE2\x80\xA8\xff\xC3\xA9");
    dv_jw_key(&w, "l");
    dv_jw_array(&w);
    dv_jw_i64(&w, -1);
    dv_jw_double(&w, 0.1);
    dv_jw_double(&w, 1073741824);
    dv_jw_bool(&w, false);
    dv_jw_null(&w);
    dv_jw_array_end(&w);
    dv_jw_object_end(&w);
    cr_assert_eq(dv_jw_done(&w, NULL), 0);
    cr_assert_str_eq(out.data,
                     "{\"a\\u003cb\":\"x\\u0026y\\u003e\\\"\\\\\\n\\u0001\\u2028\\ufffd\xC3\xA9\","
                     "\"l\":[-1,0.1,1073741824,false,null]}");
}

Test(json, writer_reports_the_first_failure)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4);
    struct dv_json_writer w;
    dv_jw_init(&w, &out);
    dv_jw_text(&w, "too long");
    dv_jw_text(&w, "more");
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_jw_done(&w, &err), -DV_ERR_LIMIT);
    cr_assert(err.text[0]);
}

Test(json, a_tree_written_and_read_is_the_same)
{
    const char *text = "{\"a\":[1,2.5,\"x\",{\"b\":null}],\"c\":{},\"d\":[]}";
    DV_AUTO(dv_json) tree = NULL;
    cr_assert_eq(parse(text, &tree, NULL), 0);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1000);
    struct dv_json_writer w;
    dv_jw_init(&w, &out);
    dv_jw_node(&w, tree);
    cr_assert_eq(dv_jw_done(&w, NULL), 0);
    cr_assert_str_eq(out.data, text);
}
