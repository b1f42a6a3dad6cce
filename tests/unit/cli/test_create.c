/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cli_fake.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS(...) ((char *[]){"create", __VA_ARGS__, NULL})

/* The arguments that these words become. */
static const char *args_of(char **words)
{
    cli_fake.value = NULL;
    cr_assert_eq(cli_fake_run(cli_create, words), CLI_DONE);
    cr_assert_eq(cli_fake.asked, 1);
    cr_assert_str_eq(cli_fake.feature, "ContainerFactory");
    cr_assert_str_eq(cli_fake.operation, "createWithConfig");
    return cli_fake.args;
}

Test(create, image_alone_leaves_everything_to_the_daemon)
{
    cr_expect_str_eq(args_of(WORDS("r.example/a:1")),
                     "{\"imageRef\":\"r.example/a:1\",\"start\":false,\"config\":{}}");
}

Test(create, run_starts_it)
{
    cr_assert_eq(cli_fake_run(cli_run, WORDS("-d", "a")), CLI_DONE);
    cr_expect_str_eq(cli_fake.args, "{\"imageRef\":\"a\",\"start\":true,\"config\":{}}");
}

Test(create, run_with_a_terminal_starts_it_when_it_is_connected)
{
    cli_fake.value = "\"id1\"";
    cr_assert_eq(cli_fake_run(cli_run, WORDS("-it", "a", "sh")), CLI_DONE);
    cr_expect_str_eq(cli_fake.args, "{\"imageRef\":\"a\",\"start\":false,\"config\":{\"cmd\":["
                                    "\"sh\"],\"openStdin\":true,\"tty\":true}}");
    cr_expect_str_eq(cli_fake.attached, "id1 with input");
    cr_assert_eq(cli_fake_run(cli_run, WORDS("-t", "a")), CLI_DONE);
    cr_expect_str_eq(cli_fake.attached, "id1");
    cr_assert_eq(cli_fake_run(cli_run, WORDS("-dit", "a")), CLI_DONE);
    cr_expect_str_eq(cli_fake.attached, "");
    cr_expect(strstr(cli_fake.args, "\"start\":true"));
    cr_assert_eq(cli_fake_run(cli_create, WORDS("-it", "a")), CLI_DONE);
    cr_expect_str_eq(cli_fake.attached, "");
}

Test(create, each_option_is_a_member)
{
    static const struct {
        const char *words[4];
        const char *config;
        const char *name;
    } table[] = {
        {{"-n", "web"}, "", "web"},
        {{"--name=web"}, "", "web"},
        {{"-e", "A=1", "--env", "B"}, "\"env\":[\"A=1\",\"B\"]", NULL},
        {{"--e=A=1"}, "\"env\":[\"A=1\"]", NULL},
        {{"--network", "host"}, "\"networkMode\":\"host\"", NULL},
        {{"-p", "80"}, "\"portMappings\":[{\"containerPort\":80}]", NULL},
        {{"-p", "8080:80", "--publish", "127.0.0.1:53-59:53/udp"},
         "\"portMappings\":[{\"containerPort\":80,\"hostPort\":8080},{\"proto\":\"udp\","
         "\"containerPort\":53,\"hostIP\":\"127.0.0.1\",\"hostPort\":53,\"hostPortEnd\":59}]",
         NULL},
        {{"-p", "web:80"}, "\"portMappings\":[{\"containerPort\":80,\"hostPort\":\"web\"}]", NULL},
        {{"--add-host", "gw:host_ip"}, "\"extraHosts\":[\"gw:host_ip\"]", NULL},
        {{"--hostname", "h1"}, "\"hostName\":\"h1\"", NULL},
        {{"-v", "/a:/b"}, "\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"/b\"}]", NULL},
        {{"--mp", "/a:/b:rslave"},
         "\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"/b\","
         "\"propagationMode\":\"rslave\"}]",
         NULL},
        {{"-v", "/a"}, "\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"\"}]", NULL},
        {{"--restart", "always"}, "\"restartPolicy\":{\"type\":\"always\"}", NULL},
        {{"--rp", "on-failure:5"},
         "\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":5}",
         NULL},
        {{"--rp=on-failure", "--rp-cnt=3", "--rp-to=60"},
         "\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":3,\"retryTimeout\":60}",
         NULL},
        {{"--restart=on-failure:many"},
         "\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":\"many\"}",
         NULL},
        {{"--restart=on-failure:123456789012345678"},
         "\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":123456789012345678}",
         NULL},
        {{"-m", "64M"}, "\"resources\":{\"memory\":\"64M\"}", NULL},
        {{"--memory=64M", "--memory-reservation=32M", "--memory-swap=-1"},
         "\"resources\":{\"memory\":\"64M\",\"memoryReservation\":\"32M\",\"memorySwap\":\"-1\"}",
         NULL},
        {{"--log-driver", "none"}, "\"log\":{\"type\":\"none\"}", NULL},
        {{"--log-max-files=3", "--log-max-size=2M", "--log-path=/l", "--log-mode=non-blocking"},
         "\"log\":{\"maxFiles\":3,\"maxSize\":\"2M\",\"rootDir\":\"/l\",\"mode\":\"non-blocking\"}",
         NULL},
        {{"--log-max-buffer-size=1M"}, "\"log\":{\"maxBufferSize\":\"1M\"}", NULL},
        {{"--log-max-files=x"}, "\"log\":{\"maxFiles\":\"x\"}", NULL},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char *words[8] = {"create"};
        char expected[512];
        size_t count = 1;
        for (size_t j = 0; j < 4 && table[i].words[j]; j++)
            words[count++] = (char *)table[i].words[j];
        words[count] = "a";
        snprintf(expected, sizeof(expected),
                 "{\"imageRef\":\"a\",\"start\":false,%s%s%s\"config\":{%s}}",
                 table[i].name ? "\"name\":\"" : "", table[i].name ? table[i].name : "",
                 table[i].name ? "\"," : "", table[i].config);
        cr_expect_str_eq(args_of(words), expected, "row %zu: %s", i, cli_fake.args);
    }
}

Test(create, what_stands_behind_the_image_is_the_containers)
{
    cr_expect_str_eq(args_of(WORDS("-n", "w", "a", "sh", "-e", "--name", "x\"y")),
                     "{\"imageRef\":\"a\",\"start\":false,\"name\":\"w\",\"config\":{\"cmd\":"
                     "[\"sh\",\"-e\",\"--name\",\"x\\\"y\"]}}");
}

Test(create, wrong_usage_asks_nothing)
{
    static char *const table[][4] = {
        {"create"},
        {"create", "-n"},
        {"create", "--nothing", "a"},
        {"create", "-n", "x"},
        {"create", "-x", "a"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char *words[5] = {table[i][0], table[i][1], table[i][2], table[i][3]};
        cr_expect_eq(cli_fake_run(cli_create, words), CLI_USAGE, "row %zu", i);
        cr_expect_eq(cli_fake.usages, 1);
        cr_expect_eq(cli_fake.asked, 0);
    }
}

Test(create, more_options_than_anybody_needs_are_refused)
{
    static char *words[2 * 300 + 3] = {"create"};
    size_t count = 1;
    for (int i = 0; i < 257; i++) {
        words[count++] = "-e";
        words[count++] = "A=1";
    }
    words[count] = "a";
    cr_expect_eq(cli_fake_run(cli_create, words), CLI_USAGE);
    words[count - 2] = "a";
    words[count - 1] = NULL;
    cr_expect_eq(cli_fake_run(cli_create, words), CLI_DONE);
}

Test(create, refusal_is_a_failure)
{
    cli_fake.refusal = DV_ERR_INVALID;
    cr_expect_eq(cli_fake_run(cli_create, WORDS("a")), CLI_FAILED);
}

Test(create, id_is_printed_for_scripts, .init = cr_redirect_stdout)
{
    cli_fake.value = "\"7b0c\\u001b\"";
    cr_assert_eq(cli_fake_run(cli_create, WORDS("a")), CLI_DONE);
    fflush(stdout);
    cr_assert_stdout_eq_str("7b0c\\x1b\n");
}
