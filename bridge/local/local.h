/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cloud port over a unix socket, for the davit command and for scripts: JSON objects, one a
 * line, each a message of messages/schema/local.def with its name in the member "kind"
 * (docs/local-socket.md). The link is up as soon as the socket is there.
 *
 * One session thread makes all calls; nothing blocks. Commands that come this way are not
 * journaled: a client sees its connection break and asks again. A client that does not read is
 * dropped when its answers exceed DV_LOCAL_OUT_MAX.
 *
 * What a container writes and reads does not pass here: a client gets a descriptor for it.
 */
#include "bridge/bridge.h"

#include <stddef.h>
#include <sys/types.h>

#define DV_LOCAL_LINE_MAX (2U << 20)
#define DV_LOCAL_OUT_MAX  (16U << 20)

/* Where descriptors for streams come from; nothing blocks. */
struct dv_local_streams {
    int (*attach)(void *ctx, const struct dv_local_attach *what, int *ret_fd, struct dv_error *err);
    int (*exec)(void *ctx, const struct dv_local_exec *what, int *ret_fd, struct dv_error *err);
    void *ctx;
};

struct dv_local_config {
    const char *socket_path;         /* made with mode 0660, owned by this process */
    unsigned clients_max;            /* one more is turned away */
    struct dv_local_streams streams; /* all NULL: there are none */
};

#define DV_LOCAL_CONFIG_INIT ((struct dv_local_config){.clients_max = 64})

/* env->config is a struct dv_local_config. open() fails with BUSY when another daemon listens. */
extern const struct dv_bridge_ops dv_local_ops;
