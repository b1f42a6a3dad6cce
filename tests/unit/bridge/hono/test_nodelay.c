/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "bridge/hono/nodelay.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

static int nodelay_of(int fd)
{
    int value = -1;
    socklen_t size = sizeof(value);
    return getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &value, &size) == 0 ? value : -1;
}

Test(hono_nodelay, reaches_every_tcp_socket_and_leaves_others_alone)
{
    dv_autoclose int v4 = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    dv_autoclose int v6 = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    dv_autoclose int local = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert(v4 >= 0 && local >= 0);
    cr_assert_eq(nodelay_of(v4), 0);
    dv_hono_nodelay();
    cr_expect_eq(nodelay_of(v4), 1);
    cr_expect(v6 < 0 || nodelay_of(v6) == 1); /* a machine may have no IPv6 */
}
