/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The cloud port over Eclipse Hono and Ditto: an MQTT 3.1.1 session (3.1 for brokers that know no
 * newer one) with paho.
 *
 * A connection goes through: connect, handshake (who am I: the answer of the connector, or the
 * fixed identity of the configuration), LINK UP, features_ready(), commands. Connecting is retried
 * for ever with a jittered, growing pause; whatever goes wrong leads back there. Every message has
 * QoS 1 and is never retained. An unknown or changed identity sends nothing.
 *
 * Threads: one session thread makes all calls of the port. paho runs two threads of its own while
 * there is a connection; its callbacks judge a message, make a command durable through the sink and
 * put it into a bounded inbox, and never call paho. No lock of ours is held over a call of paho,
 * which holds one of its own over every callback.
 *
 * Blocking: open() and replay() not at all. The calls that send wait at most for a running callback
 * (one durable append). next() may take about a second when it leaves a connection, since paho
 * waits for its threads. A look-up of the broker's name happens on paho's thread; free() during a
 * look-up waits for its end.
 *
 * Descriptors: paho's sockets lack close-on-exec and offer no hook to set it, so a process that
 * uses this bridge must not start programs by itself; davitd starts them through davit-monitor.
 */
#include "bridge/bridge.h"

#include <stdbool.h>
#include <stdint.h>

struct dv_hono_config {
    const char *broker_url; /* url.h */
    int64_t keep_alive_ns;
    int64_t connect_timeout_ns;
    int64_t acknowledge_timeout_ns; /* a message that stays unacknowledged ends the connection */
    int64_t subscribe_timeout_ns;
    int64_t disconnect_timeout_ns; /* free() waits this long for acknowledgements */
    int64_t retry_min_ns;          /* first pause between connections, doubled each time */
    int64_t retry_max_ns;
    int64_t handshake_retry_ns; /* the identity is asked for again */
    const char *username;       /* NULL or empty: none */
    const char *password;
    const char *root_ca; /* PEM file; required with TLS, replaces the system's authorities */
    const char *client_cert;
    const char *client_key;
    const char *client_id;      /* NULL: a new random one */
    bool is_session_persistent; /* commands sent while away arrive later; needs a client id */
    const char *device_id;      /* fixed identity; NULL: ask */
    const char *tenant_id;
    const char *policy_id;
    unsigned things;          /* of this gateway (thing.h), 1 to 64 */
    unsigned max_inflight;    /* messages on their way to the broker */
    unsigned max_inbox;       /* commands taken and not yet handed out; more are answered busy */
    uint64_t max_inbox_bytes; /* the same in bytes */
};

#define DV_HONO_SECOND_NS INT64_C(1000000000)
#define DV_HONO_CONFIG_INIT                                                                        \
    ((struct dv_hono_config){                                                                      \
        .broker_url = "tcp://localhost:1883",                                                      \
        .keep_alive_ns = 20 * DV_HONO_SECOND_NS,                                                   \
        .connect_timeout_ns = 30 * DV_HONO_SECOND_NS,                                              \
        .acknowledge_timeout_ns = 15 * DV_HONO_SECOND_NS,                                          \
        .subscribe_timeout_ns = 15 * DV_HONO_SECOND_NS,                                            \
        .disconnect_timeout_ns = DV_HONO_SECOND_NS / 4,                                            \
        .retry_min_ns = DV_HONO_SECOND_NS,                                                         \
        .retry_max_ns = 60 * DV_HONO_SECOND_NS,                                                    \
        .handshake_retry_ns = 10 * DV_HONO_SECOND_NS,                                              \
        .things = 1,                                                                               \
        .max_inflight = 1000,                                                                      \
        .max_inbox = 4096,                                                                         \
        .max_inbox_bytes = 64U << 20,                                                              \
    })

/* env->config is a struct dv_hono_config. open() fails for a configuration that can never work;
 * the error names the key. */
extern const struct dv_bridge_ops dv_hono_ops;
