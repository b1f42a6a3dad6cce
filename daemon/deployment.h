/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The files of deployment.ctr_dir, read before the actors start, and the mark in the home that the
 * first deployment has been. Blocks for the disk.
 */
#include "actors/deployment/deployment.h"
#include "base/error.h"
#include "config/config.h"

#include <limits.h>

struct daemon_deployment {
    struct dv_deployment base;
    char pending[PATH_MAX]; /* exists while the first deployment is not over */
};

/* *ret_wanted: there is something to do. A file that cannot be read is logged and left out; FAILED
 * if ctr_dir is no directory. */
__attribute__((warn_unused_result)) int daemon_deployment_open(const struct dv_config *config,
                                                               struct daemon_deployment *ret,
                                                               bool *ret_wanted,
                                                               struct dv_error *err);
