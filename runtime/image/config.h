/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The configuration of an image: what its author said about running it, and the digests of its
 * unpacked layers. Pure, any thread; results live in the caller's arena. Malformed documents are
 * CORRUPT.
 */
#include "base/arena.h"
#include "base/error.h"

#include <stddef.h>

#define DV_IMAGE_CONFIG_BYTES_MAX (4U << 20)
#define DV_IMAGE_CONFIG_ITEMS_MAX 4096 /* in each list */

/* Absent texts are NULL, absent lists empty; lists end with a NULL that does not count. */
struct dv_image_config {
    char *os;
    char *architecture;
    char *variant;
    char **env;
    size_t env_count;
    char **entrypoint;
    size_t entrypoint_count;
    char **cmd;
    size_t cmd_count;
    char *working_dir;
    char *user;
    char *stop_signal;
    char **diff_ids; /* of the layers, lowest first */
    size_t diff_id_count;
};

__attribute__((warn_unused_result)) int dv_image_config_parse(const char *bytes,
                                                              size_t len,
                                                              struct dv_arena *arena,
                                                              struct dv_image_config *ret,
                                                              struct dv_error *err);
