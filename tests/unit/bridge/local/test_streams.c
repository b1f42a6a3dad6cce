/* SPDX-License-Identifier: Apache-2.0 */
/* Streams: descriptors that come with a line. */
#include "base/cleanup.h"
#include "stage.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BIG (1U << 20)

TestSuite(local_streams, .init = stage_setup, .fini = stage_teardown, .timeout = 60);

#define ATTACH "{\"kind\":\"local_attach\",\"id\":\"a\",\"container\":\"c1\",\"waits\":true}"
#define EXEC   "{\"kind\":\"local_exec\",\"id\":\"e\",\"container\":\"c1\",\"args\":[\"ls\",\"-l\"]}"

static char asked[128];
static int given[2]; /* a pipe: the reading end is passed on */

static int
give_attach(void *ctx, const struct dv_local_attach *what, int *ret_fd, struct dv_error *err)
{
    (void)ctx;
    snprintf(asked, sizeof(asked), "attach %s%s", what->container, what->waits ? " waits" : "");
    if (strcmp(what->container, "c1") != 0)
        return dv_error_set(err, DV_ERR_STATE, "not running");
    cr_assert_eq(pipe(given), 0);
    *ret_fd = given[0];
    return 0;
}

static int give_exec(void *ctx, const struct dv_local_exec *what, int *ret_fd, struct dv_error *err)
{
    (void)ctx;
    (void)err;
    snprintf(asked, sizeof(asked), "exec %s %s %s", what->container, what->args.items[0],
             what->args.items[1]);
    cr_assert_eq(pipe(given), 0);
    *ret_fd = given[0];
    return 0;
}

static void expect_stream(struct dv_line_peer *peer, const char *id)
{
    char byte = 0;
    DV_AUTO(dv_json) line = stage_take(peer);
    cr_assert_not_null(line, "no answer");
    cr_assert_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_stream");
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "id")), id);
    dv_autoclose int fd = dv_line_peer_passed(peer);
    cr_assert_geq(fd, 0, "no descriptor came with it");
    cr_assert_eq(write(given[1], "x", 1), 1);
    cr_assert_eq(read(fd, &byte, 1), 1);
    cr_expect_eq(byte, 'x');
    close(fd);
    fd = -1;
    struct pollfd closed = {.fd = given[1]};
    cr_expect_eq(poll(&closed, 1, 0), 1, "the bridge keeps no copy of it");
    close(given[1]);
}

Test(local_streams, streams_are_descriptors_that_come_with_their_line)
{
    stage.config.streams = (struct dv_local_streams){give_attach, give_exec, NULL};
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_line_peer_send(peer, ATTACH);
    expect_stream(peer, "a");
    cr_expect_str_eq(asked, "attach c1 waits");
    dv_line_peer_send(peer, EXEC);
    expect_stream(peer, "e");
    cr_expect_str_eq(asked, "exec c1 ls -l");
    dv_line_peer_send(peer, "{\"kind\":\"local_attach\",\"id\":\"b\",\"container\":\"c2\"}");
    stage_expect_answer(peer, "b", "STATE");
    stage_expect_served(peer);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_streams, a_descriptor_waits_for_its_line_behind_what_the_client_has_not_read)
{
    stage.config.streams = (struct dv_local_streams){give_attach, give_exec, NULL};
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    char *big = malloc(BIG);
    cr_assert_not_null(big);
    memset(big, 'x', BIG - 1);
    big[0] = '"';
    big[BIG - 2] = '"';
    big[BIG - 1] = '\0';
    dv_line_peer_send(peer, LIST);
    dv_test_session_reply(&stage.session, stage_expect_command(),
                          (struct dv_command_reply){.status = 200, .value = big});
    dv_line_peer_send(peer, ATTACH);
    stage_pump();
    dv_line_peer_send(peer, EXEC); /* one at a time */
    stage_pump();
    DV_AUTO(dv_json) line = NULL;
    for (int i = 0; i < 1000 && !line; i++)
        line = stage_take(peer);
    cr_assert_not_null(line);
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "id")), "1");
    expect_stream(peer, "a");
    stage_expect_answer(peer, "e", "BUSY");
    free(big);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_streams, a_daemon_without_streams_says_so)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_line_peer_send(peer, ATTACH);
    stage_expect_answer(peer, "a", "UNSUPPORTED");
    dv_line_peer_free(peer);
    stage_end();
}
