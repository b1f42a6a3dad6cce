/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of any size and shape, and answers that find their client. */
#include "base/cleanup.h"
#include "stage.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define BIG (1U << 20)

TestSuite(local_client, .init = stage_setup, .fini = stage_teardown, .timeout = 60);

Test(local_client, bad_lines_are_answered_and_the_client_goes_on)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_line_peer_send(peer, "{\"kind\":");
    stage_expect_answer(peer, "", "INVALID");
    dv_line_peer_send(peer, "{\"kind\":\"local_trace\",\"id\":\"9\"}");
    stage_expect_answer(peer, "9", "INVALID");
    dv_line_peer_send(peer, "{\"id\":\"9\"}");
    stage_expect_answer(peer, "9", "INVALID");
    stage_expect_served(peer);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_client, lines_may_come_in_any_pieces)
{
    static const char two[] = LIST "\n" LIST "\n";
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    unsigned commands = 0;
    for (size_t i = 0; i < sizeof(two) - 1; i++) {
        cr_assert_eq(dv_line_peer_write(peer, two + i, 1), 1);
        commands += stage_pump();
        cr_assert_eq(commands, (i >= sizeof(LIST) - 1) + (i == sizeof(two) - 2));
    }
    cr_assert_eq(dv_line_peer_write(peer, two, sizeof(two) - 1), sizeof(two) - 1);
    cr_assert_eq(stage_pump(), 2);
    dv_line_peer_free(peer);
    stage_end();
}

/* A good request with blanks behind it, `len` bytes without the line feed. */
static char *long_line(size_t len)
{
    char *line = malloc(len + 2);
    cr_assert_not_null(line);
    memset(line, ' ', len);
    memcpy(line, LIST, sizeof(LIST) - 1);
    line[len] = '\n';
    line[len + 1] = '\0';
    return line;
}

/* What the bridge takes of the bytes; commands are counted. */
static unsigned push(struct dv_line_peer *peer, const char *bytes, size_t len)
{
    unsigned commands = 0;
    for (size_t at = 0; at < len;) {
        size_t sent = dv_line_peer_write(peer, bytes + at, len - at);
        commands += stage_pump();
        if (!sent)
            break;
        at += sent;
    }
    return commands + stage_pump();
}

Test(local_client, line_of_the_limit_is_taken)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_autofree char *line = long_line(DV_LOCAL_LINE_MAX);
    cr_expect_eq(push(peer, line, DV_LOCAL_LINE_MAX + 1), 1);
    stage_expect_served(peer);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_client, longer_line_is_answered_and_ends_the_connection)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    struct dv_line_peer *other = dv_line_peer_new(stage.path);
    dv_autofree char *line = long_line(DV_LOCAL_LINE_MAX + 1);
    cr_expect_eq(push(peer, line, DV_LOCAL_LINE_MAX + 2), 0);
    stage_expect_answer(peer, "", "LIMIT");
    stage_expect_end(peer);
    stage_expect_served(other);
    dv_line_peer_free(peer);
    dv_line_peer_free(other);
    stage_end();
}

Test(local_client, line_without_an_end_is_not_kept_for_ever)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_autofree char *line = long_line(2 * DV_LOCAL_LINE_MAX);
    cr_expect_eq(push(peer, line, 2 * DV_LOCAL_LINE_MAX), 0);
    stage_expect_answer(peer, "", "LIMIT");
    stage_expect_end(peer);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_client, answers_find_their_client_in_any_order)
{
    stage_begin();
    struct dv_line_peer *first = dv_line_peer_new(stage.path);
    struct dv_line_peer *second = dv_line_peer_new(stage.path);
    dv_line_peer_send(first, LIST);
    const struct dv_command *of_first = stage_expect_command();
    dv_line_peer_send(second, LIST);
    const struct dv_command *of_second = stage_expect_command();
    cr_assert_str_neq(of_first->token, of_second->token);
    dv_test_session_reply(&stage.session, of_second,
                          (struct dv_command_reply){.status = 400,
                                                    .error_class = DV_ERR_INVALID,
                                                    .error_text = "args: x"});
    stage_expect_answer(second, "1", "INVALID");
    cr_assert_null(stage_take(first));
    dv_test_session_reply(&stage.session, of_first, (struct dv_command_reply){.status = 204});
    stage_expect_answer(first, "1", "");
    dv_line_peer_free(first);
    dv_line_peer_free(second);
    stage_end();
}

Test(local_client, who_has_gone_gets_no_answer)
{
    stage_begin();
    struct dv_error err = DV_ERROR_INIT;
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_line_peer_send(peer, LIST);
    const struct dv_command *command = stage_expect_command();
    dv_line_peer_free(peer);
    stage_pump();
    struct dv_command_reply reply = {.token = command->token, .status = 204};
    cr_assert_eq(stage.session.bridge->ops->reply(stage.session.bridge, &reply, &err),
                 -DV_ERR_NOT_FOUND);
    dv_error_clear(&err);
    reply.token = NULL;
    cr_assert_eq(stage.session.bridge->ops->reply(stage.session.bridge, &reply, &err),
                 -DV_ERR_NOT_FOUND);
    stage_end();
}

Test(local_client, commands_of_who_leaves_at_once_are_carried_out)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_free(peer);
    cr_expect_eq(stage_pump(), 2);
    stage_end();
}

/* As `nc -N` and a shell's pipe do it. */
Test(local_client, who_sends_no_more_still_gets_all_answers)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_send(peer, LIST);
    dv_line_peer_half_close(peer);
    const struct dv_command *first = stage_expect_command();
    const struct dv_command *second = stage_expect_command();
    cr_assert_eq(stage_pump(), 0);
    dv_test_session_reply(&stage.session, first, (struct dv_command_reply){.status = 204});
    stage_expect_answer(peer, "1", "");
    cr_assert_not(dv_line_peer_is_over(peer));
    dv_test_session_reply(&stage.session, second, (struct dv_command_reply){.status = 204});
    stage_expect_answer(peer, "1", "");
    stage_expect_end(peer);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_client, who_sends_no_more_and_waits_for_nothing_is_let_go)
{
    stage_begin();
    struct dv_line_peer *peer = dv_line_peer_new(stage.path);
    stage_pump();
    dv_line_peer_half_close(peer);
    stage_expect_end(peer);
    dv_line_peer_free(peer);

    peer = dv_line_peer_new(stage.path);
    dv_line_peer_send(peer, "no JSON");
    dv_line_peer_half_close(peer);
    stage_expect_answer(peer, "", "INVALID");
    stage_expect_end(peer);
    dv_line_peer_free(peer);
    stage_end();
}

Test(local_client, who_does_not_read_is_dropped)
{
    stage_begin();
    struct dv_line_peer *lazy = dv_line_peer_new(stage.path);
    struct dv_line_peer *other = dv_line_peer_new(stage.path);
    dv_autofree char *value = malloc(BIG);
    cr_assert_not_null(value);
    memset(value, '7', BIG - 1);
    value[BIG - 1] = '\0';
    unsigned answers = 0;
    struct dv_error err = DV_ERROR_INIT;
    for (; answers < 2 * DV_LOCAL_OUT_MAX / BIG; answers++) {
        dv_line_peer_send(lazy, LIST);
        struct dv_bridge_event event = dv_test_session_next(&stage.session, 0);
        while (event.type != DV_BRIDGE_COMMAND && answers < 4)
            event = dv_test_session_next(&stage.session, 100);
        if (event.type != DV_BRIDGE_COMMAND)
            break;
        const struct dv_command *command = event.body;
        struct dv_command_reply reply = {.token = command->token, .status = 200, .value = value};
        cr_assert_eq(stage.session.bridge->ops->reply(stage.session.bridge, &reply, &err), 0, "%s",
                     err.text);
        struct pollfd wait = {.fd = stage.session.bridge->ops->fd(stage.session.bridge),
                              .events = POLLIN};
        if (poll(&wait, 1, 0) == 1)
            break; /* the end of the connection */
    }
    cr_expect_geq(answers, DV_LOCAL_OUT_MAX / BIG - 1, "after %u answers", answers);
    cr_expect_leq(answers, DV_LOCAL_OUT_MAX / BIG + 1, "after %u answers", answers);
    stage_pump();
    stage_expect_served(other);
    cr_expect_eq(dv_line_peer_write(lazy, "\n", 1), 0, "the connection goes on");
    dv_line_peer_free(lazy);
    dv_line_peer_free(other);
    stage_end();
}
