/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Terminals in the hands of the service manager (systemd's file descriptor store): they come back
 * when this process is started again, also when davitd ended at the same moment. Without a service
 * manager nothing happens. The manager drops one by itself when nobody has its other side any more.
 * Control thread; nothing blocks.
 */
#include "messages/messages.h"

#include <sys/types.h>

void mon_fdstore_put(const char *id, pid_t pid, int terminal);
void mon_fdstore_remove(const char *id, pid_t pid);
/* Calls `fn` for each that was handed over at the start of this process; the descriptor is its.
 * Once, before anything is started. */
void mon_fdstore_take(void (*fn)(void *ctx, const struct dv_monitor_console *what, int terminal),
                      void *ctx);
/* A line about this process, which `systemctl status` shows. */
void mon_fdstore_status(const char *text);
