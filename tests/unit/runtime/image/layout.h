/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests of the image store: a scratch directory, programs, and an image made by umoci. Main
 * thread of a test; failures end the test.
 */
#include "runtime/image/store.h"

#include <stdbool.h>
#include <stddef.h>

#define SCRATCH_PATH_MAX 512

/* A fresh directory; removed by scratch_done. */
void scratch_init(char path[SCRATCH_PATH_MAX]);
void scratch_done(const char *path);

bool file_exists(const char *format, ...) __attribute__((format(printf, 1, 2)));
void file_write(const char *path, const char *text);

/* Runs a program of /usr/bin to its end, at most a minute; its output (both streams) is owned by
 * the caller. Returns the exit code. */
int run_program(char **ret_output, const char *const *argv);

struct dv_image_store *open_store(const char *home, const char *unpack_program);

/* Makes an OCI layout with umoci at <dir>/layout, image "made": two layers, the second one inserted
 * `twice` (two equal layers) or once. Needs umoci. */
void make_layout(const char *dir, bool twice);

struct made_image {
    struct dv_descriptor manifest;
    struct dv_document document;
};

/* Brings the image of that layout into the store the way a pull does, all blobs but no name. */
void bring_blobs(const char *dir,
                 struct dv_image_store *store,
                 struct dv_arena *arena,
                 struct made_image *ret);
