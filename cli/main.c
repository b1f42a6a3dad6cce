/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_SOCKET "/run/davit/davit.sock"
#define VERSION        "0.1.0"

static int version(struct cli *cli, int argc, char **argv);
static int help(struct cli *cli, int argc, char **argv);

const struct cli_command cli_commands[] = {
    {"ps", cli_ps, "[-q]", "list containers"},
    {"run", cli_run, "[options] IMAGE [COMMAND ...]", "create a container and start it"},
    {"create", cli_create, "[options] IMAGE [COMMAND ...]", "create a container"},
    {"start", cli_start, "[-a] [-i] NAME ...", "start containers; -a, -i: connect to one"},
    {"stop", cli_stop, "[-t SECONDS] [-s SIGNAL] [-f] NAME ... | --all [-t SECONDS]",
     "stop containers"},
    {"pause", cli_pause, "NAME ...", "freeze containers"},
    {"resume", cli_resume, "NAME ...", "let frozen containers go on"},
    {"rm", cli_rm, "[-f] NAME ...", "remove containers; -f stops them first"},
    {"rename", cli_rename, "NAME NEW", "give a container another name"},
    {"update", cli_update,
     "[--restart POLICY[:COUNT]] [-m SIZE] [--memory-reservation SIZE] [--memory-swap SIZE] NAME",
     "change restart policy and limits of memory; -1 takes a limit away"},
    {"inspect", cli_inspect, "NAME", "the whole record of a container"},
    {"why", cli_why, "NAME", "why a container is as it is, and what comes next"},
    {"logs", cli_logs, "[-f] [-n LINES] [--last-run] [--json] NAME", "what a container wrote"},
    {"images", cli_images, "", "list stored images"},
    {"pull", cli_pull, "[--progress] IMAGE", "fetch an image, also one that is stored"},
    {"load", cli_load, "[-n NAME] FILE", "store images of an OCI layout or a docker save"},
    {"rmi", cli_rmi, "IMAGE ...", "remove images that no container uses"},
    {"prune", cli_prune, "[-a]", "remove what no image needs; -a: unused images, too"},
    {"attach", cli_attach, "[--no-stdin] [--detach-keys KEYS] NAME",
     "be the terminal of a container"},
    {"exec", cli_exec, "[-i] [-t] [-e NAME=VALUE] NAME COMMAND ...",
     "run a command in a container"},
    {"stats", cli_stats, "[NAME]", "what containers and the gateway use"},
    {"status", cli_status, "", "what the daemon does"},
    {"trace", cli_trace, "", "every message between the actors, as it happens"},
    {"version", version, "", "print the version"},
    {"help", help, "[COMMAND]", "print this"},
    {NULL, NULL, NULL, NULL},
};

static const char create_options[] =
    "options of run and create:\n"
    "  -n, --name NAME            default: the id\n"
    "  -e, --env NAME=VALUE       again for more; a bare NAME takes the image's away\n"
    "  -v, --volume SRC:DST[:MODE]  mount; MODE is rprivate, private, rshared, shared, rslave, "
    "slave\n"
    "  -p, --publish [IP:]PORT[-END]:PORT[/PROTO]  a port of the gateway leads to one of the "
    "container\n"
    "      --add-host NAME:ADDRESS\n"
    "  -i, --interactive          keep the standard input open; run: connect it to this one\n"
    "  -t, --tty                  give it a terminal; run: connect it to this one\n"
    "  -d, --detach               with -i or -t: connect nothing\n"
    "      --network bridge|host\n"
    "      --hostname NAME\n"
    "      --restart no|always|unless-stopped|on-failure[:COUNT]\n"
    "      --retry-timeout SECONDS  longest wait between restarts\n"
    "  -m, --memory SIZE          limit, like 64M\n"
    "      --memory-reservation SIZE, --memory-swap SIZE  memory and swap together; -1: no limit\n"
    "      --log-driver json-file|none, --log-max-files N, --log-max-size SIZE, --log-path DIR,\n"
    "      --log-mode blocking|non-blocking, --log-max-buffer-size SIZE\n";

static const struct cli_command *find(const char *name)
{
    if (strcmp(name, "unpause") == 0)
        name = "resume";
    if (strcmp(name, "remove") == 0)
        name = "rm";
    if (strcmp(name, "list") == 0 || strcmp(name, "ls") == 0)
        name = "ps";
    for (const struct cli_command *command = cli_commands; command->name; command++)
        if (strcmp(command->name, name) == 0)
            return command;
    return NULL;
}

int cli_usage(const char *name)
{
    const struct cli_command *command = find(name);
    if (command)
        fprintf(stderr, "usage: davit %s %s\n", command->name, command->usage);
    return CLI_USAGE;
}

int cli_fail(const struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(8 * DV_ERROR_TEXT_MAX);
    cli_text(&text, err->text);
    fprintf(stderr, "davit: %s\n", text.data ? text.data : "it failed");
    return err->class == DV_ERR_UNAVAILABLE && err->sys ? CLI_UNREACHABLE : CLI_FAILED;
}

static int version(struct cli *cli, int argc, char **argv)
{
    (void)cli;
    (void)argc;
    (void)argv;
    puts("davit " VERSION);
    return CLI_DONE;
}

static void print_help(FILE *out)
{
    fputs("davit: containers of this gateway\n\nusage: davit [--socket PATH | --run-dir DIR] "
          "[--json] "
          "COMMAND ...\n\n",
          out);
    for (const struct cli_command *command = cli_commands; command->name; command++)
        fprintf(out, "  %-8s %-45s %s\n", command->name, command->usage, command->summary);
    fprintf(
        out,
        "\nNAME is a name, an id or the beginning of an id. The socket is %s or $DAVIT_SOCKET.\n"
        "Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon cannot be reached.\n"
        "attach, exec, run -i and run -t end with the code of the program; exec with 126 if it did "
        "not start.\n"
        "ctrl-p ctrl-q leaves them; a program that has no terminal is left with ctrl-c.\n"
        "\n%s",
        DEFAULT_SOCKET, create_options);
}

static int help(struct cli *cli, int argc, char **argv)
{
    (void)cli;
    const struct cli_command *command = argc > 1 ? find(argv[1]) : NULL;
    if (argc > 1 && !command) {
        fprintf(stderr, "davit: there is no command '%s'\n", argv[1]);
        return CLI_USAGE;
    }
    if (command)
        printf("davit %s %s\n  %s\n", command->name, command->usage, command->summary);
    else
        print_help(stdout);
    if (command && (command->run == cli_run || command->run == cli_create))
        fputs(create_options, stdout);
    return CLI_DONE;
}

/* Options before the command; returns where the command is, 0: wrong usage. */
static int read_global(struct cli *cli, int argc, char **argv)
{
    static char path[PATH_MAX];
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--json") == 0) {
            cli->is_json = true;
        } else if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            argv[i] = (char *)"help";
            return i;
        } else if (strcmp(argv[i], "--version") == 0) {
            argv[i] = (char *)"version";
            return i;
        } else if (strcmp(argv[i], "--socket") == 0 && i + 1 < argc) {
            cli->socket_path = argv[++i];
        } else if (strcmp(argv[i], "--run-dir") == 0 && i + 1 < argc) {
            snprintf(path, sizeof(path), "%s/davit.sock", argv[++i]);
            cli->socket_path = path;
        } else {
            fprintf(stderr, "davit: '%s' is not understood; see davit help\n", argv[i]);
            return 0;
        }
    }
    return i;
}

int main(int argc, char **argv)
{
    const char *environment = getenv("DAVIT_SOCKET");
    struct cli cli = {
        .socket_path = environment && environment[0] ? environment : DEFAULT_SOCKET,
        .fd = -1,
        .in = DV_BUF_INIT(64U << 20),
    };
    int at = read_global(&cli, argc, argv);
    if (at == 0)
        return CLI_USAGE;
    if (at == argc) {
        print_help(stderr);
        return CLI_USAGE;
    }
    const struct cli_command *command = find(argv[at]);
    if (!command) {
        fprintf(stderr, "davit: there is no command '%s'; see davit help\n", argv[at]);
        return CLI_USAGE;
    }
    int code = command->run(&cli, argc - at, argv + at);
    cli_close(&cli);
    return code;
}
