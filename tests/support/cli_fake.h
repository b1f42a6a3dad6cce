/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The daemon of a test of one command's file: what davit would ask is kept, the answer is given.
 * Stands for cli/connection.c, cli/containers.c and cli/main.c; of those that are linked, too, the
 * real ones are taken.
 */
#include "cli/cli.h"

extern struct cli_fake {
    const char *value;                     /* answer, NULL: none */
    enum dv_error_class refusal;           /* instead of it */
    struct dv_container_summary container; /* the one that every name finds */
    const char *list;                      /* answer to the operation `list`, which is not kept */
    unsigned asked;
    char feature[256]; /* of the last question */
    char operation[128];
    char args[65536];
    char attached[160];    /* the container that was started with a terminal, and how */
    unsigned usages;       /* how often the usage was shown */
    struct dv_error error; /* the last failure */
} cli_fake;

/* Runs a command; words end with NULL. The exit code. */
int cli_fake_run(int (*command)(struct cli *cli, int argc, char **argv), char **words);
