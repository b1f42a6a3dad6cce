/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/cli.h"

#include <criterion/criterion.h>
#include <inttypes.h>
#include <string.h>

#define S   1000000000LL
#define NOW (1719561600 * S)

static struct dv_buf out;

static void setup(void)
{
    out = DV_BUF_INIT(1U << 20);
}

static void teardown(void)
{
    dv_buf_done(&out);
}

TestSuite(show, .init = setup, .fini = teardown);

static void print_ps(struct dv_container_summary *rows, size_t count, bool is_quiet)
{
    struct dv_container_summaries list = {.containers = {.items = rows, .count = count}};
    dv_buf_clear(&out);
    cli_print_ps(&list, is_quiet, NOW, &out);
}

static struct dv_container_summary container(char *name, enum dv_status status)
{
    return (struct dv_container_summary){
        .id = "3f0c2a51-7d5e-4f5e-9d5c-3b1d0f6f7a10",
        .name = name,
        .image = "r.example/hello:1",
        .status = status,
        .created_ns = NOW - 50 * S,
    };
}

Test(show, ps_of_no_containers_is_a_heading)
{
    print_ps(NULL, 0, false);
    cr_assert_str_eq(
        out.data,
        "ID            NAME  IMAGE  STATE         FOR      RESTARTS  NET              NOTE\n");
}

Test(show, ps_quiet_of_no_containers_is_nothing)
{
    print_ps(NULL, 0, true);
    cr_assert_eq(out.len, 0);
}

Test(show, ps_quiet_prints_whole_ids_only)
{
    struct dv_container_summary rows[] = {container("a", DV_STATUS_RUNNING),
                                          container("b", DV_STATUS_CREATED)};
    rows[1].id = "b-id";
    rows[1].error = "what went wrong";
    print_ps(rows, 2, true);
    cr_assert_str_eq(out.data, "3f0c2a51-7d5e-4f5e-9d5c-3b1d0f6f7a10\nb-id\n");
}

Test(show, ps_is_a_table_with_columns_as_wide_as_their_texts)
{
    struct dv_container_summary rows[] = {
        container("collector", DV_STATUS_EXITED),
        container("db", DV_STATUS_RUNNING),
    };
    rows[0].id = "short";
    rows[0].image = "c:1";
    rows[0].started_ns = NOW - 5 * S;
    rows[0].finished_ns = NOW - 4 * S;
    rows[0].exit_code = 1;
    rows[0].restart_count = 17;
    rows[0].error = "killed";
    rows[1].started_ns = NOW - 3 * 86400 * S;
    print_ps(rows, 2, false);
    cr_assert_str_eq(out.data, "ID            NAME       IMAGE              STATE         FOR      "
                               "RESTARTS  NET              NOTE\n"
                               "short         collector  c:1                EXITED 1      4 s      "
                               "17        -                killed\n"
                               "3f0c2a51-7d5  db         r.example/hello:1  RUNNING       3 d      "
                               "0         -                \n");
}

/* The text of the column `heading` in the first row. */
static const char *column(const char *heading, size_t width)
{
    static char text[64];
    const char *at = strstr(out.data, heading);
    cr_assert_not_null(at, "%s", heading);
    size_t offset = (size_t)(at - out.data);
    const char *row = strchr(out.data, '\n') + 1;
    cr_assert_gt(strlen(row), offset + width);
    memcpy(text, row + offset, width);
    text[width] = '\0';
    while (width && text[width - 1] == ' ')
        text[--width] = '\0';
    return text;
}

Test(show, state_has_the_exit_code_of_what_has_run)
{
    static const struct {
        enum dv_status status;
        bool has_run;
        int64_t exit_code;
        const char *expected;
    } table[] = {
        {DV_STATUS_CREATING, false, 0, "CREATING"},  {DV_STATUS_CREATED, false, 0, "CREATED"},
        {DV_STATUS_RUNNING, true, 0, "RUNNING"},     {DV_STATUS_RUNNING, true, 137, "RUNNING"},
        {DV_STATUS_PAUSED, true, 0, "PAUSED"},       {DV_STATUS_STOPPED, true, 137, "STOPPED 137"},
        {DV_STATUS_STOPPED, false, 0, "STOPPED"},    {DV_STATUS_EXITED, true, 0, "EXITED 0"},
        {DV_STATUS_EXITED, true, 255, "EXITED 255"}, {DV_STATUS_EXITED, false, 0, "EXITED"},
        {DV_STATUS_DEAD, true, 1, "DEAD"},           {DV_STATUS_UNKNOWN, true, 1, "UNKNOWN"},
        {(enum dv_status)99, true, 1, "?"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_container_summary c = container("a", table[i].status);
        c.started_ns = table[i].has_run ? NOW - 10 * S : 0;
        c.exit_code = table[i].exit_code;
        print_ps(&c, 1, false);
        cr_assert_str_eq(column("STATE", 12), table[i].expected);
    }
}

Test(show, for_counts_from_when_the_state_began)
{
    static const struct {
        enum dv_status status;
        int64_t created_ago_s;
        int64_t started_ago_s; /* -1: never */
        int64_t finished_ago_s;
        const char *expected;
    } table[] = {
        {DV_STATUS_CREATED, 50, -1, -1, "50 s"}, {DV_STATUS_RUNNING, 50, 40, -1, "40 s"},
        {DV_STATUS_RUNNING, 50, 20, 30, "20 s"}, /* runs again after an end */
        {DV_STATUS_PAUSED, 50, 40, 45, "40 s"},  {DV_STATUS_EXITED, 50, 40, 30, "30 s"},
        {DV_STATUS_STOPPED, 50, 40, 30, "30 s"}, {DV_STATUS_DEAD, 50, -1, -1, "50 s"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_container_summary c = container("a", table[i].status);
        c.created_ns = NOW - table[i].created_ago_s * S;
        c.started_ns = table[i].started_ago_s < 0 ? 0 : NOW - table[i].started_ago_s * S;
        c.finished_ns = table[i].finished_ago_s < 0 ? 0 : NOW - table[i].finished_ago_s * S;
        print_ps(&c, 1, false);
        cr_assert_str_eq(column("FOR", 7), table[i].expected, "row %zu: %s", i, column("FOR", 7));
    }
}

Test(show, for_is_unknown_without_a_time)
{
    static const enum dv_status status[] = {DV_STATUS_CREATED, DV_STATUS_RUNNING, DV_STATUS_EXITED,
                                            DV_STATUS_DEAD};
    for (size_t i = 0; i < sizeof(status) / sizeof(status[0]); i++) {
        struct dv_container_summary c = container("a", status[i]);
        c.created_ns = 0;
        print_ps(&c, 1, false);
        cr_assert_str_eq(column("FOR", 7), "-");
    }
}

Test(show, texts_of_the_daemon_neither_drive_the_terminal_nor_forge_rows)
{
    struct dv_container_summary rows[] = {container("a\xc2\x9b"
                                                    "2J",
                                                    DV_STATUS_CREATED),
                                          container("caf\xc3\xa9", DV_STATUS_CREATED)};
    rows[0].image = "i\x1b[31m";
    rows[0].error = "gone\nforged  row\x7f";
    rows[1].image = "i";
    print_ps(rows, 2, false);
    cr_assert_str_eq(
        out.data,
        "ID            NAME       IMAGE      STATE         FOR      RESTARTS  NET              "
        "NOTE\n"
        "3f0c2a51-7d5  a\\u009b2J  i\\x1b[31m  CREATED       50 s     0         -                "
        "gone\\nforged  row\\x7f\n"
        "3f0c2a51-7d5  caf\xc3\xa9       i          CREATED       50 s     0         -     "
        "           \n");

    struct dv_bridge_note bridge = {
        .bridge = "hono", .status = DV_LINK_DOWN, .note = "refused\x1b[A\nby it"};
    struct dv_cell_figures cell = {.address = "x\xc2\x9b", .slowest_ns = 1};
    struct dv_kit_figures figures = {.cells = {.items = &cell, .count = 1}};
    struct dv_daemon_status s = {.version = "1\n",
                                 .runtime = "\x1b",
                                 .network = "\x07",
                                 .home_dir = "\x7f",
                                 .bridges = {.items = &bridge, .count = 1},
                                 .figures = &figures};
    dv_buf_clear(&out);
    cli_print_status(&s, &out);
    for (const char *at = out.data; *at; at++)
        cr_assert((*at >= ' ' && *at < 0x7f) || *at == '\n', "%02x", (unsigned char)*at);
    cr_expect_not_null(strstr(out.data, "refused\\x1b[A\\nby it\n"));
}

Test(show, a_time_is_told_in_the_unit_that_says_most)
{
    static const struct {
        int64_t seconds;
        const char *expected;
    } table[] = {
        {-5, "-"}, /* the clock was set back */
        {0, "0 s"},       {1, "1 s"},        {119, "119 s"},  {120, "2 min"},
        {179, "2 min"},   {7199, "119 min"}, {7200, "2 h"},   {86400, "24 h"},
        {172799, "47 h"}, {172800, "2 d"},   {259199, "2 d"}, {365 * 86400, "365 d"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_container_summary c = container("a", DV_STATUS_RUNNING);
        c.started_ns = NOW - table[i].seconds * S;
        print_ps(&c, 1, false);
        cr_assert_str_eq(column("FOR", 7), table[i].expected, "%" PRId64 " s: %s", table[i].seconds,
                         column("FOR", 7));
    }
}

/* -- status ----------------------------------------------------------------------------------- */

static void check_status(const struct dv_daemon_status *status, const char *expected)
{
    dv_buf_clear(&out);
    cli_print_status(status, &out);
    cr_assert_str_eq(out.data, expected);
}

Test(show, status_says_what_is_missing_and_how_to_mend_it)
{
    struct dv_daemon_status status = {.version = "0.1.0", .pid = 42};
    check_status(&status, "davitd        0.1.0, pid 42, up 0 s, home ?\n"
                          "runtime       does not answer\n"
                          "monitor       cannot be reached: start davit-monitor\n"
                          "containers    0, 0 running\n");
}

Test(show, status_tells_what_runs_and_where)
{
    struct dv_daemon_status status = {
        .version = "0.1.0",
        .pid = 42,
        .uptime_s = 300,
        .home_dir = "/var/lib/davit",
        .runtime = "runc 1.1.5",
        .monitor = true,
        .monitor_version = "0.1.0",
        .containers = 12,
        .running = 10,
        .network = "BRIDGE is a network of its own",
    };
    check_status(&status, "davitd        0.1.0, pid 42, up 5 min, home /var/lib/davit\n"
                          "runtime       runc 1.1.5\n"
                          "monitor       0.1.0, connected\n"
                          "containers    12, 10 running\n"
                          "network       BRIDGE is a network of its own\n");
}

Test(show, each_bridge_has_its_state_and_counts)
{
    struct dv_bridge_note bridges[] = {
        {.bridge = "hono",
         .status = DV_LINK_UP,
         .identity = "org.davit:edge",
         .commands = 5,
         .repeats = 1,
         .refused = 2,
         .outbox = 3},
        {.bridge = "hono", .status = DV_LINK_DOWN, .note = "connection refused", .identity = ""},
        {.bridge = "local", .status = DV_LINK_UP, .identity = "local", .note = "2 clients"},
    };
    struct dv_daemon_status status = {
        .version = "0.1.0",
        .pid = 42,
        .bridges = {.items = bridges, .count = 3},
    };
    cli_print_status(&status, &out);
    const char *at = strstr(out.data, "bridge ");
    cr_assert_not_null(at);
    const char *up = dv_enum_api(&dv_enum_link_status, DV_LINK_UP);
    const char *down = dv_enum_api(&dv_enum_link_status, DV_LINK_DOWN);
    DV_AUTO_IN_PLACE(dv_buf) expected = DV_BUF_INIT(4096);
    cr_assert_eq(
        dv_buf_printf(&expected, NULL,
                      "bridge hono   %s as org.davit:edge\n"
                      "              5 commands, 1 repeats, 2 refused; 3 twin changes waiting\n"
                      "bridge hono   %s, connection refused\n"
                      "              0 commands, 0 repeats, 0 refused; 0 twin changes waiting\n"
                      "bridge local  %s as local, 2 clients\n"
                      "              0 commands, 0 repeats, 0 refused; 0 twin changes waiting\n",
                      up, down, up),
        0);
    cr_assert_str_eq(at, expected.data);
}

static void expect_things(struct dv_bridge_note *bridge, const char *expected)
{
    struct dv_daemon_status status = {.version = "1", .bridges = {.items = bridge, .count = 1}};
    dv_buf_clear(&out);
    cli_print_status(&status, &out);
    const char *at = strstr(out.data, "changes waiting\n");
    cr_assert_not_null(at);
    cr_assert_str_eq(at + strlen("changes waiting\n"), expected);
}

Test(show, a_bridge_says_how_large_each_of_its_things_is)
{
    struct dv_bridge_thing things[] = {{.bytes = 3 << 10}, {.bytes = 99 << 10, .is_compact = true}};
    struct dv_bridge_note bridge = {
        .bridge = "hono", .thing_bytes = 3 << 10, .thing_bytes_max = 100 << 10};
    expect_things(&bridge, "              twin about 3 KB of 100\n");
    bridge.things.items = things;
    bridge.things.count = 2;
    expect_things(&bridge, "              twin of thing 1 about 3 KB of 100\n"
                           "              twin of thing 2 about 99 KB of 100, without the "
                           "configuration of containers\n");
    bridge.thing_bytes_max = 0;
    expect_things(&bridge,
                  "              twin of thing 1 about 3 KB\n"
                  "              twin of thing 2 about 99 KB, without the configuration of "
                  "containers\n");
}

Test(show, figures_are_summed_and_name_the_slowest_actor)
{
    struct dv_cell_figures cells[] = {
        {.address = "roster", .handled = 10, .asks_open = 1, .slowest_ns = 100000},
        {.address = "Container:1", .handled = 5, .asks_open = 2, .slowest_ns = 2540000},
        {.address = "image", .handled = 1, .slowest_ns = 2539999},
    };
    struct dv_kit_figures figures = {
        .cells = {.items = cells, .count = 3},
        .undeliverable = 1,
        .busy = 2,
        .missed = 3,
        .hosts = 4,
        .held = 5,
    };
    struct dv_daemon_status status = {.version = "0.1.0", .pid = 42, .figures = &figures};
    cli_print_status(&status, &out);
    const char *at = strstr(out.data, "actors ");
    cr_assert_not_null(at);
    cr_assert_str_eq(at, "actors        3 on 4 threads, 16 messages, 3 asks open\n"
                         "              1 undeliverable, 2 busy, 3 events missed, 5 held\n"
                         "              slowest handler 2.5 ms in Container:1\n");
}

Test(show, figures_without_actors_name_no_slowest)
{
    struct dv_kit_figures figures = {.hosts = 1};
    struct dv_daemon_status status = {.version = "0.1.0", .pid = 42, .figures = &figures};
    cli_print_status(&status, &out);
    cr_assert_not_null(strstr(out.data, "actors        0 on 1 threads, 0 messages, 0 asks open\n"));
    cr_assert_null(strstr(out.data, "slowest"));
}

/* The text grows with what the daemon knows; a full buffer cuts it and nothing worse. */
Test(show, output_over_the_limit_is_left_out)
{
    dv_buf_done(&out);
    out = DV_BUF_INIT(100);
    struct dv_container_summary rows[] = {container("a", DV_STATUS_RUNNING),
                                          container("b", DV_STATUS_RUNNING)};
    print_ps(rows, 2, false);
    cr_assert_leq(out.len, 100);
    cr_assert_eq(strncmp(out.data, "ID ", 3), 0);
}
