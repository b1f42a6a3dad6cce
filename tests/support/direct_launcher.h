/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A launcher (runtime/launcher.h) without davit-monitor: programs become children of the test,
 * which must be a subreaper (PR_SET_CHILD_SUBREAPER), so that init processes do too. They are
 * reaped by dv_direct_launcher_reap(). The root file system is mounted by unshare(1) and mount(8)
 * in a mount namespace of the program's own. At its deadline a program is killed with all of its
 * process group. One thread.
 */
#include "base/error.h"
#include "runtime/launcher.h"

#include <sys/types.h>

/* `mount_root` is copied; the launcher is freed by its own free(). Failures end the test. */
struct dv_launcher *dv_direct_launcher_new(const char *mount_root);

/* Waits for the end of one process up to a deadline and returns its exit code, 128 + signal for a
 * death by signal; -1 if it did not end. The process must be a child. */
int dv_direct_launcher_reap(pid_t pid, int timeout_ms);

/* Programs launched so far. */
unsigned dv_direct_launcher_count(const struct dv_launcher *launcher);
