/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cli_fake.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS(...) ((char *[]){__VA_ARGS__, NULL})
#define LIST                                                                                       \
    "{\"containers\":["                                                                            \
    "{\"id\":\"3f0c-1\",\"name\":\"web\",\"image\":\"a\"},"                                        \
    "{\"id\":\"3f0c-2\",\"name\":\"db\",\"image\":\"b\"},"                                         \
    "{\"id\":\"77aa-3\",\"name\":\"3f0c\",\"image\":\"c\"}]}"

static void setup(void)
{
    cli_fake.list = LIST;
    cr_redirect_stdout();
}

TestSuite(containers, .init = setup);

static void expect_asked(const char *feature, const char *operation, const char *args)
{
    cr_expect_str_eq(cli_fake.feature, feature);
    cr_expect_str_eq(cli_fake.operation, operation);
    cr_expect_str_eq(cli_fake.args, args);
}

Test(containers, are_found_by_name_id_or_beginning)
{
    static const struct {
        char *name;
        const char *feature; /* NULL: not found */
    } table[] = {
        {"web", "Container:3f0c-1"},
        {"3f0c-2", "Container:3f0c-2"},
        {"77", "Container:77aa-3"},
        {"3f0c", "Container:77aa-3"}, /* a name goes before beginnings of ids */
        {"3f0c-", NULL},
        {"we", NULL}, /* names are not abbreviated */
        {"", NULL},
        {"nobody", NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        int code = cli_fake_run(cli_start, WORDS("start", table[i].name));
        cr_expect_eq(code, table[i].feature ? CLI_DONE : CLI_FAILED, "row %zu", i);
        cr_expect_eq(cli_fake.asked, table[i].feature ? 1 : 0, "row %zu", i);
        if (table[i].feature)
            expect_asked(table[i].feature, "start", "");
        else
            cr_expect_not_null(strstr(cli_fake.error.text, table[i].name));
    }
}

Test(containers, start_connects_to_one_when_it_is_told_to)
{
    cr_expect_eq(cli_fake_run(cli_start, WORDS("start", "-ai", "web")), CLI_DONE);
    cr_expect_str_eq(cli_fake.attached, "3f0c-1 with input");
    cr_expect_eq(cli_fake_run(cli_start, WORDS("start", "--a", "db")), CLI_DONE);
    cr_expect_str_eq(cli_fake.attached, "3f0c-2");
    cr_expect_eq(cli_fake.asked, 0U);
    cr_expect_eq(cli_fake_run(cli_start, WORDS("start", "-a", "nobody")), CLI_FAILED);
}

Test(containers, each_command_is_an_operation_with_its_arguments)
{
    static const struct {
        int (*command)(struct cli *cli, int argc, char **argv);
        char *words[8];
        const char *operation;
        const char *args;
    } table[] = {
        {cli_start, {"start", "web"}, "start", ""},
        {cli_pause, {"pause", "web"}, "pause", ""},
        {cli_resume, {"resume", "web"}, "resume", ""},
        {cli_stop, {"stop", "web"}, "stop", ""},
        {cli_stop, {"stop", "-f", "web"}, "stopWithOptions", "{\"force\":true}"},
        {cli_stop,
         {"stop", "-t", "7", "-s", "SIGINT", "web"},
         "stopWithOptions",
         "{\"signal\":\"SIGINT\",\"timeout\":7,\"force\":false}"},
        {cli_stop,
         {"stop", "web", "--time=7"},
         "stopWithOptions",
         "{\"timeout\":7,\"force\":false}"},
        {cli_rm, {"rm", "web"}, "remove", "false"},
        {cli_rm, {"rm", "--force", "web"}, "remove", "true"},
        {cli_rename, {"rename", "web", "n\"1"}, "rename", "\"n\\\"1\""},
        {cli_update,
         {"update", "--restart", "always", "web"},
         "update",
         "{\"restartPolicy\":{\"type\":\"always\"}}"},
        {cli_update,
         {"update", "--rp", "on-failure:3", "web"},
         "update",
         "{\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":3}}"},
        {cli_update,
         {"update", "-m", "64M", "web"},
         "update",
         "{\"resources\":{\"memory\":\"64M\"}}"},
        {cli_update,
         {"update", "--rp=no", "--memory=-1", "--memory-swap=-1", "--memory-reservation=8M", "web"},
         "update",
         "{\"restartPolicy\":{\"type\":\"no\"},\"resources\":{\"memory\":\"\","
         "\"memoryReservation\":\"8M\",\"memorySwap\":\"\"}}"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char *words[9] = {0};
        memcpy(words, table[i].words, sizeof(table[i].words));
        cr_expect_eq(cli_fake_run(table[i].command, words), CLI_DONE, "row %zu", i);
        cr_expect_eq(cli_fake.asked, 1, "row %zu", i);
        expect_asked("Container:3f0c-1", table[i].operation, table[i].args);
    }
}

Test(containers, wrong_usage_asks_nothing)
{
    static const struct {
        int (*command)(struct cli *cli, int argc, char **argv);
        char *words[6];
    } table[] = {
        {cli_start, {"start"}},
        {cli_start, {"start", "-x"}},
        {cli_start, {"start", "-a", "web", "db"}},
        {cli_stop, {"stop"}},
        {cli_stop, {"stop", "-t", "x", "web"}},
        {cli_stop, {"stop", "-t", "-1", "web"}},
        {cli_stop, {"stop", "-t"}},
        {cli_stop, {"stop", "-f"}},
        {cli_stop, {"stop", "--nothing", "web"}},
        {cli_rm, {"rm"}},
        {cli_rm, {"rm", "-x", "web"}},
        {cli_rename, {"rename", "web"}},
        {cli_rename, {"rename", "web", "a", "b"}},
        {cli_update, {"update", "web"}},
        {cli_update, {"update", "--restart", "on-failure:x", "web"}},
        {cli_update, {"update", "-m", "64M"}},
        {cli_update, {"update", "-m", "64M", "web", "db"}},
        {cli_update, {"update", "--nothing", "always", "web"}},
        {cli_ps, {"ps", "web"}},
        {cli_ps, {"ps", "-x"}},
        {cli_inspect, {"inspect"}},
        {cli_inspect, {"inspect", "-x"}},
        {cli_why, {"why"}},
        {cli_why, {"why", "-x"}},
        {cli_status, {"status", "x"}},
        {cli_trace, {"trace", "x"}},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char *words[7] = {0};
        memcpy(words, table[i].words, sizeof(table[i].words));
        cr_expect_eq(cli_fake_run(table[i].command, words), CLI_USAGE, "row %zu", i);
        cr_expect_eq(cli_fake.usages, 1, "row %zu", i);
        cr_expect_eq(cli_fake.asked, 0, "row %zu", i);
    }
}

Test(containers, several_are_all_tried)
{
    cr_expect_eq(cli_fake_run(cli_start, WORDS("start", "nobody", "web", "db")), CLI_FAILED);
    cr_expect_eq(cli_fake.asked, 2);
    fflush(stdout);
    cr_assert_stdout_eq_str("web\ndb\n");
}

Test(containers, without_a_daemon_the_first_is_enough)
{
    cli_fake.refusal = DV_ERR_UNAVAILABLE;
    cr_expect_eq(cli_fake_run(cli_start, WORDS("start", "web", "db")), CLI_UNREACHABLE);
    cr_expect_eq(cli_fake.asked, 1);
}

Test(containers, json_is_the_daemons_with_escapes_for_controls)
{
    cli_fake.list = "{\"containers\":[{\"id\":\"1\",\"name\":\"a\xc2\x9b\",\"image\":\"\x7f\"}]}";
    cr_expect_eq(cli_fake_run(cli_ps, WORDS("ps", "--json")), CLI_DONE);
    cli_fake.list = "{}";
    cr_expect_eq(cli_fake_run(cli_ps, WORDS("ps", "--json")), CLI_DONE);
    cli_fake.value = "{\"version\":\"\xc2\x9b\"}";
    cr_expect_eq(cli_fake_run(cli_status, WORDS("status", "--json")), CLI_DONE);
    cli_fake.value = "{\n  \"id\": \"\x7f\"\n}\n";
    cr_expect_eq(cli_fake_run(cli_inspect, WORDS("inspect", "we\"b")), CLI_DONE);
    expect_asked("davit", "inspect", "{\"name\":\"we\\\"b\"}");
    fflush(stdout);
    cr_assert_stdout_eq_str("[{\"id\":\"1\",\"name\":\"a\\u009b\",\"image\":\"\\u007f\"}]\n[]\n"
                            "{\"version\":\"\\u009b\"}\n{\n  \"id\": \"\\u007f\"\n}\n");
}

Test(containers, table_names_them_in_order)
{
    cr_expect_eq(cli_fake_run(cli_ps, WORDS("ps", "-q")), CLI_DONE);
    fflush(stdout);
    cr_assert_stdout_eq_str("3f0c-1\n3f0c-2\n77aa-3\n");
}

Test(containers, answer_that_is_none_is_a_failure)
{
    static const char *const answers[] = {"", "[", "[]", "{\"containers\":7}",
                                          "{\"containers\":[{\"id\":\"\"}]}"};
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        cli_fake.list = answers[i];
        cr_expect_eq(cli_fake_run(cli_ps, WORDS("ps")), CLI_FAILED, "row %zu", i);
        cr_expect_eq(cli_fake_run(cli_start, WORDS("start", "web")), CLI_FAILED, "row %zu", i);
    }
    cli_fake.value = NULL;
    cr_expect_eq(cli_fake_run(cli_status, WORDS("status")), CLI_FAILED);
}

Test(containers, trace_ends_with_the_daemon)
{
    cr_expect_eq(cli_fake_run(cli_trace, WORDS("trace")), CLI_UNREACHABLE);
    expect_asked("davit", "trace", "{\"on\":true}");
}

Test(containers, why_asks_for_one_and_prints_words_or_json)
{
    cli_fake.value = "{\"id\":\"1\",\"name\":\"web\",\"status\":\"CREATED\",\"policy\":{}}";
    cr_expect_eq(cli_fake_run(cli_why, WORDS("why", "web")), CLI_DONE);
    expect_asked("davit", "why", "{\"name\":\"web\"}");
    cr_expect_eq(cli_fake_run(cli_why, WORDS("why", "--json", "web")), CLI_DONE);
    fflush(stdout);
    cr_assert_stdout_eq_str(
        "web was created at an unknown time and never started\n"
        "{\"id\":\"1\",\"name\":\"web\",\"status\":\"CREATED\",\"policy\":{}}\n");
}
