/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A descriptor may be closed and used again by another thread between being listed and being
 * switched; the option does not fit or does no harm there.
 */
#include "bridge/hono/nodelay.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

static void switch_off(int fd)
{
    int protocol = 0;
    int on = 1;
    socklen_t size = sizeof(protocol);
    if (getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) == 0 && protocol == IPPROTO_TCP)
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

void dv_hono_nodelay(void)
{
    dv_autoclosedir DIR *dir = opendir("/proc/self/fd");
    const struct dirent *entry;
    while (dir && (entry = readdir(dir)) != NULL)
        if (entry->d_name[0] != '.')
            switch_off((int)strtol(entry->d_name, NULL, 10));
}
