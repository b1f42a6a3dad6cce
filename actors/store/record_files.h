/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The record files of containers, behind a table so that the simulation and tests need no disk. The
 * store cell makes all calls; they may block for the disk.
 */
#include "base/buf.h"
#include "base/error.h"

typedef void dv_record_id_fn(void *ctx, const char *id);

struct dv_record_files {
    /* Calls `fn` for the id of each container that has a folder. */
    int (*each)(void *ctx, dv_record_id_fn *fn, void *fn_ctx, struct dv_error *err);
    /* Appends the record's text to *out. NOT_FOUND if there is none. */
    int (*read)(void *ctx, const char *id, struct dv_buf *out, struct dv_error *err);
    /* Replaces the record durably, or leaves the old one as it was. */
    int (*write)(void *ctx, const char *id, const void *bytes, size_t len, struct dv_error *err);
    /* Takes the folder away; 0 if there is none. */
    int (*remove)(void *ctx, const char *id, struct dv_error *err);
    /* A record that cannot be read gets another name, so that the next start does not stumble over
     * it again and nothing is lost. */
    void (*set_aside)(void *ctx, const char *id, const struct dv_error *why);
    void *ctx;
};

/* The real ones: <home_dir>/containers/<id>/config.json. Borrows `home_dir` for its life. */
struct dv_record_files dv_record_files_real(const char *home_dir);
