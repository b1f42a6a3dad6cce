/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether the kernel has killed a process of a container for lack of memory. Its own limit or that
 * of the machine: the kernel counts both. Private to the monitor and its client; any thread.
 */
#include <stdbool.h>

/* Looks for "oom_kill N" with N > 0 in memory.oom_control (v1) or memory.events (v2). False also
 * when the file cannot be read or `path` is NULL. */
bool mon_has_oom_kills(const char *path);
