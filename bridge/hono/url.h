/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The address of the broker as users write it, and as paho wants it. Pure, any thread.
 */
#include "base/error.h"

#include <stdbool.h>

#define DV_HONO_URL_MAX 512

struct dv_hono_url {
    char uri[DV_HONO_URL_MAX]; /* tcp://, ssl://, ws:// or wss://, with a port */
    bool is_tls;
};

/* Schemes in any case: tcp mqtt, none: 1883; ssl tls mqtts mqtt+ssl tcps: 8883; ws: 80; wss: 443.
 * INVALID for another scheme, no host, a bad port or credentials inside. */
__attribute__((warn_unused_result)) int
dv_hono_url_parse(const char *text, struct dv_hono_url *ret, struct dv_error *err);
