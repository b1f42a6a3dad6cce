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

#define MON_CLIENTS_MAX  256
#define MON_LAUNCHES_MAX 256
#define MON_STRAYS_MAX   1024

/* What an epoll event is about. */
enum mon_source {
    MON_LISTENER,
    MON_SIGNALS,
    MON_CLIENT,
    MON_LAUNCH_OUTPUT,
    MON_CONTAINER, /* a pidfd of an adopted one */
};

struct mon_client {
    enum mon_source source;
    struct mon_client *next;
    int fd;
    bool has_said_hello;
    bool wants_exits;
    bool is_dead;
    int64_t told; /* newest exit record that was sent */
};

struct mon_launch {
    enum mon_source source;
    struct mon_launch *next;
    struct mon_client *client; /* NULL: it is gone, nobody waits */
    uint64_t sequence;
    /* Writing ends of the FIFOs: a program that fails before it opens them would otherwise never
     * let the log thread see an end. */
    int streams[2];
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

struct mon_adopted {
    enum mon_source source;
    pid_t pid;
};

struct monitor {
    char run_dir[PATH_MAX - 256];
    char launch_program[PATH_MAX];
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
    struct mon_containers *containers;
    struct mon_records *records;
    struct dv_log_thread *log;
};

/* Runs until SIGTERM or SIGINT; containers are left alone. */
int mon_control_run(struct monitor *m, struct dv_error *err);

/* control_launch.c */
void mon_launch_begin(struct monitor *m,
                      struct mon_client *client,
                      const struct dv_monitor_launch *what);
void mon_launch_output(struct monitor *m, struct mon_launch *launch);
/* A child ended; false if it is no launch. */
bool mon_launch_ended(struct monitor *m, pid_t pid, int status);
/* Kills what is over its time; returns how long until the next is, -1: none. */
int mon_launch_check_time(struct monitor *m);
void mon_launch_forget_client(struct monitor *m, const struct mon_client *client);

/* control_exit.c */
void mon_reap(struct monitor *m);
void mon_exit_of_container(
    struct monitor *m, struct mon_container *container, int status, bool is_known, int64_t wall_ns);
/* A create succeeded: the container may have ended already. */
void mon_adopt_strays(struct monitor *m, struct mon_container *container);
/* A launch ended: what no running one can be about is dropped. */
void mon_forget_strays(struct monitor *m);
void mon_tell_exits(struct monitor *m);
/* After a start of the monitor: containers that it did not launch. */
void mon_take_over(struct monitor *m);
void mon_adopted_ended(struct monitor *m, struct mon_adopted *adopted);
