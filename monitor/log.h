/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The log thread of davit-monitor: reads the output of all containers and writes it to their logs.
 * It may block for the disk as long as it likes; the control thread only puts orders into its
 * queue.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <stdbool.h>

struct dv_log_thread;

__attribute__((warn_unused_result)) int dv_log_thread_start(struct dv_log_thread **ret,
                                                            struct dv_error *err);
/* Ends after what is there now has been written, within some seconds; what is not read by then
 * stays in the FIFOs. */
void dv_log_thread_stop(struct dv_log_thread *thread);

/* Begins to read the FIFOs of a container; both descriptors become the thread's. `log` is copied,
 * NULL: output is read and dropped. Control thread. */
__attribute__((warn_unused_result)) int dv_log_thread_add(struct dv_log_thread *thread,
                                                          const char *id,
                                                          int out_fd,
                                                          int err_fd,
                                                          const struct dv_monitor_log *log,
                                                          struct dv_error *err);
