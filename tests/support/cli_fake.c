/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/cli_fake.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

struct cli_fake cli_fake;

int cli_fake_run(int (*command)(struct cli *cli, int argc, char **argv), char **words)
{
    struct cli cli = {.fd = -1};
    int count = 0;
    while (words[count])
        count++;
    optind = 0;
    opterr = 0;
    cli_fake.asked = 0;
    cli_fake.usages = 0;
    cli_fake.args[0] = '\0';
    cli_fake.attached[0] = '\0';
    return command(&cli, count, words);
}

__attribute__((weak)) int cli_ask(struct cli *cli,
                                  const char *feature,
                                  const char *operation,
                                  const char *args,
                                  struct dv_arena *arena,
                                  const char **ret_value,
                                  struct dv_error *err)
{
    (void)cli;
    (void)arena;
    if (cli_fake.list && strcmp(operation, "list") == 0) {
        *ret_value = cli_fake.list;
        return 0;
    }
    cli_fake.asked++;
    snprintf(cli_fake.feature, sizeof(cli_fake.feature), "%s", feature);
    snprintf(cli_fake.operation, sizeof(cli_fake.operation), "%s", operation);
    snprintf(cli_fake.args, sizeof(cli_fake.args), "%s", args ? args : "");
    if (cli_fake.refusal)
        return dv_error_set(err, cli_fake.refusal, "refused by the test");
    *ret_value = cli_fake.value;
    return 0;
}

__attribute__((weak)) int cli_find(struct cli *cli,
                                   const char *name,
                                   struct dv_arena *arena,
                                   const struct dv_container_summary **ret,
                                   struct dv_error *err)
{
    (void)cli;
    (void)name;
    (void)arena;
    if (cli_fake.refusal)
        return dv_error_set(err, cli_fake.refusal, "refused by the test");
    *ret = &cli_fake.container;
    return 0;
}

int cli_usage(const char *name)
{
    (void)name;
    cli_fake.usages++;
    return CLI_USAGE;
}

int cli_fail(const struct dv_error *err)
{
    cli_fake.error = *err;
    return err->class == DV_ERR_UNAVAILABLE ? CLI_UNREACHABLE : CLI_FAILED;
}

/* The daemon goes away at once. */
__attribute__((weak)) int cli_next(struct cli *cli,
                                   const struct dv_schema *schema,
                                   struct dv_arena *arena,
                                   void **ret,
                                   struct dv_error *err)
{
    (void)cli;
    (void)schema;
    (void)arena;
    (void)ret;
    return dv_error_set(err, DV_ERR_UNAVAILABLE, "the daemon of the test went away");
}

__attribute__((weak)) void cli_add_pulls(struct cli *cli, struct dv_buf *out)
{
    (void)cli;
    (void)out;
}

__attribute__((weak)) int cli_start_attached(struct cli *cli, const char *id, bool uses_input)
{
    (void)cli;
    snprintf(cli_fake.attached, sizeof(cli_fake.attached), "%s%s", id,
             uses_input ? " with input" : "");
    return CLI_DONE;
}
