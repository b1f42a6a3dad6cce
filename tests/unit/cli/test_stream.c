/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of which the other side was played before: what davit prints and how it ends. */
#include "base/cleanup.h"
#include "cli/stream.h"
#include "monitor/protocol.h"
#include "tests/support/cli_fake.h"

#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS 4

/* What the daemon gives, one after the other; a side of the test's own for each. */
static int prepared[CONNECTIONS];
static int other_side[CONNECTIONS];
static size_t prepared_count;
static size_t given_count;
static struct dv_error err;

int cli_ask_stream(struct cli *cli,
                   const struct dv_schema *schema,
                   const void *request,
                   int *ret_fd,
                   struct dv_error *ret_err)
{
    (void)cli;
    (void)schema;
    (void)request;
    if (given_count == prepared_count)
        return dv_error_set(ret_err, DV_ERR_STATE, "no more streams");
    *ret_fd = prepared[given_count++];
    return 0;
}

void cli_close(struct cli *cli)
{
    (void)cli;
}

static int connection(void)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    other_side[prepared_count] = fds[1];
    prepared[prepared_count++] = fds[0];
    return fds[1];
}

static void say(int fd, const struct dv_schema *schema, const void *body)
{
    cr_assert_eq(dv_monitor_send(fd, schema, body, &err), 0, "%s", err.text);
}

static void say_attached(int fd)
{
    const struct dv_monitor_attached attached = {.is_tty = false};
    say(fd, &dv_schema_monitor_attached, &attached);
}

static void say_output(int fd, const char *text, bool is_error)
{
    const struct dv_monitor_output output = {.data = {(uint8_t *)text, strlen(text)},
                                             .is_error = is_error};
    say(fd, &dv_schema_monitor_output, &output);
}

static void say_ended(int fd, bool is_known, int code)
{
    const struct dv_monitor_ended ended = {.is_code_known = is_known, .exit_code = code};
    say(fd, &dv_schema_monitor_ended, &ended);
}

static int run(const struct dv_local_exec *exec)
{
    struct cli cli = {.fd = -1};
    struct cli_stream stream = {.id = "c1", .fd = -1, .exec = exec};
    err = DV_ERROR_INIT;
    cr_assert_eq(cli_stream_open(&cli, &stream, &err), 0, "%s", err.text);
    return cli_stream_run(&cli, &stream);
}

static void redirect(void)
{
    cr_redirect_stdout();
    cr_redirect_stderr();
}

TestSuite(stream, .init = redirect, .timeout = 60);

Test(stream, output_goes_where_it_belongs_and_the_code_is_the_programs)
{
    int fd = connection();
    say_attached(fd);
    say_output(fd, "out", false);
    say_output(fd, "bad", true);
    say_ended(fd, true, 42);
    cr_expect_eq(run(NULL), 42);
    fflush(stdout);
    cr_assert_stdout_eq_str("out");
    cr_assert_stderr_eq_str("bad");
}

Test(stream, output_that_nobody_reads_ends_it_in_an_orderly_way)
{
    int ends[2];
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    cr_assert_eq(dup2(ends[1], STDOUT_FILENO), STDOUT_FILENO);
    int fd = connection();
    say_attached(fd);
    say_output(fd, "out", false);
    cr_expect_eq(run(NULL), CLI_FAILED);
}

Test(stream, a_connection_that_breaks_is_made_again)
{
    int first = connection();
    say_attached(first);
    say_output(first, "one ", false);
    close(first);
    int second = connection();
    say_attached(second);
    say_output(second, "two", false);
    say_ended(second, true, 3);
    cr_expect_eq(run(NULL), 3);
    cr_expect_eq(given_count, 2U);
    fflush(stdout);
    cr_assert_stdout_eq_str("one two");
}

Test(stream, an_unknown_code_is_asked_of_the_daemon)
{
    int fd = connection();
    cli_fake.container = (struct dv_container_summary){.status = DV_STATUS_EXITED, .exit_code = 17};
    say_attached(fd);
    say_ended(fd, false, 0);
    cr_expect_eq(run(NULL), 17);
}

Test(stream, what_ended_before_it_was_attached_again_has_its_code)
{
    const struct dv_failure failure = {.class = DV_ERR_STATE, .text = (char *)"not running"};
    int first = connection();
    cli_fake.container = (struct dv_container_summary){.status = DV_STATUS_EXITED, .exit_code = 9};
    say_attached(first);
    close(first);
    int second = connection();
    say(second, &dv_schema_failure, &failure);
    cr_expect_eq(run(NULL), 9);
}

Test(stream, a_program_that_did_not_start_is_told_apart_and_named)
{
    const struct dv_local_exec exec = {.tty = false};
    const struct dv_failure failure = {
        .class = DV_ERR_FAILED,
        .text = (char *)"{\"level\":\"warning\",\"msg\":\"first\"}\n"
                        "{\"level\":\"error\",\"msg\":\"no such program\"}\n"};
    say(connection(), &dv_schema_failure, &failure);
    cr_expect_eq(run(&exec), CLI_NOT_STARTED);
    cr_expect_str_eq(cli_fake.error.text, "no such program");
}

Test(stream, an_exec_is_not_run_twice)
{
    const struct dv_local_exec exec = {.tty = false};
    int fd = connection();
    say_attached(fd);
    close(fd);
    (void)connection();
    cr_expect_eq(run(&exec), CLI_FAILED);
    cr_expect_eq(given_count, 1U);
}

Test(stream, a_monitor_that_says_nothing_is_not_asked_again)
{
    close(connection());
    (void)connection();
    cr_expect_eq(run(NULL), CLI_FAILED);
    cr_expect_eq(given_count, 1U);
    cr_expect(strstr(cli_fake.error.text, "restart it"));
}
