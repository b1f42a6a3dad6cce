/* SPDX-License-Identifier: Apache-2.0 */
/* One question over a real socket; a thread of the test is the daemon. */
#include "base/cleanup.h"
#include "cli/cli.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char folder[32];
static char path[64];
static struct cli cli;
static struct dv_arena *arena;
static int listener;

static void setup(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(folder, sizeof(folder), "/tmp/davit-cli-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    snprintf(path, sizeof(path), "%s/davit.sock", folder);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(bind(listener, (const struct sockaddr *)&address, sizeof(address)), 0);
    cr_assert_eq(listen(listener, 1), 0);
    cli = (struct cli){.socket_path = path, .fd = -1, .in = DV_BUF_INIT(4U << 20)};
    arena = dv_arena_new(4U << 20);
}

static void teardown(void)
{
    cli_close(&cli);
    dv_arena_free(arena);
    dv_close(&listener);
    (void)unlink(path);
    (void)rmdir(folder);
}

TestSuite(connection, .init = setup, .fini = teardown, .timeout = 60);

/* Reads one line, then gives the answer and goes; without a line when the answer begins with '!'.
 */
static void *answer_once(void *ctx)
{
    const char *answer = ctx;
    char byte = 0;
    dv_autoclose int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (*answer == '!')
        answer++;
    else
        while (byte != '\n' && read(fd, &byte, 1) == 1)
            continue;
    size_t len = strlen(answer);
    (void)!send(fd, answer, len, MSG_NOSIGNAL);
    return NULL;
}

/* Asks while the daemon answers this. */
static int ask(const char *answer, const char **ret_value, struct dv_error *err)
{
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, answer_once, (void *)answer), 0);
    int r = cli_ask(&cli, "davit", "list", "{}", arena, ret_value, err);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    return r;
}

Test(connection, answer_is_the_value)
{
    const char *value = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(ask("{\"kind\":\"local_reply\",\"id\":\"1\",\"status\":200,\"value\":\"[1]\"}\n",
                     &value, &err),
                 0, "%s", err.text);
    cr_expect_str_eq(value, "[1]");
}

Test(connection, success_may_have_no_value)
{
    const char *value = "before";
    cr_assert_eq(ask("{\"kind\":\"local_reply\",\"id\":\"1\",\"status\":204}\n", &value, NULL), 0);
    cr_expect_null(value);
}

Test(connection, other_lines_are_passed_over)
{
    const char *value = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(ask("{\"kind\":\"local_twin\",\"feature\":\"F\"}\n{\"kind\":\"news\"}\n{}\n"
                     "{\"kind\":\"local_reply\",\"id\":\"1\",\"status\":200,\"value\":\"2\"}\n",
                     &value, &err),
                 0, "%s", err.text);
    cr_expect_str_eq(value, "2");
}

Test(connection, refusal_keeps_its_class_and_text)
{
    const char *value = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(ask("{\"kind\":\"local_reply\",\"id\":\"1\",\"status\":500,\"error\":\"it runs\","
                     "\"class\":\"STATE\"}\n",
                     &value, &err),
                 -DV_ERR_STATE);
    cr_expect_str_eq(err.text, "it runs");
    cli_close(&cli);
    dv_error_clear(&err);
    cr_assert_eq(ask("{\"kind\":\"local_reply\",\"id\":\"1\",\"status\":500,\"class\":\"NEW\"}\n",
                     &value, &err),
                 -DV_ERR_FAILED);
}

/* Reads one line, then sends the answer with a descriptor: the reading end of a pipe with "x". */
static void *pass_once(void *ctx)
{
    const char *answer = ctx;
    int ends[2];
    char byte = 0;
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {(char *)answer, strlen(answer)};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    dv_autoclose int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    while (byte != '\n' && read(fd, &byte, 1) == 1)
        continue;
    if (pipe(ends) < 0 || write(ends[1], "x", 1) != 1)
        return NULL;
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&control.header), &ends[0], sizeof(int));
    (void)!sendmsg(fd, &message, MSG_NOSIGNAL);
    close(ends[0]);
    close(ends[1]);
    return NULL;
}

static int
ask_stream(void *(*daemon)(void *), const char *answer, int *ret_fd, struct dv_error *err)
{
    const struct dv_local_attach attach = {.id = (char *)CLI_STREAM_ID, .container = (char *)"c"};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, daemon, (void *)answer), 0);
    int r = cli_ask_stream(&cli, &dv_schema_local_attach, &attach, ret_fd, err);
    cr_assert_eq(pthread_join(thread, NULL), 0);
    return r;
}

Test(connection, a_stream_is_the_descriptor_that_came_with_the_line)
{
    struct dv_error err = DV_ERROR_INIT;
    char byte = 0;
    int fd = -1;
    cr_assert_eq(
        ask_stream(pass_once, "{\"kind\":\"local_stream\",\"id\":\"stream\"}\n", &fd, &err), 0,
        "%s", err.text);
    cr_expect_eq(read(fd, &byte, 1), 1);
    cr_expect_eq(byte, 'x');
    close(fd);
}

Test(connection, a_stream_that_is_refused_or_missing_is_an_error)
{
    struct dv_error err = DV_ERROR_INIT;
    int fd = -1;
    cr_expect_eq(ask_stream(answer_once,
                            "{\"kind\":\"local_reply\",\"id\":\"stream\",\"status\":500,"
                            "\"error\":\"no\",\"class\":\"STATE\"}\n",
                            &fd, &err),
                 -DV_ERR_STATE);
    cli_close(&cli);
    dv_error_clear(&err);
    cr_expect_eq(
        ask_stream(answer_once, "{\"kind\":\"local_stream\",\"id\":\"stream\"}\n", &fd, &err),
        -DV_ERR_PROTOCOL);
}

/* The daemon says so before it was asked, and goes. */
Test(connection, who_is_turned_away_learns_why)
{
    const char *value = NULL;
    for (int i = 0; i < 50; i++) {
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(ask("!{\"kind\":\"local_reply\",\"id\":\"\",\"status\":503,"
                         "\"error\":\"64 clients\",\"class\":\"BUSY\"}\n",
                         &value, &err),
                     -DV_ERR_BUSY, "%s", err.text);
        cr_expect_str_eq(err.text, "64 clients");
        cli_close(&cli);
    }
}

Test(connection, end_of_the_daemon_is_told)
{
    static const char *const answers[] = {"", "!", "{\"kind\":\"local_reply\",\"id\":\"1\",\"sta"};
    const char *value = NULL;
    for (size_t i = 0; i < 3; i++) {
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(ask(answers[i], &value, &err), -DV_ERR_UNAVAILABLE, "row %zu", i);
        cr_expect_neq(err.sys, 0);
        cli_close(&cli);
    }
}

Test(connection, answer_that_is_none_is_refused)
{
    static const char *const answers[] = {
        "no JSON\n", "{\"kind\":\"local_reply\"}\n",
        "{\"kind\":\"local_reply\",\"id\":\"1\",\"status\":200,\"more\":1}\n"};
    const char *value = NULL;
    for (size_t i = 0; i < 3; i++) {
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_lt(ask(answers[i], &value, &err), 0, "row %zu", i);
        cr_expect_eq(strncmp(err.text, "an answer of the daemon", 23), 0, "%s", err.text);
        cli_close(&cli);
    }
}

Test(connection, without_a_daemon_the_remedy_is_named)
{
    const char *value = NULL;
    struct dv_error err = DV_ERROR_INIT;
    dv_close(&listener);
    cr_assert_eq(cli_ask(&cli, "davit", "list", NULL, arena, &value, &err), -DV_ERR_UNAVAILABLE);
    cr_expect_eq(err.sys, ECONNREFUSED);
    cr_expect_not_null(strstr(err.text, path));
    cr_expect_not_null(strstr(err.text, "davitd"));

    char name[300];
    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    cli.socket_path = name;
    dv_error_clear(&err);
    cr_expect_eq(cli_ask(&cli, "davit", "list", NULL, arena, &value, &err), -DV_ERR_INVALID);
}
