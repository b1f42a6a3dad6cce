/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the statistics files of control groups say, as pure functions. Any thread; nothing is
 * allocated. A number over INT64_MAX (a limit that is none) reads as INT64_MAX. Functions that
 * return bool leave their result untouched when they return false.
 */
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* A file with one number, or "max". */
bool dv_cgroup_figure(struct dv_str text, int64_t *ret);

/* The value of one key in lines of "key value". */
bool dv_cgroup_figure_of(struct dv_str text, const char *key, int64_t *ret);

/* Adds bytes read and written as one line says: `io.stat` of v2
 * ("8:0 rbytes=1 wbytes=2 rios=3 ..."). False if the line tells nothing of that. */
bool dv_cgroup_add_io_v2(struct dv_str line, int64_t *read, int64_t *write);
/* The same of `blkio.*.io_service_bytes*` of v1 ("8:0 Read 1", "8:0 Write 2", "Total 3"). */
bool dv_cgroup_add_io_v1(struct dv_str line, int64_t *read, int64_t *write);
