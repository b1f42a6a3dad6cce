/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Small files of the kernel (cgroup, proc), read and written whole. Any thread; no allocation.
 */
#include <stddef.h>
#include <sys/types.h>

/* Reads at most size - 1 bytes and ends them with NUL; the length or -errno. `name` is relative to
 * `dir` (AT_FDCWD: absolute or to the working directory). */
ssize_t dv_cgroup_read_file(int dir, const char *name, char *text, size_t size);

/* 0 or -errno. */
int dv_cgroup_write_file(int dir, const char *name, const char *text);
