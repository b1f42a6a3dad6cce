/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * davitd's side of davit-monitor: the launcher (runtime/launcher.h) and the exit source
 * (runtime/exits.h). Both connect when they are first needed, and again when the monitor was
 * restarted. An object belongs to one thread.
 */
#include "base/clock.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/exits.h"
#include "runtime/launcher.h"

#include <stdbool.h>
#include <stdint.h>

/* One connection, one launch at a time; launch() blocks. Without a monitor launch() fails with
 * UNAVAILABLE and an errno. */
__attribute__((warn_unused_result)) int
dv_monitor_launcher_new(const char *socket_path, struct dv_launcher **ret, struct dv_error *err);

struct dv_monitor_exits_options {
    const char *run_dir;
    const struct dv_clock *clock;
    int64_t grace_ns; /* an end seen here waits so long for the monitor's exit code */
};

/* Nothing blocks. Per watched container it holds a pidfd, which sees the end also while the monitor
 * is away, and the reading ends of its FIFOs or its terminal, so that a dead monitor costs no byte
 * of output and hangs nobody up. */
__attribute__((warn_unused_result)) int
dv_monitor_exits_new(const struct dv_monitor_exits_options *options,
                     struct dv_exit_source **ret,
                     struct dv_error *err);

/* Connections for the streams of a container, and of one more process in it: the monitor's answer
 * (monitor_attached or failure) is for whoever gets the descriptor, who can do nothing else with
 * it. Any thread; nothing blocks, and the descriptor is non-blocking. */
__attribute__((warn_unused_result)) int dv_monitor_attach(const char *socket_path,
                                                          const struct dv_monitor_attach *what,
                                                          int *ret_fd,
                                                          struct dv_error *err);
__attribute__((warn_unused_result)) int dv_monitor_exec(const char *socket_path,
                                                        const struct dv_monitor_exec *what,
                                                        int *ret_fd,
                                                        struct dv_error *err);
