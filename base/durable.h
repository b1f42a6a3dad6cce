/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Files that survive a power cut, and the few folder operations around them. Any thread; every call
 * may block for the disk. Nothing here follows a symbolic link in the last component of a path.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Replaces `path` by `len` bytes: written aside, synced, renamed, folder synced. After a failure
 * the old file is as it was and nothing is left aside. */
__attribute__((warn_unused_result)) int dv_durable_replace(
    const char *path, const void *bytes, size_t len, mode_t mode, struct dv_error *err);

/* Appends the content of a regular file to *out, whose ceiling bounds it. NOT_FOUND if absent. */
__attribute__((warn_unused_result)) int
dv_file_read(const char *path, struct dv_buf *out, struct dv_error *err);

/* Makes a folder and its missing parents; one that exists is fine, anything else in its place is an
 * error. */
__attribute__((warn_unused_result)) int
dv_dir_make(const char *path, mode_t mode, struct dv_error *err);

/* Makes the entries of a folder durable. */
__attribute__((warn_unused_result)) int dv_dir_sync(const char *path, struct dv_error *err);

/* Removes a file or a tree; 0 if there is none. Does not cross into another file system and does
 * not follow links; takes any depth. */
__attribute__((warn_unused_result)) int dv_tree_remove(const char *path, struct dv_error *err);
