/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/inbox.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

static struct dv_hono_inbox *inbox;

static void setup(void)
{
    struct dv_hono_inbox_limits limits = {.commands = 2, .bytes = 100, .signals = 3};
    cr_assert_eq(dv_hono_inbox_new(&limits, &inbox, NULL), 0);
}

static void teardown(void)
{
    dv_hono_inbox_free(inbox);
}

TestSuite(hono_inbox, .init = setup, .fini = teardown);

static bool is_readable(void)
{
    struct pollfd wait = {.fd = dv_hono_inbox_fd(inbox), .events = POLLIN};
    return poll(&wait, 1, 0) == 1;
}

static struct dv_hono_item *item(const char *bytes)
{
    struct dv_hono_item *made = dv_hono_item_new(NULL, dv_str_of(bytes), 1, NULL);
    cr_assert_not_null(made);
    return made;
}

static void expect_command(const char *bytes)
{
    struct dv_hono_item *taken = dv_hono_inbox_take_command(inbox);
    cr_assert_not_null(taken);
    cr_expect_str_eq(taken->bytes.data, bytes);
    free(taken);
}

Test(hono_inbox, gives_commands_in_order)
{
    cr_assert_eq(dv_hono_inbox_reserve(inbox, 1, NULL), 0);
    dv_hono_inbox_put_command(inbox, item("a"), 1);
    dv_hono_inbox_put_replay(inbox, item("b"));
    expect_command("a");
    expect_command("b");
    cr_expect_null(dv_hono_inbox_take_command(inbox));
}

Test(hono_inbox, is_full_at_its_limit_of_commands)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_hono_inbox_reserve(inbox, 1, NULL), 0);
    cr_assert_eq(dv_hono_inbox_reserve(inbox, 1, NULL), 0);
    cr_assert_eq(dv_hono_inbox_reserve(inbox, 1, &err), -DV_ERR_BUSY);
    cr_expect_not_null(strstr(err.text, "at most 2"));
    dv_hono_inbox_cancel(inbox, 1);
    cr_expect_eq(dv_hono_inbox_reserve(inbox, 1, NULL), 0);
}

Test(hono_inbox, is_full_at_its_limit_of_bytes)
{
    cr_assert_eq(dv_hono_inbox_reserve(inbox, 101, NULL), -DV_ERR_BUSY);
    cr_assert_eq(dv_hono_inbox_reserve(inbox, 60, NULL), 0);
    cr_assert_eq(dv_hono_inbox_reserve(inbox, 60, NULL), -DV_ERR_BUSY);
    dv_hono_inbox_put_command(inbox, item("small"), 60);
    cr_expect_eq(dv_hono_inbox_reserve(inbox, 60, NULL), 0);
}

Test(hono_inbox, counts_refusals_beyond_its_limit)
{
    for (int i = 0; i < DV_HONO_REFUSALS_MAX + 3; i++)
        dv_hono_inbox_put_refusal(inbox, item("x"));
    cr_expect_eq(dv_hono_inbox_take_dropped(inbox), 3);
    cr_expect_eq(dv_hono_inbox_take_dropped(inbox), 0);
    int taken = 0;
    struct dv_hono_item *refusal;
    while ((refusal = dv_hono_inbox_take_refusal(inbox))) {
        free(refusal);
        taken++;
    }
    cr_expect_eq(taken, DV_HONO_REFUSALS_MAX);
}

Test(hono_inbox, turns_too_many_signals_into_a_lost_connection)
{
    struct dv_hono_signal signal = {.type = DV_HONO_ACKNOWLEDGED};
    for (int i = 0; i < 10; i++)
        dv_hono_inbox_signal(inbox, &signal);
    for (int i = 0; i < 3; i++) {
        cr_assert(dv_hono_inbox_take_signal(inbox, &signal));
        cr_expect_eq(signal.type, DV_HONO_ACKNOWLEDGED);
    }
    cr_assert(dv_hono_inbox_take_signal(inbox, &signal));
    cr_expect_eq(signal.type, DV_HONO_LOST);
    cr_expect_not(dv_hono_inbox_take_signal(inbox, &signal));
}

Test(hono_inbox, keeps_the_newest_handshake)
{
    size_t len;
    dv_hono_inbox_put_handshake(inbox, dv_str_of("old"));
    dv_hono_inbox_put_handshake(inbox, dv_str_of("newer"));
    char *answer = dv_hono_inbox_take_handshake(inbox, &len);
    cr_expect_str_eq(answer, "newer");
    cr_expect_eq(len, 5);
    free(answer);
    cr_expect_null(dv_hono_inbox_take_handshake(inbox, &len));
}

Test(hono_inbox, descriptor_is_readable_after_each_push)
{
    cr_expect_not(is_readable());
    dv_hono_inbox_put_replay(inbox, item("a"));
    cr_expect(is_readable());
    dv_hono_inbox_silence(inbox);
    cr_expect_not(is_readable());
    dv_hono_inbox_wake(inbox);
    cr_expect(is_readable());
}
