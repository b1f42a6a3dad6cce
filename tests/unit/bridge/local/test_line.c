/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/local/line.h"

#include <criterion/criterion.h>
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

TestSuite(line, .init = setup, .fini = teardown);

static struct line good(const char *text)
{
    struct line line;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(line_read(dv_str_of(text), arena, &line, &err), 0, "%s: %s", text, err.text);
    return line;
}

Test(line, request_has_its_members)
{
    struct line line =
        good("{\"kind\":\"local_request\",\"id\":\"7\",\"feature\":\"ContainerFactory\","
             "\"operation\":\"create\",\"args\":\"{\\\"imageRef\\\":\\\"a\\\"}\"}\r");
    cr_assert_eq(line.type, LINE_REQUEST);
    cr_expect_str_eq(line.id, "7");
    cr_expect_str_eq(line.request->id, "7");
    cr_expect_str_eq(line.request->feature, "ContainerFactory");
    cr_expect_str_eq(line.request->operation, "create");
    cr_expect_str_eq(line.request->args, "{\"imageRef\":\"a\"}");
}

Test(line, watch_says_what_is_wanted)
{
    struct line line = good("{\"kind\":\"local_watch\",\"twin\":true}");
    cr_assert_eq(line.type, LINE_WATCH);
    cr_expect(line.watch->twin);
    cr_expect_str_eq(line.id, "");
    line = good("{\"kind\":\"local_watch\"}");
    cr_assert_eq(line.type, LINE_WATCH);
    cr_expect_not(line.watch->twin);
}

Test(line, streams_name_a_container_and_what_to_run)
{
    struct line line =
        good("{\"kind\":\"local_attach\",\"id\":\"1\",\"container\":\"c\",\"waits\":true}");
    cr_assert_eq(line.type, LINE_ATTACH);
    cr_expect_str_eq(line.attach->container, "c");
    cr_expect(line.attach->waits);
    line = good("{\"kind\":\"local_exec\",\"id\":\"2\",\"container\":\"c\",\"args\":[\"ls\"],"
                "\"tty\":true}");
    cr_assert_eq(line.type, LINE_EXEC);
    cr_expect_str_eq(line.id, "2");
    cr_expect_str_eq(line.exec->args.items[0], "ls");
    cr_expect(line.exec->tty);
    cr_expect_not(line.exec->open_stdin);
}

Test(line, white_space_is_no_message)
{
    cr_expect_eq(good("").type, LINE_BLANK);
    cr_expect_eq(good(" \t\r").type, LINE_BLANK);
}

Test(line, what_is_wrong_is_named_and_the_id_is_kept)
{
    static const struct {
        const char *text;
        const char *id;
        const char *said;
    } table[] = {
        {"x", "", "line 1"},
        {"{\"kind\":\"local_request\"", "", "line 1"},
        {"{} {}", "", "line 1"},
        {"\xc3(", "", "line 1"},
        {"[]", "", "local_request, local_watch"},
        {"null", "", "local_request, local_watch"},
        {"{\"id\":\"5\"}", "5", "local_request, local_watch"},
        {"{\"id\":\"5\",\"kind\":\"local_reply\"}", "5", "'local_reply'"},
        {"{\"id\":\"5\",\"kind\":7}", "5", "local_request, local_watch"},
        {"{\"id\":\"5\",\"kind\":\"local_request\"}", "5", "feature"},
        {"{\"id\":\"5\",\"kind\":\"local_request\",\"feature\":\"f\"}", "5", "operation"},
        {"{\"id\":\"5\",\"kind\":\"local_request\",\"feature\":\"f\",\"operation\":1}", "5",
         "operation"},
        {"{\"id\":\"5\",\"kind\":\"local_request\",\"feature\":\"\",\"operation\":\"o\"}", "5",
         "feature"},
        {"{\"id\":\"5\",\"kind\":\"local_request\",\"feature\":\"f\",\"operation\":\"o\","
         "\"arg\":\"1\"}",
         "5", "args"},
        {"{\"id\":5,\"kind\":\"local_request\",\"feature\":\"f\",\"operation\":\"o\"}", "", "id"},
        {"{\"id\":\"5\",\"id\":\"6\",\"kind\":\"local_watch\"}", "", "id"},
        {"{\"kind\":\"local_watch\",\"twin\":\"yes\"}", "", "twin"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct line line;
        struct dv_error err = DV_ERROR_INIT;
        int r = line_read(dv_str_of(table[i].text), arena, &line, &err);
        cr_expect_eq(r, -DV_ERR_INVALID, "%s gives %d", table[i].text, r);
        cr_expect_str_eq(line.id, table[i].id, "%s", table[i].text);
        cr_expect_not_null(strstr(err.text, table[i].said), "%s: %s", table[i].text, err.text);
    }
}

Test(line, id_that_is_too_long_is_refused_and_not_repeated)
{
    struct line line;
    struct dv_error err = DV_ERROR_INIT;
    static const char text[] = "{\"kind\":\"local_request\",\"feature\":\"f\",\"operation\":\"o\","
                               "\"id\":\"0123456789012345678901234567890123456789012345678901234567"
                               "8901234\"}";
    cr_assert_lt(line_read(dv_str_of(text), arena, &line, &err), 0);
    cr_expect_str_eq(line.id, "");
}

Test(line, bytes_behind_a_nul_are_not_overlooked)
{
    struct line line;
    struct dv_error err = DV_ERROR_INIT;
    static const char text[] = "{\"kind\":\"local_watch\"}\0{\"kind\":\"local_watch\"}";
    cr_expect_eq(line_read(DV_STR(text), arena, &line, &err), -DV_ERR_INVALID);
    dv_error_clear(&err);
    cr_expect_eq(line_read((struct dv_str){"\0", 1}, arena, &line, &err), -DV_ERR_INVALID);
}

Test(line, no_memory_is_an_answer_like_any_other)
{
    struct line line;
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_arena) small = dv_arena_new(1);
    cr_expect_lt(
        line_read(DV_STR("{\"kind\":\"local_watch\",\"id\":\"12345678\"}"), small, &line, &err), 0);
    cr_expect_str_eq(line.id, "");
}

Test(line, trace_is_wanted_only_by_a_clear_yes)
{
    static const struct {
        char *args;
        bool is_on;
    } table[] = {
        {NULL, false},         {"{\"on\":true}", true}, {"{\"on\":false}", false},
        {"{\"on\":1}", false}, {"true", false},         {"{", false},
        {"", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_local_request request = {.args = table[i].args};
        cr_expect_eq(line_traces(&request), table[i].is_on, "row %zu", i);
    }
}
