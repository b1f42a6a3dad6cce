/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the configuration blob of an image says about running it. The bytes come from a registry and
 * are hostile. Pure, any thread.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

#include <stddef.h>

#define DV_OCI_IMAGE_BYTES_MAX (1U << 20) /* of a configuration blob */

/* Absent texts are NULL, absent lists empty. */
struct dv_oci_image {
    const char *user; /* "name", "uid", "name:group", ... */
    const char *working_dir;
    const char *stop_signal;
    struct dv_texts env; /* NAME=value */
    struct dv_texts entrypoint;
    struct dv_texts cmd;
};

/* Everything in *ret lives in `arena`. CORRUPT if it is no image configuration. */
__attribute__((warn_unused_result)) int dv_oci_image_parse(const char *bytes,
                                                           size_t len,
                                                           struct dv_arena *arena,
                                                           struct dv_oci_image *ret,
                                                           struct dv_error *err);
