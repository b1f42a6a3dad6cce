/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One connection to the broker, made with paho, from the attempt to its end. There is no way back
 * to life: paho keeps messages that it has not written yet over a reconnect and would send them
 * before the gateway knows again who it is, so each attempt is a link of its own.
 *
 * Threads: one owner; what happens comes back through the inbox. Nothing blocks but for a running
 * callback, except dv_hono_link_free().
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "bridge/bridge.h"
#include "bridge/hono/hono.h"
#include "bridge/hono/inbox.h"
#include "bridge/hono/url.h"

#include <stdbool.h>

struct dv_hono_link_options {
    const struct dv_hono_config *config; /* alive as long as the link */
    const struct dv_hono_url *url;
    const char *client_id;
    bool is_mqtt31;
    struct dv_hono_inbox *inbox;
    struct dv_bridge_sink *sink;
};

struct dv_hono_link;

/* Starts to connect; CONNECTED or CONNECT_FAILED follows. */
__attribute__((warn_unused_result)) int dv_hono_link_new(const struct dv_hono_link_options *options,
                                                         struct dv_hono_link **ret,
                                                         struct dv_error *err);

/* Says goodbye to the broker if connected; no callback runs or follows afterwards. Waits for paho's
 * threads if it is the last connection of the process, about a second. */
void dv_hono_link_free(struct dv_hono_link *link);
DV_DEFINE_CLEANUP(dv_hono_link, dv_hono_link_free)

/* QoS 1. SUBSCRIBED or SUBSCRIBE_FAILED with the token follows. */
__attribute__((warn_unused_result)) int dv_hono_link_subscribe(struct dv_hono_link *link,
                                                               const char *filter,
                                                               int *ret_token,
                                                               struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_hono_link_unsubscribe(struct dv_hono_link *link, const char *filter, struct dv_error *err);

/* QoS 1, not retained; the bytes are copied. ACKNOWLEDGED or PUBLISH_FAILED with the token follows.
 * UNAVAILABLE if the connection is gone. */
__attribute__((warn_unused_result)) int dv_hono_link_publish(struct dv_hono_link *link,
                                                             const char *topic,
                                                             struct dv_str payload,
                                                             int *ret_token,
                                                             struct dv_error *err);

/* The broker refused the protocol version. */
bool dv_hono_signal_is_bad_version(const struct dv_hono_signal *signal);
