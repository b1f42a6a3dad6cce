/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The control thread of davit-monitor: clients, launches, reaping. It never touches a disk: all its
 * files are below the run directory, a tmpfs. What it shares with control_*.c is here; private to
 * monitor/.
 */
#include "base/buf.h"
#include "messages/messages.h"
#include "monitor/containers.h"
#include "monitor/log.h"
#include "monitor/records.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define MON_PROGRAM      "0.1.0" /* version of davit-monitor */
#define MON_CLIENTS_MAX  256
#define MON_LAUNCHES_MAX 256
#define MON_STRAYS_MAX   1024
#define MON_STREAMS_MAX  64 /* clients of streams that are not connected to them yet */

/* What an epoll event is about. */
enum mon_source {
    MON_LISTENER,
    MON_SIGNALS,
    MON_CLIENT,
    MON_LAUNCH_OUTPUT,
    MON_LAUNCH_CONSOLE,
    MON_CONTAINER, /* a pidfd of an adopted one */
};

struct mon_client {
    enum mon_source source;
    struct mon_client *next;
    int fd;
    bool has_said_hello;
    int version; /* of the protocol, agreed with it */
    bool wants_exits;
    bool wants_consoles; /* knows what they are */
    bool must_tell_consoles;
    bool is_stream; /* may be a stranger's: one request, then it goes to the log thread */
    bool is_dead;
    int64_t told;    /* newest exit record that was sent */
    char *waits_for; /* container whose streams it wants as soon as there are any */
    int64_t rows;    /* of its terminal, 0: not known */
    int64_t columns;
};

/* The socket over which a runtime passes a terminal. */
struct mon_console_socket {
    enum mon_source source;
    bool is_connected;
    struct mon_launch *launch;
    int fd;       /* the listener, then the connection; -1: none, or done */
    int terminal; /* what came over it, -1: nothing yet */
};

struct mon_launch {
    enum mon_source source;
    struct mon_launch *next;
    struct mon_client *client; /* NULL: it is gone, nobody waits */
    uint64_t sequence;
    /* Writing ends of the FIFOs: a program that fails before it opens them would otherwise never
     * let the log thread see an end. */
    int streams[2];
    struct mon_console_socket console;
    const char *exec_id; /* container in which this starts one more process, else NULL */
    const char *exec_process;
    int exec_own[3]; /* this side of its streams: input, output, errors */
    int exec_its[3];
    pid_t pid;  /* of davit-launch, which becomes the program */
    int output; /* its standard error, -1: closed */
    struct dv_buf text;
    int64_t deadline_ns;
    bool is_timed_out;
    struct dv_arena *arena;
    const struct dv_monitor_launch *what;
};

/* A child that ended while nobody knew it: perhaps the init of a create in progress. */
struct mon_stray {
    pid_t pid;
    int status;
    int64_t wall_ns;
    uint64_t sequence; /* of the newest launch then */
};

/* A process that an exec started. */
struct mon_exec {
    struct mon_exec *next;
    pid_t pid;
    uint64_t sequence; /* of its launch */
};

/* The container's side of its terminal, held open. */
struct mon_tty {
    struct mon_tty *next;
    pid_t pid; /* of its init process */
    int fd;
};

struct mon_adopted {
    enum mon_source source;
    pid_t pid;
    struct mon_adopted *next;
};

struct monitor {
    char run_dir[PATH_MAX - 256];
    char launch_program[PATH_MAX];
    char program[PATH_MAX];  /* file of this program, which an upgrade has replaced */
    const char *const *argv; /* of this process, without --take-state */
    int lock;
    int epoll;
    int listener;
    int signals;
    enum mon_source listener_source;
    enum mon_source signals_source;
    struct mon_client *clients;
    unsigned client_count;
    struct mon_launch *launches;
    unsigned launch_count;
    uint64_t launch_sequence; /* of the newest */
    struct mon_stray strays[MON_STRAYS_MAX];
    unsigned stray_count;
    struct mon_exec *execs;
    struct mon_tty *ttys;
    struct mon_adopted *adopted;
    struct mon_containers *containers;
    struct mon_records *records;
    struct dv_log_thread *log;
    bool must_upgrade;
    bool has_taken_over; /* all below comes from the program that this process was before */
};

/* Runs until SIGTERM or SIGINT; containers are left alone. */
int mon_control_run(struct monitor *m, struct dv_error *err);

/* control.c */
#define MON_CONSOLE_VERSION 2 /* of the protocol: the oldest with terminals */
void mon_welcome(struct mon_client *client);
void mon_watch(struct monitor *m, int fd, void *source); /* an object that begins with mon_source */

/* control_upgrade.c: becomes the program in m->program, or returns, has said why in the log, and
 * everything goes on. */
void mon_upgrade(struct monitor *m);
/* The other side of it, in the new program: whether it would take over the state in `fd`. */
__attribute__((warn_unused_result)) int mon_check_state(int fd, struct dv_error *err);

/* control_take.c: what the program before has left in `fd`. */
__attribute__((warn_unused_result)) int
mon_take_head(struct monitor *m, int fd, struct dv_error *err);
__attribute__((warn_unused_result)) int
mon_take_state(struct monitor *m, int fd, struct dv_error *err);

/* control_launch.c */
struct mon_launch *mon_launch_new(struct monitor *m, struct mon_client *client);
void mon_launch_free(struct monitor *m, struct mon_launch *launch);
void mon_launch_begin(struct monitor *m,
                      struct mon_client *client,
                      const struct dv_monitor_launch *what);
void mon_launch_output(struct monitor *m, struct mon_launch *launch);
/* A child ended; false if it is no launch. */
bool mon_launch_ended(struct monitor *m, pid_t pid, int status);
/* Kills what is over its time; returns how long until the next is, -1: none. */
int mon_launch_check_time(struct monitor *m);
void mon_launch_forget_client(struct monitor *m, const struct mon_client *client);

/* One of an exec; `exec` is NULL for all others. */
void mon_launch_begin_in(struct monitor *m,
                         struct mon_client *client,
                         const struct dv_monitor_launch *what,
                         const struct dv_monitor_exec *exec);
void mon_refuse(struct mon_client *client, const struct dv_error *error);

/* control_console.c */
__attribute__((warn_unused_result)) int
mon_console_listen(struct monitor *m, struct mon_launch *launch, struct dv_error *err);
/* Takes what has come by now. */
void mon_console_event(struct monitor *m, struct mon_launch *launch);
void mon_console_close(struct monitor *m, struct mon_launch *launch);
/* A container has its terminal: the log thread and davitd get theirs. */
void mon_console_has(struct monitor *m,
                     struct mon_container *container,
                     int terminal,
                     const struct dv_monitor_log *log);
/* Its container has ended. */
void mon_console_ended(struct monitor *m, const struct mon_container *container);
/* Those that the service manager kept. */
void mon_console_restore(struct monitor *m);
/* davitd gives one back. */
void mon_console_take(struct monitor *m, const struct dv_monitor_console *what, int terminal);
void mon_console_tell_all(struct monitor *m, struct mon_client *client);

/* control_stream.c */
void mon_stream_attach(struct monitor *m,
                       struct mon_client *client,
                       const struct dv_monitor_attach *what);
/* There are streams of that container now: who waits for them gets them. */
void mon_stream_begin(
    struct monitor *m, const char *id, bool is_tty, bool takes_input, int terminal);
void mon_stream_exec(struct monitor *m,
                     struct mon_client *client,
                     const struct dv_monitor_exec *what);
__attribute__((warn_unused_result)) int mon_exec_open(struct mon_launch *launch,
                                                      struct dv_error *err);
void mon_exec_started(struct monitor *m, struct mon_launch *launch, pid_t pid);
/* A child ended; false if no exec started it. */
bool mon_exec_ended(struct monitor *m, pid_t pid, int status);

/* control_exit.c */
void mon_reap(struct monitor *m);
void mon_exit_of_container(
    struct monitor *m, struct mon_container *container, int status, bool is_known, int64_t wall_ns);
/* A create succeeded: the container may have ended already. */
void mon_adopt_strays(struct monitor *m, struct mon_container *container);
/* The end of a process that nobody knew when it ended; false if it has not. */
bool mon_take_stray(struct monitor *m, pid_t pid, struct mon_stray *ret);
/* A launch ended: what no running one can be about is dropped. */
void mon_forget_strays(struct monitor *m);
void mon_tell_exits(struct monitor *m);
/* After a start of the monitor: containers that it did not launch. */
void mon_take_over(struct monitor *m);
/* One that is no child of this process: its pidfd tells the end. */
void mon_watch_adopted(struct monitor *m, const struct mon_container *container);
void mon_adopted_ended(struct monitor *m, struct mon_adopted *adopted);
