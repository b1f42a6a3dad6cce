/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/client_console.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "monitor/protocol.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONSOLES_MAX 4096

struct mon_console {
    struct mon_console *next;
    pid_t pid;
    int fd;
    char id[129];
};

void mon_console_keep(struct mon_console **list, const struct dv_monitor_console *what, int fd)
{
    dv_autoclose int owned = fd;
    unsigned count = 0;
    for (const struct mon_console *console = *list; console; console = console->next, count++)
        if (console->pid == what->pid && strcmp(console->id, what->id) == 0)
            return;
    struct mon_console *console = count < CONSOLES_MAX ? calloc(1, sizeof(*console)) : NULL;
    if (!console || owned < 0) {
        dv_log(DV_LOG_ERROR, "container '%s': its terminal is in the hands of davit-monitor alone",
               what->id);
        free(console);
        return;
    }
    console->pid = (pid_t)what->pid;
    console->fd = dv_steal_fd(&owned);
    snprintf(console->id, sizeof(console->id), "%s", what->id);
    console->next = *list;
    *list = console;
}

static void drop(struct mon_console **at)
{
    struct mon_console *console = *at;
    *at = console->next;
    dv_close(&console->fd);
    free(console);
}

void mon_console_drop(struct mon_console **list, const char *id, pid_t pid)
{
    for (struct mon_console **at = list; *at; at = &(*at)->next) {
        if ((*at)->pid == pid && strcmp((*at)->id, id) == 0) {
            drop(at);
            return;
        }
    }
}

void mon_console_drop_all(struct mon_console **list)
{
    while (*list)
        drop(list);
}

int mon_console_give(const struct mon_console *list, int fd, struct dv_error *err)
{
    int r = 0;
    for (; list && r == 0; list = list->next) {
        struct dv_monitor_console what = {.id = (char *)list->id, .pid = list->pid};
        r = dv_monitor_send_fd(fd, &dv_schema_monitor_console, &what, list->fd, err);
    }
    return r;
}
