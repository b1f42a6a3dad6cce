/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * davitd's duplicates of the terminals of containers, which davit-monitor owns: while one of the
 * two lives, the program on the other side is not hung up. A new monitor gets them back. Nothing
 * reads or writes them here. Private to monitor/; one thread.
 */
#include "base/error.h"
#include "messages/messages.h"

#include <sys/types.h>

struct mon_console;

/* Takes the descriptor, which is closed if there is one already. */
void mon_console_keep(struct mon_console **list, const struct dv_monitor_console *what, int fd);
void mon_console_drop(struct mon_console **list, const char *id, pid_t pid);
void mon_console_drop_all(struct mon_console **list);
/* Sends all of them to a new monitor. */
__attribute__((warn_unused_result)) int
mon_console_give(const struct mon_console *list, int fd, struct dv_error *err);
