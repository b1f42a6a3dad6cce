/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What runs in a container, connected to this terminal: keys to it, output from it, until it ends
 * or somebody detaches. Blocks. The connection is to davit-monitor (docs/local-socket.md), so
 * davitd may end meanwhile; when davit-monitor does, the streams of a container are asked for
 * again.
 */
#include "cli/cli.h"
#include "cli/keys.h"

struct cli_stream {
    const char *id;                   /* of the container */
    const struct dv_local_exec *exec; /* one more process; NULL: the container's own streams */
    bool waits;                       /* the container is still to be started */
    bool uses_input;                  /* this process's standard input, where it is taken */
    struct cli_keys keys;

    int fd; /* -1: none; all below is stream.c's own */
    bool is_attached;
    bool is_tty;
    bool takes_input;
    bool is_input_ended;
    bool is_again; /* it was attached before */
    bool is_raw;
    struct dv_buf pending; /* a frame that was not taken yet */
};

/* Asks for the streams; when this returns nothing of the output is missed. cli_stream_run() is
 * called after it, or cli_stream_close(). */
__attribute__((warn_unused_result)) int
cli_stream_open(struct cli *cli, struct cli_stream *stream, struct dv_error *err);
/* The exit code: of what ran, or 0 when somebody detached, or an enum cli_exit. */
int cli_stream_run(struct cli *cli, struct cli_stream *stream);
void cli_stream_close(struct cli_stream *stream);
