/* SPDX-License-Identifier: Apache-2.0 */
/* attach and exec. */
#include "cli/stream.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ARENA_MAX (64U << 20)
#define ENV_MAX   256
#define TERM_MAX  256

enum {
    OPTION_NO_STDIN = 256,
    OPTION_KEYS,
};

static int run(struct cli *cli, struct cli_stream *stream)
{
    struct dv_error err = DV_ERROR_INIT;
    return cli_stream_open(cli, stream, &err) < 0 ? cli_fail(&err) : cli_stream_run(cli, stream);
}

int cli_start_attached(struct cli *cli, const char *id, bool uses_input)
{
    struct cli_stream stream = {.id = id, .fd = -1, .waits = true, .uses_input = uses_input};
    struct dv_error err = DV_ERROR_INIT;
    const char *value;
    char feature[160];
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    if (!arena || cli_keys_parse(CLI_KEYS_DEFAULT, &stream.keys, &err) < 0)
        return cli_fail(&err);
    snprintf(feature, sizeof(feature), "Container:%s", id);
    int r = cli_stream_open(cli, &stream, &err);
    if (r == 0)
        r = cli_ask(cli, feature, "start", NULL, arena, &value, &err);
    if (r == 0)
        return cli_stream_run(cli, &stream);
    cli_stream_close(&stream);
    return cli_fail(&err);
}

int cli_attach(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"no-stdin", no_argument, NULL, OPTION_NO_STDIN},
                                            {"detach-keys", required_argument, NULL, OPTION_KEYS},
                                            {NULL, 0, NULL, 0}};
    struct cli_stream stream = {.fd = -1, .uses_input = true};
    const char *keys = CLI_KEYS_DEFAULT;
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_summary *container;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == OPTION_NO_STDIN)
            stream.uses_input = false;
        else if (option == OPTION_KEYS)
            keys = optarg;
        else
            return cli_usage(argv[0]);
    }
    if (optind + 1 != argc)
        return cli_usage(argv[0]);
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    if (!arena || cli_keys_parse(keys, &stream.keys, &err) < 0 ||
        cli_find(cli, argv[optind], arena, &container, &err) < 0)
        return cli_fail(&err);
    stream.id = container->id;
    return run(cli, &stream);
}

/* What is in the terminal's name tells programs how to draw on it. */
static void add_term(struct dv_local_exec *what, char term[TERM_MAX])
{
    const char *value = getenv("TERM");
    if (!what->tty || !value || !value[0])
        return;
    snprintf(term, TERM_MAX, "TERM=%s", value);
    what->env.items[what->env.count++] = term;
}

int cli_exec(struct cli *cli, int argc, char **argv)
{
    static const struct option options[] = {{"interactive", no_argument, NULL, 'i'},
                                            {"tty", no_argument, NULL, 't'},
                                            {"env", required_argument, NULL, 'e'},
                                            {"detach-keys", required_argument, NULL, OPTION_KEYS},
                                            {NULL, 0, NULL, 0}};
    char *env[ENV_MAX];
    char term[TERM_MAX];
    struct dv_local_exec what = {.id = (char *)CLI_STREAM_ID, .env = {env, 0}};
    struct cli_stream stream = {.fd = -1, .exec = &what};
    const char *keys = CLI_KEYS_DEFAULT;
    struct dv_error err = DV_ERROR_INIT;
    const struct dv_container_summary *container;
    int option;
    /* '+': what stands behind the name is the program's. */
    while ((option = getopt_long(argc, argv, "+ite:", options, NULL)) != -1) {
        if (option == 'i')
            what.open_stdin = true;
        else if (option == 't')
            what.tty = true;
        else if (option == 'e' && what.env.count + 1 < ENV_MAX)
            env[what.env.count++] = optarg;
        else if (option == OPTION_KEYS)
            keys = optarg;
        else
            return cli_usage(argv[0]);
    }
    if (optind + 2 > argc)
        return cli_usage(argv[0]);
    add_term(&what, term);
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    if (!arena || cli_keys_parse(keys, &stream.keys, &err) < 0 ||
        cli_find(cli, argv[optind], arena, &container, &err) < 0)
        return cli_fail(&err);
    what.container = container->id;
    what.args = (struct dv_texts){argv + optind + 1, (size_t)(argc - optind - 1)};
    stream.id = container->id;
    stream.uses_input = what.open_stdin;
    return run(cli, &stream);
}
