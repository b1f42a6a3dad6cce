/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What tests of a real davit-monitor play on: its folder, both connections of a daemon, and
 * containers of a fake runtime (fake_runtime.c). All mounts are made in a mount namespace of the
 * test's own. The test is a subreaper, so what the monitor leaves ends up here. One in a test, one
 * thread; the test starts the monitor itself. Whatever fails, fails the test.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "base/error.h"
#include "monitor/client.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define WAIT_NS  30000000000LL
#define GRACE_NS 300000000LL

struct stage {
    char run_dir[64];
    char socket_path[96];
    struct dv_error err;
    pid_t monitor; /* 0: none; ended with the stage */
    struct dv_launcher *launcher;
    struct dv_exit_source *exits;
    struct dv_exit_watch_cmd started[256]; /* containers; what still runs is killed in the end */
    size_t started_count;
};
extern struct stage stage;

/* The namespace and the folder. */
void stage_setup(void);
/* `.fini` of the suite. */
void stage_teardown(void);

int64_t now_ns(void);
/* Looks again and again until the deadline. */
#define wait_for(condition, what)                                                                  \
    do {                                                                                           \
        int64_t until_ = now_ns() + WAIT_NS;                                                       \
        while (!(condition)) {                                                                     \
            cr_assert_lt(now_ns(), until_, "in vain: %s", (what));                                 \
            (void)poll(NULL, 0, 5);                                                                \
        }                                                                                          \
    } while (0)

/* A file of the container's folder; "": the folder. */
void path_to(char ret[static 256], const char *id, const char *name);
/* Of a folder. */
unsigned entries_of(const char *path);

/* A connection to the monitor; -1: it does not listen. */
int connect_raw(void);
void await_monitor(void);
/* Sends the signal and waits for the end; the exit code. */
int end_monitor(int number);
unsigned descriptors_of_monitor(void);
unsigned exit_records(void);

/* The daemon's two connections. */
void open_launcher(void);
void open_exits(void);

/* The container's folder, and the FIFOs of its three streams. */
void make_place(const char *id, bool has_fifos);
/* Runs `script` as a container with a terminal, or with FIFOs; the "runtime" has ended when this
 * returns. `runtime` is a shell script that runs it all, NULL: the fake runtime alone. */
struct dv_exit_watch_cmd
launch(const char *runtime, const char *id, const char *script, bool is_tty);
void watch(const struct dv_exit_watch_cmd *cmd);
/* As the daemon does: waits on the one descriptor and the deadline, and acknowledges. */
struct dv_container_exited next_exit(struct dv_arena *arena);
void expect_exit(const char *id, int code);

/* To a stream that is attached. */
void type(int fd, const char *text);
/* A script that says what it reads and ends with code 7 behind the line "end". */
#define ECHO "while read x; do echo \"got $x\"; test \"$x\" = end && exit 7; done; exit 1"
