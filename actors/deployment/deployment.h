/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `deployment`: brings the containers that files of the gateway describe into being, once at the
 * start of the daemon, then ends. It only asks others: the roster for what exists and for new
 * containers, containers to start, change, stop and go. A few files are worked on at a time; one
 * that fails is logged and does not stop the others.
 *
 * It knows a container by its name. While one is replaced the new one has another name, and what a
 * crash left half done is recognised by that at the next start.
 */
#include "actors/kit/cell.h"

#include <stdbool.h>
#include <stddef.h>

#define DV_DEPLOYMENT_FILES_MAX 4096U
#define DV_DEPLOYMENT_BYTES_MAX (1U << 20) /* of one file */

struct dv_deployment_file {
    char *path;
    char *name; /* of a container whose description has none: the file's without ".json" */
    char *bytes;
    size_t len;
};

/* Read before the cell starts, unchanged while it lives. */
struct dv_deployment {
    struct dv_deployment_file *files;
    size_t count;
    bool is_update;            /* false: only what does not exist yet */
    bool must_be_bare;         /* nothing is done if there are containers already */
    void (*finish)(void *ctx); /* all was gone through; NULL: nobody wants to know */
    void *ctx;
};

extern const struct dv_cell_type dv_deployment_cell;
