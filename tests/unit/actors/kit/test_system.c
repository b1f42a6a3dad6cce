/* SPDX-License-Identifier: Apache-2.0 */
#include "actors.h"
#include "base/arena.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static struct test_env env;
static struct dv_system *kit;
static struct dv_error err;
static char text[TEST_TEXT];

static void start_system(unsigned hosts)
{
    struct dv_system_options options = {
        .types = test_types, .env = &env, .shared_hosts_max = hosts};
    cr_assert_eq(dv_system_new(&options, &kit, &err), 0, "%s", err.text);
}

static void spawn(const char *address, const char *type)
{
    struct dv_exit_watch_cmd start = {.id = (char *)"run", .pid = 1};
    cr_assert_eq(dv_system_spawn(kit, address, type, &start, &err), 0, "%s", err.text);
}

static void setup(void)
{
    err = DV_ERROR_INIT;
    env = (struct test_env){0};
    cr_assert_eq(pipe2(env.gate, O_CLOEXEC), 0);
    start_system(4);
    spawn("a", "test_service");
    spawn("c", "test_container");
}

static void teardown(void)
{
    dv_system_free(kit);
    close(env.gate[0]);
    close(env.gate[1]);
}

#define TELL(to, what, number, ms, expected)                                                       \
    cr_assert_str_eq(test_tell(kit, (to), (what), (number), (ms), text), (expected))

TestSuite(system, .init = setup, .fini = teardown, .timeout = 60);

Test(system, ask_is_answered)
{
    TELL("a", "echo", 5, 0, "missed 5");
    TELL("a", "ask c echo", 6, 5000, "missed 6");
}
