/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/bridge_session.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS INT64_C(1000000)

static int64_t now_ms(void)
{
    return dv_clock_monotonic_ns(dv_clock_real()) / NS_PER_MS;
}

static int keep_raw(struct dv_bridge_sink *sink,
                    const void *raw,
                    size_t len,
                    int64_t *ret_sequence,
                    struct dv_error *err)
{
    struct dv_test_session *session = (struct dv_test_session *)sink;
    if (session->is_journal_broken)
        return dv_error_set(err, DV_ERR_IO, "the disk is full");
    int at = session->kept_count++;
    if (at >= DV_TEST_KEPT_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "the journal of the test is full");
    session->kept[at] = (struct dv_bytes){malloc(len ? len : 1), len};
    memcpy(session->kept[at].data, raw, len);
    *ret_sequence = at + 1;
    return 0;
}

static int no_fd(void *ctx)
{
    (void)ctx;
    return -1;
}

static void do_nothing(void *ctx)
{
    (void)ctx;
}

void dv_test_session_begin(struct dv_test_session *session,
                           const struct dv_bridge_ops *ops,
                           const void *config,
                           const struct dv_test_side *side)
{
    struct dv_error err = DV_ERROR_INIT;
    session->sink.accept = keep_raw;
    session->side = side ? *side : (struct dv_test_side){.fd = no_fd, .work = do_nothing};
    session->arena = dv_arena_new(64U << 20);
    struct dv_bridge_env env = {.clock = dv_clock_real(), .sink = &session->sink, .config = config};
    cr_assert_eq(ops->open(&env, &session->bridge, &err), 0, "%s", err.text);
}

void dv_test_session_stop(struct dv_test_session *session)
{
    session->bridge->ops->free(session->bridge);
    session->bridge = NULL;
}

void dv_test_session_end(struct dv_test_session *session)
{
    if (session->bridge)
        dv_test_session_stop(session);
    dv_arena_free(session->arena);
    for (int i = 0; i < session->kept_count && i < DV_TEST_KEPT_MAX; i++)
        free(session->kept[i].data);
}

/* Waits until the bridge or the other side has something, at most until `end_ms`. */
static void wait_for_either(struct dv_test_session *session, int64_t end_ms)
{
    struct dv_bridge *bridge = session->bridge;
    const struct dv_test_side *side = &session->side;
    int64_t left = end_ms - now_ms(), due = bridge->ops->deadline_ns(bridge);
    if (due != INT64_MAX && due / NS_PER_MS - now_ms() + 1 < left)
        left = due / NS_PER_MS - now_ms() + 1;
    struct pollfd wait[] = {{.fd = bridge->ops->fd(bridge), .events = POLLIN},
                            {.fd = side->fd(side->ctx), .events = POLLIN}};
    poll(wait, 2, left > 0 ? (int)left : 0);
    if (wait[1].revents)
        side->work(side->ctx);
}

/* The next event within the time; NOTHING: none. */
struct dv_bridge_event dv_test_session_next(struct dv_test_session *session, int timeout_ms)
{
    struct dv_bridge *bridge = session->bridge;
    int64_t end_ms = now_ms() + timeout_ms;
    struct dv_bridge_event event;
    struct dv_error err = DV_ERROR_INIT;
    for (;;) {
        cr_assert_eq(bridge->ops->next(bridge, session->arena, &event, &err), 0, "%s", err.text);
        if (event.type != DV_BRIDGE_NOTHING || now_ms() >= end_ms)
            return event;
        wait_for_either(session, end_ms);
    }
}

/* The next event of that type; others before it are passed over. */
const void *dv_test_session_expect(struct dv_test_session *session, enum dv_bridge_event_type type)
{
    int64_t end_ms = now_ms() + DV_TEST_PATIENCE_MS;
    while (now_ms() < end_ms) {
        struct dv_bridge_event event = dv_test_session_next(session, DV_TEST_PATIENCE_MS);
        if (event.type == type)
            return event.body;
    }
    cr_assert_fail("the bridge has no event of type %d", (int)type);
    return NULL;
}

const struct dv_link_changed *dv_test_session_expect_link(struct dv_test_session *session,
                                                          enum dv_link_status status)
{
    const struct dv_link_changed *link;
    do
        link = dv_test_session_expect(session, DV_BRIDGE_LINK);
    while (link->status != status);
    return link;
}

void dv_test_session_reply(struct dv_test_session *session,
                           const struct dv_command *command,
                           struct dv_command_reply answer)
{
    struct dv_error err = DV_ERROR_INIT;
    answer.feature = command->feature;
    answer.operation = command->operation;
    answer.token = command->token;
    answer.sequence = command->sequence;
    cr_assert_eq(session->bridge->ops->reply(session->bridge, &answer, &err), 0, "%s", err.text);
}
