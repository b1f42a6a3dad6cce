/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/connect.h"

#include "base/arena.h"
#include "base/cleanup.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define HELLO_TIMEOUT_S 5

void mon_peer_is(struct mon_peer *peer, const struct dv_monitor_welcome *welcome)
{
    peer->version = (int)welcome->version;
    snprintf(peer->program, sizeof(peer->program), "%s", welcome->program ? welcome->program : "");
}

static int
say_hello(int fd, enum dv_monitor_role role, struct mon_peer *ret_peer, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 10);
    struct dv_monitor_hello hello = {
        .version = DV_MONITOR_VERSION,
        .oldest = DV_MONITOR_VERSION - 1,
        .role = role,
        .name = (char *)"davitd",
    };
    uint16_t kind;
    void *body;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to connect to davit-monitor");
    int r = dv_monitor_send(fd, &dv_schema_monitor_hello, &hello, err);
    if (r == 0)
        r = dv_monitor_receive(fd, arena, &kind, &body, err);
    if (r == 0)
        return dv_error_sys(err, DV_ERR_UNAVAILABLE, ETIMEDOUT, "davit-monitor does not answer");
    if (r > 0 && kind == DV_KIND_failure)
        return dv_error_set(err, DV_ERR_PROTOCOL, "davit-monitor: %s",
                            ((const struct dv_failure *)body)->text);
    if (r > 0 && kind != DV_KIND_monitor_welcome)
        return dv_error_set(err, DV_ERR_PROTOCOL, "davit-monitor says something else than welcome");
    if (r < 0)
        return r;
    mon_peer_is(ret_peer, body);
    return 0;
}

static int open_socket(const char *socket_path, int flags, int *ret_fd, struct dv_error *err)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval timeout = {.tv_sec = HELLO_TIMEOUT_S};
    if (strlen(socket_path) >= sizeof(address.sun_path))
        return dv_error_set(err, DV_ERR_INVALID, "'%s' is longer than a socket's path may be",
                            socket_path);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", socket_path);
    dv_autoclose int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_UNAVAILABLE, errno, "make a socket for davit-monitor");
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return dv_error_sys(err, flags && errno == EAGAIN ? DV_ERR_BUSY : DV_ERR_UNAVAILABLE, errno,
                            "connect to davit-monitor on '%s' (is it running?)", socket_path);
    *ret_fd = dv_steal_fd(&fd);
    return 0;
}

int mon_connect(const char *socket_path,
                enum dv_monitor_role role,
                int *ret_fd,
                struct mon_peer *ret_peer,
                struct dv_error *err)
{
    dv_autoclose int fd = -1;
    int r = open_socket(socket_path, 0, &fd, err);
    if (r == 0)
        r = say_hello(fd, role, ret_peer, err);
    if (r < 0)
        return r;
    const struct timeval forever = {.tv_sec = 0};
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &forever, sizeof(forever));
    *ret_fd = dv_steal_fd(&fd);
    return 0;
}

int mon_connect_stream(const char *socket_path, int *ret_fd, struct dv_error *err)
{
    struct dv_monitor_hello hello = {
        .version = DV_MONITOR_VERSION,
        .oldest = MON_STREAMS_VERSION,
        .role = DV_MONITOR_ROLE_STREAM,
        .name = (char *)"stream",
    };
    dv_autoclose int fd = -1;
    int r = open_socket(socket_path, SOCK_NONBLOCK, &fd, err);
    if (r == 0)
        r = dv_monitor_send(fd, &dv_schema_monitor_hello, &hello, err);
    if (r == 0)
        *ret_fd = dv_steal_fd(&fd);
    return r;
}
