/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Where the log goes: standard error, a rotated file, or syslog, as the configuration says. Sets
 * the sink of base/log.h; called once, before the first thread.
 */
#include "base/error.h"
#include "config/config.h"

__attribute__((warn_unused_result)) int daemon_log_open(const struct dv_config *config,
                                                        struct dv_error *err);
