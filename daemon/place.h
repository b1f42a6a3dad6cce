/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The daemon's folders, its lock, and whether this boot was seen before. Blocks for the disk. */
#include "base/error.h"
#include "config/config.h"

#include <stdbool.h>

/* Makes home and run folders and takes the lock of the home, which is held by *ret_lock_fd. BUSY
 * when another davitd has it, or Kanto holds its own in `exec_root_dir`. */
__attribute__((warn_unused_result)) int
daemon_take_place(const struct dv_config *config, int *ret_lock_fd, struct dv_error *err);

/* *ret_same_boot: run_dir was used in this boot of the machine; remembers it. *ret_boot tells the
 * boot from others. */
__attribute__((warn_unused_result)) int daemon_check_boot(const struct dv_config *config,
                                                          bool *ret_same_boot,
                                                          int64_t *ret_boot,
                                                          struct dv_error *err);
