/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One more process in a container, as `runtime exec --process FILE` takes it: user, rights, working
 * directory and environment of the container's first process, with a program of its own. Pure, any
 * thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"

/* Appends the process to *out. `bundle` is the config.json that davit wrote for the container. A
 * NAME=VALUE of `env` replaces one of its name. */
__attribute__((warn_unused_result)) int dv_oci_exec_write(struct dv_str bundle,
                                                          const struct dv_local_exec *what,
                                                          struct dv_buf *out,
                                                          struct dv_error *err);
