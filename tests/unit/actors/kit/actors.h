/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A cell that does what a test tells it, for tests with threads, in simulation and for races. It
 * understands exit_watch_cmd{id: what to do, pid: a number, start_ticks: milliseconds}:
 *
 *   echo         answers missed{sequence: pid}
 *   fail         fails with STATE
 *   forget       returns without an answer
 *   keep         keeps the request
 *   release      answers all kept ones with done, then this one
 *   ask X op     asks X to do `op` with the same number, the time-out is start_ticks; answers with
 *                what came (a failure as a failure)
 *   hand X       lets X answer: forward here, adopt there
 *   flood X      asks X `pid` times to echo, answers when all have ended with cells{"ok busy
 * other"} post X op    posts `op` to X `pid` times, answers done publish      publishes `pid`
 * container_exited events subscribe, unsubscribe    to container_exited seen         answers
 * cells{one text for each event or missed that came} count        answers missed{sequence: posts of
 * `note` that came} note         counts timers       sets three timers, cancels the middle one,
 * answers cells{order of firing} gate         waits until the test opens the gate (threads only)
 *   end          answers done, then ends itself
 *   spawn X how  starts a cell, a service if the number is 2; how: run, fail, gatefail
 *   stop X       ends it
 *   trace        copies of all messages on (1) or off; they count as notes
 *   watch        watches the read end of a pipe; `poke` writes; answered with missed{byte}
 */
#include "actors/kit/system.h"

struct test_env {
    int gate[2];       /* with threads: a pipe, `gate` reads one byte */
    int stopped_cells; /* counted with atomics */
    int canceled_asks; /* likewise */
    bool is_sim;       /* the rest is for simulations only */
    uint64_t trace;    /* of everything that happened, in its order */
    int open_gates;
    int waiting;
    struct dv_system *kit;
};

extern const struct dv_cell_type test_service;
extern const struct dv_cell_type test_container;
extern const struct dv_cell_type *const test_types[];

/* Tells `to` to do it; the answer as text: "done", "missed 5", "cells a,b", "failure STATE ...".
 * Needs TEST_TEXT bytes; returns `text`. */
#define TEST_TEXT 4096
char *test_tell(struct dv_system *system,
                const char *to,
                const char *what,
                int64_t number,
                int64_t ms,
                char text[TEST_TEXT]);
