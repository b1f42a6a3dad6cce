/* SPDX-License-Identifier: Apache-2.0 */
#include "actors.h"

#include "base/arena.h"
#include "base/buf.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEPT_MAX 512

struct state {
    struct dv_request *kept[KEPT_MAX];
    size_t kept_count;
    struct dv_buf seen;
    int64_t notes;
    int pipe[2];
    struct dv_request *watcher;
    struct dv_request *timer_waiter;
    struct dv_buf fired;
};

static void bump(int *counter)
{
    __atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static struct test_env *env_of(const struct dv_cell *cell)
{
    return (struct test_env *)dv_cell_env(cell);
}

/* What happened to a command that was posted: nobody waits for its answer. */
static void remember(struct dv_cell *cell, const char *what)
{
    struct state *state = dv_cell_state(cell);
    if (dv_buf_printf(&state->seen, NULL, "%s ", what) < 0)
        abort();
}

/* The order of everything that happened, as one number. Only in simulations: no other thread. */
static void trace(struct dv_cell *cell, const char *what, int64_t number)
{
    struct test_env *env = env_of(cell);
    if (!env->is_sim)
        return;
    char line[512];
    snprintf(line, sizeof(line), "%s %s %s %lld %lld", dv_cell_address(cell), dv_cell_sender(cell),
             what, (long long)number, (long long)dv_clock_monotonic_ns(dv_cell_clock(cell)));
    for (const char *c = line; *c; c++)
        env->trace = (env->trace ^ (unsigned char)*c) * UINT64_C(1099511628211);
}

/* Nothing more from the mailbox until the test opens the gate. */
static void wait_gate(struct dv_cell *cell)
{
    struct test_env *env = env_of(cell);
    char byte;
    if (!env->is_sim) {
        if (read(env->gate[0], &byte, 1) != 1)
            abort();
        return;
    }
    if (env->open_gates > 0) {
        env->open_gates--;
        return;
    }
    env->waiting++;
    dv_sim_delay(env->kit, dv_cell_address(cell),
                 dv_clock_monotonic_ns(dv_cell_clock(cell)) + INT64_C(3600000000000));
}

static int on_start(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    const struct dv_exit_watch_cmd *cmd = start;
    struct state *state = dv_cell_state(cell);
    state->seen = DV_BUF_INIT(1 << 20);
    state->fired = DV_BUF_INIT(1 << 10);
    state->pipe[0] = state->pipe[1] = -1;
    if (strcmp(cmd->id, "gatefail") == 0)
        wait_gate(cell);
    if (strcmp(cmd->id, "run") != 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "it was told so");
    return 0;
}

static void on_stop(struct dv_cell *cell)
{
    struct state *state = dv_cell_state(cell);
    dv_buf_done(&state->seen);
    dv_buf_done(&state->fired);
    dv_close(&state->pipe[0]);
    dv_close(&state->pipe[1]);
    bump(&env_of(cell)->stopped_cells);
}

static void answer_number(struct dv_cell *cell, struct dv_request **request, int64_t number)
{
    struct dv_missed answer = {.kind = 1, .sequence = number};
    char text[32];
    snprintf(text, sizeof(text), "%lld", (long long)number);
    if (!*request) {
        remember(cell, text);
        return;
    }
    dv_answer(cell, request, DV_KIND_missed, &answer);
}

static void answer_text(struct dv_cell *cell, struct dv_request **request, const char *text)
{
    char *items[] = {(char *)text};
    struct dv_cells answer = {.addresses = {items, 1}};
    dv_answer(cell, request, DV_KIND_cells, &answer);
}

/* ask, spawn, stop: the answer of the other is the answer. */
static void pass_on(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_request *request = ctx;
    if (outcome->error && outcome->error->class == DV_ERR_CANCELED &&
        strstr(outcome->error->text, dv_cell_address(cell)))
        bump(&env_of(cell)->canceled_asks);
    if (!request)
        remember(cell, outcome->error ? dv_error_name(outcome->error->class) : "ok");
    else if (outcome->error)
        dv_answer_error(cell, &request, outcome->error);
    else
        dv_answer(cell, &request, outcome->kind, outcome->body);
}

struct flood {
    struct dv_request *request;
    int64_t left;
    int ok;
    int busy;
    int other;
};

static void flood_outcome(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct flood *flood = ctx;
    trace(cell, "outcome", outcome->kind);
    if (!outcome->error)
        flood->ok++;
    else if (outcome->error->class == DV_ERR_BUSY)
        flood->busy++;
    else
        flood->other++;
    if (--flood->left > 0)
        return;
    char text[64];
    snprintf(text, sizeof(text), "flood: %d %d %d", flood->ok, flood->busy, flood->other);
    if (flood->request)
        answer_text(cell, &flood->request, text);
    else
        remember(cell, text);
    free(flood);
}

static void flood(struct dv_cell *cell,
                  const struct dv_exit_watch_cmd *cmd,
                  const char *to,
                  struct dv_request **request)
{
    struct flood *flood = calloc(1, sizeof(*flood));
    flood->request = dv_steal(request);
    flood->left = cmd->pid;
    struct dv_exit_watch_cmd echo = {.id = (char *)"echo", .pid = 1};
    for (int64_t i = 0, count = cmd->pid; i < count; i++)
        dv_ask(cell, to, DV_KIND_exit_watch_cmd, &echo, cmd->start_ticks, flood_outcome, flood);
}

static void on_timer(struct dv_cell *cell, void *ctx)
{
    struct state *state = dv_cell_state(cell);
    if (dv_buf_append_str(&state->fired, ctx, NULL) == 0 && strcmp(ctx, "c") == 0)
        answer_text(cell, &state->timer_waiter, state->fired.data);
}

static void set_timers(struct dv_cell *cell, struct dv_request **request)
{
    struct state *state = dv_cell_state(cell);
    state->timer_waiter = dv_steal(request);
    (void)dv_timer_set(cell, 30, on_timer, (void *)"c");
    uint64_t middle = dv_timer_set(cell, 20, on_timer, (void *)"b");
    (void)dv_timer_set(cell, 10, on_timer, (void *)"a");
    dv_timer_cancel(cell, middle);
    dv_timer_cancel(cell, middle);
    dv_timer_cancel(cell, UINT64_MAX);
}

static void on_ready(struct dv_cell *cell, int fd, short events, void *ctx)
{
    struct state *state = ctx;
    unsigned char byte = 0;
    if (!(events & POLLIN) || read(fd, &byte, 1) != 1)
        return;
    if (dv_watch(cell, fd, 0, NULL, NULL, NULL) == 0)
        answer_number(cell, &state->watcher, byte);
}

static int watch(struct dv_cell *cell, struct dv_request **request, struct dv_error *err)
{
    struct state *state = dv_cell_state(cell);
    if (pipe2(state->pipe, O_CLOEXEC) != 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "pipe");
    int r = dv_watch(cell, state->pipe[0], POLLIN, on_ready, state, err);
    if (r == 0)
        state->watcher = dv_steal(request);
    return r;
}

static void publish(struct dv_cell *cell, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        struct dv_container_exited event = {.id = (char *)"x", .pid = i + 1};
        dv_publish(cell, DV_KIND_container_exited, &event);
    }
}

static void release(struct dv_cell *cell)
{
    struct state *state = dv_cell_state(cell);
    while (state->kept_count > 0)
        dv_answer_done(cell, &state->kept[--state->kept_count]);
}

/* Ends a word at its blank; returns what follows, maybe nothing. */
static char *cut(char *word)
{
    char *blank = strchr(word, ' ');
    if (!blank)
        return word + strlen(word);
    *blank = '\0';
    return blank + 1;
}

/* Words with a second address: "ask X op". */
static int do_to(struct dv_cell *cell,
                 const struct dv_exit_watch_cmd *cmd,
                 char *verb,
                 struct dv_request **request,
                 struct dv_error *err)
{
    char *to = cut(verb);
    char *rest = cut(to);
    struct dv_exit_watch_cmd told = {
        .id = rest[0] ? rest : (char *)"run", .pid = cmd->pid, .start_ticks = cmd->start_ticks};
    if (strcmp(verb, "ask") == 0) {
        dv_ask(cell, to, DV_KIND_exit_watch_cmd, &told, cmd->start_ticks, pass_on,
               dv_steal(request));
    } else if (strcmp(verb, "post") == 0) {
        dv_post(cell, to, DV_KIND_exit_watch_cmd, &told);
        dv_answer_done(cell, request);
    } else if (strcmp(verb, "flood") == 0) {
        flood(cell, cmd, to, request);
    } else if (strcmp(verb, "gateflood") == 0) {
        flood(cell, cmd, to, request);
        wait_gate(cell);
    } else if (strcmp(verb, "spawn") == 0) {
        dv_spawn(cell, to, cmd->pid == 2 ? "test_service" : "test_container", &told, 5000, pass_on,
                 dv_steal(request));
    } else if (strcmp(verb, "stop") == 0) {
        dv_stop_cell(cell, to, 5000, pass_on, dv_steal(request));
    } else if (strcmp(verb, "hand") == 0) {
        char text[128];
        snprintf(text, sizeof(text), "adopted %s %lld", dv_request_reply_to(*request),
                 (long long)dv_request_correlation(*request));
        told.id = text;
        dv_post(cell, to, DV_KIND_exit_watch_cmd, &told);
        dv_request_forward(cell, request);
    } else if (strcmp(verb, "adopted") == 0) {
        struct dv_request *adopted = dv_request_adopt(cell, to, strtoll(rest, NULL, 10), 0);
        answer_number(cell, &adopted, 77);
    } else {
        return dv_error_set(err, DV_ERR_INVALID, "cannot %s", verb);
    }
    return 0;
}

static int on_simple(struct dv_cell *cell,
                     const struct dv_exit_watch_cmd *cmd,
                     struct dv_request **request,
                     struct dv_error *err)
{
    struct state *state = dv_cell_state(cell);
    const char *verb = cmd->id;
    if (strcmp(verb, "echo") == 0)
        answer_number(cell, request, cmd->pid);
    else if (strcmp(verb, "fail") == 0)
        return dv_error_sys(err, DV_ERR_STATE, EBUSY, "told to fail");
    else if (strcmp(verb, "keep") == 0)
        state->kept[state->kept_count++] = dv_steal(request);
    else if (strcmp(verb, "note") == 0)
        state->notes++;
    else if (strcmp(verb, "count") == 0)
        answer_number(cell, request, state->notes);
    else if (strcmp(verb, "timers") == 0)
        set_timers(cell, request);
    else if (strcmp(verb, "watch") == 0)
        return watch(cell, request, err);
    else if (strcmp(verb, "seen") == 0)
        answer_text(cell, request, state->seen.data ? state->seen.data : "");
    else
        return 1;
    return 0;
}

static int
on_told(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    const struct dv_exit_watch_cmd *cmd = body;
    struct state *state = dv_cell_state(cell);
    char verb[160];
    snprintf(verb, sizeof(verb), "%s", cmd->id);
    trace(cell, verb, cmd->pid);
    int r = on_simple(cell, cmd, request, err);
    if (r <= 0)
        return r;
    if (strchr(verb, ' '))
        return do_to(cell, cmd, verb, request, err);
    if (strcmp(verb, "forget") == 0)
        return 0;
    if (strcmp(verb, "release") == 0)
        release(cell);
    else if (strcmp(verb, "publish") == 0)
        publish(cell, cmd->pid);
    else if (strcmp(verb, "subscribe") == 0)
        dv_subscribe(cell, DV_KIND_container_exited);
    else if (strcmp(verb, "unsubscribe") == 0)
        dv_unsubscribe(cell, DV_KIND_container_exited);
    else if (strcmp(verb, "trace") == 0)
        dv_post(cell, DV_BUS_ADDRESS, DV_KIND_trace_cmd,
                &(struct dv_trace_cmd){.is_on = cmd->pid == 1});
    else if (strcmp(verb, "poke") == 0 && write(state->pipe[1], "A", 1) != 1)
        return dv_error_sys(err, DV_ERR_IO, errno, "poke");
    else if (strcmp(verb, "gate") == 0)
        wait_gate(cell);
    else if (strcmp(verb, "random") == 0)
        trace(cell, "random", (int64_t)dv_cell_random(cell));
    else if (strcmp(verb, "end") == 0)
        dv_cell_end(cell);
    if (*request)
        dv_answer_done(cell, request);
    return 0;
}

static int
on_event(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    const struct dv_container_exited *event = body;
    struct state *state = dv_cell_state(cell);
    trace(cell, "event", dv_cell_sequence(cell));
    int r = dv_buf_printf(&state->seen, err, "%lld:%lld ", (long long)dv_cell_sequence(cell),
                          (long long)event->pid);
    if (r == 0 && *request)
        dv_answer_done(cell, request);
    return r;
}

static int
on_missed(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    const struct dv_missed *missed = body;
    struct state *state = dv_cell_state(cell);
    return dv_buf_printf(&state->seen, err, "missed:%lld ", (long long)missed->sequence);
}

static int
on_traced(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)request;
    (void)err;
    ((struct state *)dv_cell_state(cell))->notes++;
    return 0;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_exit_watch_cmd, on_told},
    {DV_KIND_container_exited, on_event},
    {DV_KIND_missed, on_missed},
    {DV_KIND_traced, on_traced},
};

#define COMMON                                                                                     \
    .state_size = sizeof(struct state), .handlers = handlers,                                      \
    .handler_count = sizeof(handlers) / sizeof(handlers[0]), .start_kind = DV_KIND_exit_watch_cmd, \
    .start = on_start, .stop = on_stop

const struct dv_cell_type test_service = {.name = "test_service", .is_service = true, COMMON};
const struct dv_cell_type test_container = {.name = "test_container", COMMON};
const struct dv_cell_type *const test_types[] = {&test_service, &test_container, NULL};

static void print(uint16_t kind, const void *body, char text[TEST_TEXT])
{
    if (kind == DV_KIND_done) {
        snprintf(text, TEST_TEXT, "done");
    } else if (kind == DV_KIND_missed) {
        snprintf(text, TEST_TEXT, "missed %lld",
                 (long long)((const struct dv_missed *)body)->sequence);
    } else if (kind == DV_KIND_cells) {
        const struct dv_cells *cells = body;
        snprintf(text, TEST_TEXT, "cells %s", cells->addresses.items[0]);
    } else {
        snprintf(text, TEST_TEXT, "kind %u", (unsigned)kind);
    }
}

char *test_tell(struct dv_system *system,
                const char *to,
                const char *what,
                int64_t number,
                int64_t ms,
                char text[TEST_TEXT])
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    struct dv_exit_watch_cmd cmd = {.id = (char *)what, .pid = number, .start_ticks = ms};
    struct dv_error err = DV_ERROR_INIT;
    uint16_t kind = 0;
    void *body = NULL;
    if (dv_system_ask(system, to, DV_KIND_exit_watch_cmd, &cmd, 20000, arena, &kind, &body, &err) <
        0)
        snprintf(text, TEST_TEXT, "failure %s %s", dv_error_name(err.class), err.text);
    else
        print(kind, body, text);
    return text;
}
