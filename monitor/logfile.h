/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * json.log of one container: append, rotation, and a descriptor that is open only while it is used
 * (an LRU over all files bounds how many are). The log thread owns all of them; writes block for
 * the disk.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_LOGFILES_OPEN_MAX 256

struct dv_logfile;

/* `max_size_bytes` 0: no rotation. `max_files` counts the one written to; with 1 it is cut to
 * nothing. NULL when memory is short. */
struct dv_logfile *dv_logfile_new(const char *path, int64_t max_size_bytes, int64_t max_files);
void dv_logfile_free(struct dv_logfile *file);
/* What it was made of; the path is borrowed. */
const char *
dv_logfile_tell(const struct dv_logfile *file, int64_t *ret_max_size_bytes, int64_t *ret_max_files);

/* Whole records: each may end a file beyond its size, none is split. */
__attribute__((warn_unused_result)) int
dv_logfile_write(struct dv_logfile *file, const char *records, size_t len, struct dv_error *err);
