/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The port through which programs are started. The implementation of the daemon asks davit-monitor
 * (monitor/client.h), so that the monitor becomes the parent of every container; tests start
 * programs themselves. A call blocks until the program has ended or the deadline passed (then it is
 * killed), so only worker actors call it. An implementation may be called by several threads at
 * once when each has its own `struct dv_launcher`.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_LAUNCH_STDERR_MAX (64U << 10) /* bytes kept of the program's standard error */

/* What davit-launch mounts, in a mount namespace of its own, before it starts the program; NULL
 * target: nothing. Paths are absolute; layer names are relative to `layers_dir`, topmost first. The
 * target directory is made if it is missing; whoever releases the container removes it. Without
 * `upper` the mount is read-only. */
struct dv_launch_rootfs {
    const char *layers_dir;
    const char *const *lower; /* NULL-terminated */
    const char *upper;
    const char *work;
    const char *target; /* directory below the monitor's private mount */
};

/* Streams of a container: FIFOs, each opened O_RDWR, or NULL for /dev/null. All NULL: the program
 * has /dev/null as standard input and output, and its standard error is captured. With `console`
 * the runtime passes a terminal over a socket at that path, which is made for it, and the others
 * are NULL. */
struct dv_launch_stdio {
    const char *in;
    const char *out;
    const char *err;
    const char *console;
    bool takes_input; /* of the console */
};

/* How davit-monitor writes the log of a container. */
struct dv_launch_log {
    const char *path; /* of json.log; NULL: output is read and dropped (type none) */
    int64_t max_size_bytes;
    int64_t max_files;
    int64_t max_buffer_bytes; /* non-blocking mode; 0: blocking */
};

struct dv_launch {
    const char *container_id; /* NULL: the program is not about a container */
    const char *const *argv;  /* argv[0] is an absolute path */
    const char *const *envp;  /* complete environment */
    struct dv_launch_rootfs rootfs;
    struct dv_launch_stdio stdio;
    struct dv_launch_log log;
    const char *pid_file; /* written by the runtime; read back after success; NULL: none */
    /* Where the program writes its own messages (`runc --log FILE`). With stdio given, the streams
     * are the container's, so stderr_text is the end of this file; the file is not removed. */
    const char *runtime_log;
    /* File with a line "oom_kill N" that is looked at when the container has ended; NULL: none. */
    const char *oom_path;
    int timeout_ms;
};

struct dv_launch_result {
    int exit_code;       /* 128 + signal for a death by signal */
    int32_t pid;         /* from the pid file, 0: none */
    int64_t start_ticks; /* field 22 of /proc/<pid>/stat of that process */
    size_t stderr_len;
    char stderr_text[DV_LAUNCH_STDERR_MAX + 1]; /* always NUL-terminated */
};

struct dv_launcher {
    /* 0 when the program ran and ended, whatever its exit code. TIMED_OUT when it was killed at the
     * deadline, UNAVAILABLE when the monitor cannot be reached. `ret` is about 64 KiB: the caller
     * keeps one per worker. */
    int (*launch)(struct dv_launcher *launcher,
                  const struct dv_launch *what,
                  struct dv_launch_result *ret,
                  struct dv_error *err);
    /* The directory below which rootfs targets must lie; borrowed, valid as long as the launcher.
     */
    const char *(*mount_root)(struct dv_launcher *launcher);
    void (*free)(struct dv_launcher *launcher);
};
