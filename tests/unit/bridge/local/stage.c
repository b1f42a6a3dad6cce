/* SPDX-License-Identifier: Apache-2.0 */
#include "stage.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct stage stage;

void stage_setup(void)
{
    snprintf(stage.folder, sizeof(stage.folder), "/tmp/davit-local-XXXXXX");
    cr_assert_not_null(mkdtemp(stage.folder));
    snprintf(stage.path, sizeof(stage.path), "%s/davit.sock", stage.folder);
    stage.config = DV_LOCAL_CONFIG_INIT;
    stage.config.socket_path = stage.path;
}

void stage_teardown(void)
{
    (void)unlink(stage.path);
    cr_expect_eq(rmdir(stage.folder), 0, "'%s' is not empty", stage.folder);
}

void stage_begin(void)
{
    dv_test_session_begin(&stage.session, &dv_local_ops, &stage.config, NULL);
    dv_test_session_expect_link(&stage.session, DV_LINK_UP);
}

void stage_end(void)
{
    dv_test_session_end(&stage.session);
}

/* Lets the bridge do all it can do now; what it hands out meanwhile is counted. */
unsigned stage_pump(void)
{
    struct pollfd wait = {.fd = stage.session.bridge->ops->fd(stage.session.bridge),
                          .events = POLLIN};
    unsigned commands = 0;
    for (;;) {
        struct dv_bridge_event event = dv_test_session_next(&stage.session, 0);
        commands += event.type == DV_BRIDGE_COMMAND;
        if (event.type == DV_BRIDGE_NOTHING && poll(&wait, 1, 0) == 0)
            return commands;
    }
}

const struct dv_command *stage_expect_command(void)
{
    return dv_test_session_expect(&stage.session, DV_BRIDGE_COMMAND);
}

/* Everything that the bridge has for this client was sent when this is called. */
struct dv_json *stage_take(struct dv_line_peer *peer)
{
    stage_pump();
    return dv_line_peer_take(peer, 0);
}

void stage_expect_answer(struct dv_line_peer *peer, const char *id, const char *class)
{
    DV_AUTO(dv_json) line = stage_take(peer);
    cr_assert_not_null(line, "no answer");
    cr_assert_str_eq(dv_json_text(dv_json_get(line, "kind")), "local_reply");
    cr_expect_str_eq(dv_json_text(dv_json_get(line, "id")), id);
    const char *said = dv_json_text(dv_json_get(line, "class"));
    cr_expect_str_eq(said ? said : "", class);
}

void stage_expect_end(struct dv_line_peer *peer)
{
    DV_AUTO(dv_json) line = stage_take(peer);
    cr_assert_null(line);
    cr_assert(dv_line_peer_is_over(peer), "the connection goes on");
}

void stage_expect_served(struct dv_line_peer *peer)
{
    dv_line_peer_send(peer, LIST);
    dv_test_session_reply(&stage.session, stage_expect_command(),
                          (struct dv_command_reply){.status = 204});
    stage_expect_answer(peer, "1", "");
}
