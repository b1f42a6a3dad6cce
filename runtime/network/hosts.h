/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The text of a container's /etc/hosts: the localhost block, the extra hosts, its own lines. Values
 * of extra hosts that begin with `host_ip` or `container_` are resolved by the caller; one that
 * leads nowhere is left out. Pure; any thread.
 */
#include "base/buf.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/network/plan.h"

#include <stdbool.h>

struct dv_hosts {
    const char *host_name;
    const char *domain_name;
    const char *address;
    const char *address6;               /* NULL: none */
    const struct dv_texts *extra_hosts; /* name:value */
    bool (*resolve)(void *ctx, const char *value, char ret[DV_IP4_TEXT_MAX]);
    void *ctx;
};

__attribute__((warn_unused_result)) int
dv_hosts_text(const struct dv_hosts *hosts, struct dv_buf *out, struct dv_error *err);
