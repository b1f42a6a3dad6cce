/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "monitor/client.h"
#include "monitor/connect.h"
#include "monitor/protocol.h"

#include <string.h>

static int open_stream(const char *socket_path,
                       const struct dv_schema *schema,
                       const void *request,
                       int *ret_fd,
                       struct dv_error *err)
{
    dv_autoclose int fd = -1;
    int r = mon_connect_stream(socket_path, &fd, err);
    if (r == 0)
        r = dv_monitor_send(fd, schema, request, err);
    if (r == 0)
        *ret_fd = dv_steal_fd(&fd);
    return r;
}

int dv_monitor_attach(const char *socket_path,
                      const struct dv_monitor_attach *what,
                      int *ret_fd,
                      struct dv_error *err)
{
    return open_stream(socket_path, &dv_schema_monitor_attach, what, ret_fd, err);
}

int dv_monitor_exec(const char *socket_path,
                    const struct dv_monitor_exec *what,
                    int *ret_fd,
                    struct dv_error *err)
{
    return open_stream(socket_path, &dv_schema_monitor_exec, what, ret_fd, err);
}
