/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Starting programs and knowing processes. A program is started by posix_spawn (forking a threaded
 * process is unsafe) with an explicit list of descriptors: every other one is closed, every signal
 * has its default action and none is blocked. Processes are known by pid and start time, signalled
 * and waited for through pidfds. Any thread; nothing waits for a process.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DV_SPAWN_FDS_MAX 16

/* Descriptor `from` of this process becomes `to` in the new one. */
struct dv_spawn_fd {
    int from;
    int to;
};

struct dv_spawn {
    const char *path; /* absolute; no search along PATH */
    const char *const *argv;
    const char *const *envp; /* NULL: an empty environment */
    const struct dv_spawn_fd *fds;
    size_t fd_count;
    const char *cwd;  /* NULL: as this process */
    bool own_session; /* the new process leads its own session and group */
};

/* *ret_pid is a child to be reaped by the caller. NOT_FOUND when there is no such program, DENIED
 * when it may not be run, LIMIT when the machine has no room for a process. */
__attribute__((warn_unused_result)) int
dv_spawn_start(const struct dv_spawn *what, pid_t *ret_pid, struct dv_error *err);

/* A pidfd (close-on-exec) of the process with that pid whose start time is `start_ticks` (0: any),
 * or -1 with errno: ESRCH when it has ended or the pid belongs to another process now. */
int dv_pidfd_open(pid_t pid, int64_t start_ticks);

/* 0, or -1 with errno; ESRCH when the process has ended. */
int dv_pidfd_signal(int pidfd, int number);

/* True and the wait status of a process that has ended and was reaped by its parent, where the
 * kernel keeps it (Linux >= 6.15). False: still there, or not known. */
bool dv_pidfd_exit_status(int pidfd, int *ret_status);

/* True and the wait status of a process that has ended and was not reaped yet. */
bool dv_process_zombie_status(pid_t pid, int64_t start_ticks, int *ret_status);

/* Field 22 of /proc/<pid>/stat; 0 when there is no such process. A zombie still has one. */
int64_t dv_process_start_ticks(pid_t pid);

/* A wait status as an exit code: 128 + signal for a death by signal. */
int dv_exit_code_of(int status);
