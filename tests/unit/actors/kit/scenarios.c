/* SPDX-License-Identifier: Apache-2.0 */
#include "scenarios.h"

#include "base/arena.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HOSTS    3
#define NS_PER_S INT64_C(1000000000)

/* A container's mailbox: its own mark and the bus's. libzmq tells the sender of room only after
 * half of it was read, so fewer may fit. */
#define MAILBOX     65
#define MAILBOX_MIN 32

#define EXPECT(condition, ...)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);                        \
            fprintf(stderr, __VA_ARGS__);                                                          \
            fprintf(stderr, "\n");                                                                 \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static void expect(struct scenario_run *run,
                   const char *to,
                   const char *what,
                   int64_t number,
                   int64_t ms,
                   const char *expected)
{
    char text[TEST_TEXT];
    test_tell(run->kit, to, what, number, ms, text);
    EXPECT(strcmp(text, expected) == 0, "%s told '%s' says '%s', not '%s'", to, what, text,
           expected);
}

static void expect_error(struct scenario_run *run,
                         const char *to,
                         const char *what,
                         int64_t ms,
                         const char *class,
                         const char *part)
{
    char text[TEST_TEXT];
    char start[64];
    snprintf(start, sizeof(start), "failure %s ", class);
    test_tell(run->kit, to, what, 1, ms, text);
    EXPECT(strncmp(text, start, strlen(start)) == 0 && strstr(text, part),
           "%s told '%s' says '%s', not %s with '%s'", to, what, text, class, part);
}

/* Asks again until the answer has `part` in it. */
static void expect_soon(struct scenario_run *run,
                        const char *to,
                        const char *what,
                        const char *part,
                        char text[TEST_TEXT])
{
    const struct dv_clock *clock = run->clock ? &run->clock->clock : dv_clock_real();
    int64_t deadline_ns = dv_clock_monotonic_ns(clock) + 20 * NS_PER_S;
    for (int i = 0; i < 100000 && dv_clock_monotonic_ns(clock) < deadline_ns; i++) {
        test_tell(run->kit, to, what, 1, 0, text);
        if (strstr(text, part))
            return;
    }
    EXPECT(false, "%s told '%s' says '%s', never '%s'", to, what, text, part);
}

static int
spawn(struct scenario_run *run, const char *address, const char *how, struct dv_error *err)
{
    struct dv_exit_watch_cmd start = {.id = (char *)how, .pid = 1};
    return dv_system_spawn(run->kit, address, "test_container", &start, err);
}

static void need_spawn(struct scenario_run *run, const char *address)
{
    struct dv_error err = DV_ERROR_INIT;
    EXPECT(spawn(run, address, "run", &err) == 0, "%s", err.text);
}

/* The cell takes nothing from its mailbox until let go. */
static void hold_back(struct scenario_run *run, const char *address)
{
    char what[64];
    snprintf(what, sizeof(what), "post %s gate", address);
    expect(run, "a", what, 1, 0, "done");
}

static void let_go(struct scenario_run *run, const char *address)
{
    if (!run->clock) {
        EXPECT(write(run->env->gate[1], "x", 1) == 1, "gate");
    } else if (run->env->waiting > 0) {
        run->env->waiting--;
        dv_sim_delay(run->kit, address, 0);
    } else {
        run->env->open_gates++;
    }
}

static struct dv_kit_figures *figures(struct scenario_run *run, struct dv_arena *arena)
{
    struct dv_error err = DV_ERROR_INIT;
    uint16_t kind = 0;
    void *body = NULL;
    EXPECT(dv_system_ask(run->kit, DV_BUS_ADDRESS, DV_KIND_kit_figures_query, NULL, 5000, arena,
                         &kind, &body, &err) == 0,
           "%s", err.text);
    EXPECT(kind == DV_KIND_kit_figures, "kind %u", (unsigned)kind);
    return body;
}

static const struct dv_cell_figures *row_of(const struct dv_kit_figures *all, const char *address)
{
    for (size_t i = 0; i < all->cells.count; i++)
        if (strcmp(all->cells.items[i].address, address) == 0)
            return &all->cells.items[i];
    EXPECT(false, "no figures of '%s'", address);
    return NULL;
}

static void ask_is_answered(struct scenario_run *run)
{
    expect(run, "a", "echo", 5, 0, "missed 5");
    expect(run, "a", "ask c echo", 6, 5000, "missed 6");
    expect(run, "c", "ask a ask b echo", 7, 5000, "missed 7");
    expect(run, "c", "ask c echo", 8, 5000, "missed 8");
}

static void handler_error_is_the_answer(struct scenario_run *run)
{
    expect(run, "c", "fail", 1, 0, "failure STATE told to fail: Device or resource busy");
    expect(run, "a", "ask c fail", 1, 5000, "failure STATE told to fail: Device or resource busy");
}

static void forgotten_request_is_answered(struct scenario_run *run)
{
    expect_error(run, "c", "forget", 0, "INTERNAL", "gave no answer");
}

static void unknown_address_is_undeliverable(struct scenario_run *run)
{
    expect_error(run, "nobody", "echo", 0, "UNDELIVERABLE", "'nobody'");
    expect_error(run, "a", "ask nobody echo", 5000, "UNDELIVERABLE", "'nobody'");
    expect(run, "a", "post nobody note", 1, 0, "done");
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    EXPECT(figures(run, arena)->undeliverable == 3, "not counted");
}

static void unknown_kind_is_answered(struct scenario_run *run)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    uint16_t kind = 0;
    void *body = NULL;
    struct dv_cell_ended ended = {.address = (char *)"x"};
    struct dv_failure failure = {.class = 1, .text = (char *)"x"};
    struct dv_error err = DV_ERROR_INIT;
    EXPECT(dv_system_ask(run->kit, "a", DV_KIND_cell_ended, &ended, 5000, arena, &kind, &body,
                         &err) == -DV_ERR_UNSUPPORTED,
           "%s", err.text);
    dv_error_clear(&err);
    EXPECT(dv_system_ask(run->kit, DV_BUS_ADDRESS, DV_KIND_failure, &failure, 5000, arena, &kind,
                         &body, &err) == -DV_ERR_UNSUPPORTED,
           "%s", err.text);
}

static void ask_times_out_once(struct scenario_run *run)
{
    expect_error(run, "a", "ask c keep", 30, "TIMED_OUT", "'c' did not answer exit_watch_cmd");
    expect(run, "c", "release", 1, 0, "done");
    expect(run, "a", "ask c echo", 3, 5000, "missed 3");
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    const struct dv_kit_figures *all = figures(run, arena);
    EXPECT(all->late == 1, "late %lld", (long long)all->late);
    EXPECT(row_of(all, "a")->asks_open == 0, "the ask is still open");
}

/* "ok busy other" of a flood that `address` was told by a post. */
static void flood_result(struct scenario_run *run, const char *address, int counts[3])
{
    char text[TEST_TEXT];
    expect_soon(run, address, "seen", "flood:", text);
    EXPECT(sscanf(strstr(text, "flood:"), "flood: %d %d %d", &counts[0], &counts[1], &counts[2]) ==
               3,
           "'%s'", text);
}

static void full_mailbox_is_busy(struct scenario_run *run)
{
    int counts[3];
    hold_back(run, "c");
    expect(run, "b", "post a flood c", 200, 600000, "done");
    /* Behind the flood: when this is answered, the bus has seen all of it. */
    expect(run, "b", "ask a echo", 1, 60000, "missed 1");
    let_go(run, "c");
    flood_result(run, "a", counts);
    EXPECT(counts[0] + counts[1] == 200, "%d %d %d", counts[0], counts[1], counts[2]);
    EXPECT(counts[0] >= MAILBOX_MIN && counts[0] <= MAILBOX + 1, "%d were taken", counts[0]);
    expect(run, "c", "echo", 1, 0, "missed 1");
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    EXPECT(figures(run, arena)->busy == counts[1], "not counted");
}

static void answers_are_held(struct scenario_run *run)
{
    int counts[3];
    expect(run, "b", "post c gateflood a", 500, 600000, "done");
    for (int i = 0;; i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        const struct dv_kit_figures *all = figures(run, arena);
        EXPECT(i < 1000, "%lld held", (long long)all->held);
        if (all->held < 500 - MAILBOX)
            continue;
        EXPECT(row_of(all, "c")->mailbox_depth >= MAILBOX_MIN, "the depth is not known");
        break;
    }
    let_go(run, "c");
    flood_result(run, "c", counts);
    EXPECT(counts[0] == 500, "%d %d %d", counts[0], counts[1], counts[2]);
}

/* "1:1 2:2 ... missed:n 101:1 ": the events before the gap, the gap, the one after. */
static void lost_events_are_told(struct scenario_run *run)
{
    char text[TEST_TEXT];
    expect(run, "c", "subscribe", 1, 0, "done");
    hold_back(run, "c");
    expect(run, "a", "publish", 100, 0, "done");
    let_go(run, "c");
    expect_soon(run, "c", "seen", "missed:", text);
    expect(run, "a", "publish", 1, 0, "done");
    expect_soon(run, "c", "seen", "101:1 ", text);
    const char *at = text + strlen("cells ");
    int next = 1;
    int number = 0;
    int used = 0;
    while (sscanf(at, "%d:%*d %n", &number, &used) == 1 && number == next) {
        at += used;
        next++;
    }
    EXPECT(next > MAILBOX_MIN && next <= MAILBOX + 2, "%d came: %s", next - 1, text);
    EXPECT(sscanf(at, "missed:%d %n", &number, &used) == 1 && number == next, "'%s'", at);
    EXPECT(strcmp(at + used, "101:1 ") == 0, "'%s'", at);
    expect(run, "c", "unsubscribe", 1, 0, "done");
    expect(run, "a", "publish", 1, 0, "done");
    test_tell(run->kit, "c", "seen", 1, 0, text);
    EXPECT(!strstr(text, "102:"), "'%s'", text);
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    EXPECT(figures(run, arena)->missed == 100 - (next - 1), "not counted");
}

static void stopped_address_is_free_again(struct scenario_run *run)
{
    struct dv_error err = DV_ERROR_INIT;
    expect(run, "a", "echo", 1, 0, "missed 1");
    EXPECT(spawn(run, "c", "run", &err) == -DV_ERR_EXISTS, "%s", err.text);
    for (int i = 0; i < 20; i++) {
        expect(run, "a", "stop c", 1, 0, "done");
        expect_error(run, "c", "echo", 0, "UNDELIVERABLE", "'c'");
        need_spawn(run, "c");
        expect(run, "c", "echo", 7, 0, "missed 7");
    }
    expect_error(run, "a", "stop nobody", 0, "NOT_FOUND", "'nobody'");
}

static void open_requests_fail_with_their_cell(struct scenario_run *run)
{
    char text[TEST_TEXT];
    expect(run, "b", "post a ask c keep", 1, 60000, "done");
    expect(run, "b", "ask a echo", 1, 60000, "missed 1");
    expect(run, "b", "stop c", 1, 0, "done");
    expect_soon(run, "a", "seen", "CANCELED", text);
}

static void ending_cell_cancels_its_asks(struct scenario_run *run)
{
    expect(run, "b", "post c ask a keep", 1, 60000, "done");
    expect(run, "b", "ask c echo", 1, 60000, "missed 1");
    expect(run, "b", "stop c", 1, 0, "done");
    EXPECT(__atomic_load_n(&run->env->canceled_asks, __ATOMIC_RELAXED) == 1, "not canceled");
    EXPECT(__atomic_load_n(&run->env->stopped_cells, __ATOMIC_RELAXED) == 1, "not stopped");
    expect(run, "a", "release", 1, 0, "done");
}

static void cell_ends_itself(struct scenario_run *run)
{
    expect(run, "c", "end", 1, 0, "done");
    expect_error(run, "c", "echo", 0, "UNDELIVERABLE", "'c'");
    for (int i = 0;; i++) {
        struct dv_error err = DV_ERROR_INIT;
        if (spawn(run, "c", "run", &err) == 0)
            break;
        EXPECT(err.class == DV_ERR_EXISTS && i < 10000, "%s", err.text);
    }
    expect(run, "c", "echo", 1, 0, "missed 1");
}

static void mailbox_of_an_ended_cell_is_undeliverable(struct scenario_run *run)
{
    int counts[3];
    hold_back(run, "c");
    expect(run, "a", "post c end", 1, 0, "done");
    expect(run, "b", "post a flood c", 10, 600000, "done");
    expect(run, "b", "ask a echo", 1, 60000, "missed 1");
    let_go(run, "c");
    flood_result(run, "a", counts);
    EXPECT(counts[2] == 10, "%d %d %d", counts[0], counts[1], counts[2]);
}

static void failed_start_is_told(struct scenario_run *run)
{
    struct dv_error err = DV_ERROR_INIT;
    EXPECT(spawn(run, "x", "fail", &err) == -DV_ERR_CORRUPT, "%s", err.text);
    EXPECT(strcmp(err.text, "start 'x': it was told so") == 0, "%s", err.text);
    need_spawn(run, "x");
    expect_error(run, "a", "spawn x run", 0, "EXISTS", "'x'");
    expect_error(run, "a", "spawn y fail", 0, "CORRUPT", "start 'y'");
    expect(run, "a", "spawn y run", 1, 0, "done");
    expect(run, "y", "echo", 4, 0, "missed 4");
    dv_error_clear(&err);
    EXPECT(dv_system_spawn(run->kit, "z", "no such type", NULL, &err) == -DV_ERR_NOT_FOUND, "%s",
           err.text);
}

static void mailbox_of_a_failed_start_is_undeliverable(struct scenario_run *run)
{
    char text[TEST_TEXT];
    int counts[3];
    expect(run, "b", "post a spawn x gatefail", 2, 60000, "done");
    expect(run, "b", "ask a echo", 1, 60000, "missed 1");
    expect(run, "b", "post c flood x", 1000, 60000, "done");
    expect(run, "b", "ask c echo", 1, 60000, "missed 1");
    let_go(run, "x");
    expect_soon(run, "a", "seen", "CORRUPT", text);
    flood_result(run, "c", counts);
    EXPECT(counts[2] == 1000, "%d %d %d", counts[0], counts[1], counts[2]);
    need_spawn(run, "x");
    expect(run, "x", "echo", 1, 0, "missed 1");
}

static void containers_share_hosts(struct scenario_run *run)
{
    char address[8] = "d0";
    for (int i = 0; i < 9; i++, address[1]++)
        need_spawn(run, address);
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    const struct dv_kit_figures *all = figures(run, arena);
    EXPECT(all->hosts == 1 + HOSTS && all->cells.count == 12, "%lld hosts, %zu cells",
           (long long)all->hosts, all->cells.count);
    for (address[1] = '0'; address[1] < '9'; address[1]++) {
        expect(run, address, "ask d3 echo", 9, 5000, "missed 9");
        expect(run, "a", "ask d3 ask d6 echo", 9, 5000, "missed 9");
    }
    expect(run, "a", "stop d5", 1, 0, "done");
    expect(run, "d8", "ask d2 echo", 9, 5000, "missed 9");
}

static void timers_fire_in_order(struct scenario_run *run)
{
    expect(run, "c", "timers", 1, 0, "cells ac");
}

static void ready_descriptor_is_told(struct scenario_run *run)
{
    char text[TEST_TEXT];
    expect(run, "b", "post c watch", 1, 0, "done");
    expect(run, "b", "ask c echo", 1, 5000, "missed 1");
    expect(run, "c", "poke", 1, 0, "done");
    expect_soon(run, "c", "seen", "65 ", text);
}

static void request_is_answered_by_another(struct scenario_run *run)
{
    expect(run, "a", "hand c", 1, 0, "missed 77");
    expect(run, "b", "ask a hand c", 1, 5000, "missed 77");
}

static void trace_copies_messages(struct scenario_run *run)
{
    char text[TEST_TEXT];
    int copies = 0;
    expect(run, "a", "trace", 1, 0, "done");
    for (int i = 0; i < 3; i++)
        expect(run, "c", "echo", 1, 0, "missed 1");
    test_tell(run->kit, "a", "count", 1, 0, text);
    EXPECT(sscanf(text, "missed %d", &copies) == 1 && copies >= 6, "'%s'", text);
    expect(run, "a", "trace", 2, 0, "done");
    test_tell(run->kit, "a", "count", 1, 0, text);
    (void)sscanf(text, "missed %d", &copies);
    expect(run, "c", "echo", 1, 0, "missed 1");
    snprintf(text, sizeof(text), "missed %d", copies);
    expect(run, "a", "count", 1, 0, text);
}

static void figures_are_counted(struct scenario_run *run)
{
    expect(run, "c", "random", 1, 0, "done");
    expect(run, "c", "fail", 1, 0, "failure STATE told to fail: Device or resource busy");
    expect(run, "b", "post c ask a keep", 1, 60000, "done");
    expect(run, "b", "ask c echo", 1, 60000, "missed 1");
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    const struct dv_cell_figures *row = row_of(figures(run, arena), "c");
    EXPECT(row->handled == 4 && row->failed == 1 && row->asks_open == 1 && row->mailbox_depth == 0,
           "%lld handled, %lld failed, %lld open, %lld waiting", (long long)row->handled,
           (long long)row->failed, (long long)row->asks_open, (long long)row->mailbox_depth);
}

#define SCENARIO(name)                                                                             \
    {                                                                                              \
#name, name                                                                                \
    }
const struct scenario scenarios[] = {
    SCENARIO(ask_is_answered),
    SCENARIO(handler_error_is_the_answer),
    SCENARIO(forgotten_request_is_answered),
    SCENARIO(unknown_address_is_undeliverable),
    SCENARIO(unknown_kind_is_answered),
    SCENARIO(ask_times_out_once),
    SCENARIO(full_mailbox_is_busy),
    SCENARIO(answers_are_held),
    SCENARIO(lost_events_are_told),
    SCENARIO(stopped_address_is_free_again),
    SCENARIO(open_requests_fail_with_their_cell),
    SCENARIO(ending_cell_cancels_its_asks),
    SCENARIO(cell_ends_itself),
    SCENARIO(mailbox_of_an_ended_cell_is_undeliverable),
    SCENARIO(failed_start_is_told),
    SCENARIO(mailbox_of_a_failed_start_is_undeliverable),
    SCENARIO(containers_share_hosts),
    SCENARIO(timers_fire_in_order),
    SCENARIO(ready_descriptor_is_told),
    SCENARIO(request_is_answered_by_another),
    SCENARIO(trace_copies_messages),
    SCENARIO(figures_are_counted),
    {NULL, NULL},
};

static void run_in(struct scenario_run *run, const struct scenario *scenario)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_exit_watch_cmd start = {.id = (char *)"run", .pid = 1};
    run->env->kit = run->kit;
    EXPECT(dv_system_spawn(run->kit, "a", "test_service", &start, &err) == 0, "%s", err.text);
    need_spawn(run, "b");
    need_spawn(run, "c");
    scenario->fn(run);
    EXPECT(dv_system_stop(run->kit, NULL, 20000, &err) == 0, "%s", err.text);
    dv_system_free(run->kit);
}

void scenario_run_threads(const struct scenario *scenario)
{
    struct test_env env = {0};
    struct scenario_run run = {.env = &env};
    struct dv_system_options options = {
        .types = test_types, .env = &env, .shared_hosts_max = HOSTS};
    struct dv_error err = DV_ERROR_INIT;
    EXPECT(pipe2(env.gate, O_CLOEXEC) == 0, "pipe");
    EXPECT(dv_system_new(&options, &run.kit, &err) == 0, "%s", err.text);
    run_in(&run, scenario);
    close(env.gate[0]);
    close(env.gate[1]);
}

uint64_t scenario_run_sim(const struct scenario *scenario, uint64_t seed)
{
    struct test_env env = {.is_sim = true};
    struct dv_clock_fake clock;
    dv_clock_fake_init(&clock, NS_PER_S, NS_PER_S);
    struct scenario_run run = {.env = &env, .clock = &clock};
    struct dv_system_options options = {
        .types = test_types, .env = &env, .shared_hosts_max = HOSTS};
    struct dv_error err = DV_ERROR_INIT;
    EXPECT(dv_system_new_sim(&options, &clock, seed, &run.kit, &err) == 0, "%s", err.text);
    run_in(&run, scenario);
    return env.trace;
}

const struct scenario *scenario_find(const char *name)
{
    for (const struct scenario *scenario = scenarios; scenario->name; scenario++)
        if (strcmp(scenario->name, name) == 0)
            return scenario;
    return NULL;
}
