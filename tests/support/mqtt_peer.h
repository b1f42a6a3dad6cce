/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The other side of a broker in a test: a small MQTT 3.1.1 client without threads, so that a test
 * sees every message when it asks for it. QoS 1, acknowledged when read. Failures end the test.
 */
#include <stdbool.h>
#include <stddef.h>

struct dv_mqtt_peer;

struct dv_mqtt_message {
    char *topic;
    char *payload; /* NUL-terminated */
    size_t len;
};

struct dv_mqtt_peer *dv_mqtt_peer_new(int port);
void dv_mqtt_peer_free(struct dv_mqtt_peer *peer);

int dv_mqtt_peer_fd(const struct dv_mqtt_peer *peer);
/* Waits for the acknowledgement. */
void dv_mqtt_peer_subscribe(struct dv_mqtt_peer *peer, const char *filter);
/* Does not wait. */
void dv_mqtt_peer_publish(struct dv_mqtt_peer *peer,
                          const char *topic,
                          const void *payload,
                          size_t len,
                          bool is_retained);
/* The next message within `timeout_ms`; false if there is none. dv_mqtt_message_done() ends it. */
bool dv_mqtt_peer_take(struct dv_mqtt_peer *peer, int timeout_ms, struct dv_mqtt_message *ret);
void dv_mqtt_message_done(struct dv_mqtt_message *message);
