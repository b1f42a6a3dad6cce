/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What files below /proc say about the machine and the network of a process, as pure functions. Any
 * thread; nothing is allocated. Functions that return bool leave their result untouched when they
 * return false.
 */
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

/* /proc/stat: time of all processors together in ticks, and what of it was not idle. */
bool dv_meter_cpu(struct dv_str text, int64_t *ret_busy, int64_t *ret_total);

/* /proc/meminfo, in bytes. Used is what is not available. */
bool dv_meter_memory(struct dv_str text, int64_t *ret_used, int64_t *ret_total);

/* /proc/loadavg: processes and threads. */
bool dv_meter_tasks(struct dv_str text, int64_t *ret);

/* One line of /proc/diskstats, in bytes; `*ret_name` is a view into it. */
bool dv_meter_disk(struct dv_str line,
                   struct dv_str *ret_name,
                   int64_t *ret_read,
                   int64_t *ret_write);

/* Adds what one line of /proc/<pid>/net/dev says; the loopback and the two lines of headings do not
 * count. */
void dv_meter_add_net(struct dv_str line, int64_t *received, int64_t *sent);
