/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The davit command: what its files share. One thread; a call blocks until the daemon has answered.
 *
 * Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 the daemon cannot be reached.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stddef.h>

enum cli_exit {
    CLI_DONE = 0,
    CLI_FAILED = 1,
    CLI_USAGE = 2,
    CLI_UNREACHABLE = 3,
};

#define CLI_STREAM_ID   "stream"
#define CLI_NOT_STARTED 126 /* of exec: the program could not be run */

struct cli {
    const char *socket_path;
    bool is_json;
    int fd; /* connection, -1: none yet */
    struct dv_buf in;
    bool has_passed; /* a descriptor came with a line */
    int passed;
    unsigned last_id;
};

struct cli_command {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv); /* argv[0] is the name; an enum cli_exit */
    const char *usage;                                  /* arguments */
    const char *summary;
};

/* All commands, ending with a NULL name. */
extern const struct cli_command cli_commands[];
/* Prints how a command is used to standard error; CLI_USAGE. */
int cli_usage(const char *name);
/* Prints "davit: text"; the code that fits the error's class. */
int cli_fail(const struct dv_error *err);

/* connection.c: one request and its answer. *ret_value lives in `arena`, NULL without a value. A
 * refusal is an error of the daemon's class and text. */
int cli_ask(struct cli *cli,
            const char *feature,
            const char *operation,
            const char *args,
            struct dv_arena *arena,
            const char **ret_value,
            struct dv_error *err);
/* The same in two halves, and whether the answer (or the end of the connection) is there within
 * `timeout_ms`. */
int cli_send(struct cli *cli,
             const char *feature,
             const char *operation,
             const char *args,
             struct dv_error *err);
bool cli_has_answer(struct cli *cli, int timeout_ms);
int cli_receive(struct cli *cli,
                struct dv_arena *arena,
                const char **ret_value,
                struct dv_error *err);
/* The next line that comes unasked, of a message `schema`; blocks. */
int cli_next(struct cli *cli,
             const struct dv_schema *schema,
             struct dv_arena *arena,
             void **ret,
             struct dv_error *err);
/* Asks for streams: local_attach or local_exec, whose `id` is CLI_STREAM_ID. *ret_fd is the
 * caller's. */
int cli_ask_stream(struct cli *cli,
                   const struct dv_schema *schema,
                   const void *request,
                   int *ret_fd,
                   struct dv_error *err);
void cli_close(struct cli *cli);

/* containers.c */
int cli_list(struct cli *cli,
             struct dv_arena *arena,
             const struct dv_container_summaries **ret,
             struct dv_error *err);
/* By id, name or unambiguous beginning of an id. */
int cli_find(struct cli *cli,
             const char *name,
             struct dv_arena *arena,
             const struct dv_container_summary **ret,
             struct dv_error *err);

/* attach.c: starts a container that was created, with this terminal; the exit code. */
int cli_start_attached(struct cli *cli, const char *id, bool uses_input);

/* images.c */
/* `kept` is canonical, `given` as a person writes it. */
bool cli_same_image(const char *kept, const char *given);
/* What is being pulled, a line each; nothing when nothing is. */
void cli_add_pulls(struct cli *cli, struct dv_buf *out);
void cli_print_images(const struct dv_image_list *list, int64_t now_ns, struct dv_buf *out);

/* terminal.c: what people see; nothing in a text of the daemon drives their terminal. `out` is
 * left as it is where it is full. */
/* One line: line feeds are shown, too. */
void cli_text(struct dv_buf *out, const char *text);
/* How wide that is, in characters. */
int cli_width(const char *text);
/* As cli_text(), with a line feed at the end. */
void cli_line(struct dv_buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same JSON with such characters written as \u00XX. */
void cli_json(struct dv_buf *out, const char *json);
/* What a container wrote: line feeds, tabs and colours are kept, colours end with the text. */
void cli_log_text(struct dv_buf *out, const char *text);

/* show.c */
void cli_print_ps(const struct dv_container_summaries *list,
                  bool quiet,
                  int64_t now_ns,
                  struct dv_buf *out);
void cli_print_status(const struct dv_daemon_status *status, struct dv_buf *out);

/* why.c */
void cli_print_why(const struct dv_container_why *why, int64_t now_ns, struct dv_buf *out);

/* stats.c: what was used between two looks, in order of id; `id` NULL: all, and the gateway. */
void cli_print_stats(const struct dv_samples *before,
                     const struct dv_samples *now,
                     const char *id,
                     struct dv_buf *out);

int cli_ps(struct cli *cli, int argc, char **argv);
int cli_stats(struct cli *cli, int argc, char **argv);
int cli_status(struct cli *cli, int argc, char **argv);
int cli_create(struct cli *cli, int argc, char **argv);
int cli_run(struct cli *cli, int argc, char **argv);
int cli_start(struct cli *cli, int argc, char **argv);
int cli_stop(struct cli *cli, int argc, char **argv);
int cli_pause(struct cli *cli, int argc, char **argv);
int cli_resume(struct cli *cli, int argc, char **argv);
int cli_rm(struct cli *cli, int argc, char **argv);
int cli_rename(struct cli *cli, int argc, char **argv);
int cli_update(struct cli *cli, int argc, char **argv);
int cli_inspect(struct cli *cli, int argc, char **argv);
int cli_why(struct cli *cli, int argc, char **argv);
int cli_logs(struct cli *cli, int argc, char **argv);
int cli_images(struct cli *cli, int argc, char **argv);
int cli_pull(struct cli *cli, int argc, char **argv);
int cli_rmi(struct cli *cli, int argc, char **argv);
int cli_load(struct cli *cli, int argc, char **argv);
int cli_prune(struct cli *cli, int argc, char **argv);
int cli_trace(struct cli *cli, int argc, char **argv);
int cli_attach(struct cli *cli, int argc, char **argv);
int cli_exec(struct cli *cli, int argc, char **argv);
