/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a test of the bridge plays on: a broker of its own, the bridge, and the connector, which is
 * the test itself. One in a test; every wait fails the test after DV_TEST_PATIENCE_MS.
 */
#include "bridge/hono/hono.h"
#include "bridge/hono/topic.h"
#include "tests/support/bridge_session.h"
#include "tests/support/mosquitto.h"
#include "tests/support/mqtt_peer.h"

#include <stdint.h>

/* Answers to the handshake, and the things they name. */
#define GW1    "org.example:gw1:edge:containers"
#define GW2    "org.example:gw2:edge:containers"
#define FIRST  "{\"deviceId\":\"org.example:gw1\",\"tenantId\":\"t1\",\"policyId\":\"p\"}"
#define SECOND "{\"deviceId\":\"org.example:gw2\",\"tenantId\":\"t2\"}"
#define POLICY "{\"deviceId\":\"org.example:gw1\",\"tenantId\":\"t1\",\"policyId\":\"other\"}"

#define GOOD_PATH "/features/F/inbox/messages/start"

struct stage {
    struct dv_mosquitto *broker;
    struct dv_mqtt_peer *peer; /* of the connector */
    struct dv_test_session session;
    struct dv_hono_config config; /* may be changed before stage_begin() */
    char url[64];
};
extern struct stage stage;

/* The broker, with these lines more in its configuration (NULL: none). */
void stage_prepare(const char *broker_config);
void stage_connect_peer(void);
void stage_begin(void);
/* A bridge beside, or after, that of the stage; the caller ends it. */
void stage_begin_another(struct dv_test_session *session);
/* All three, and the handshake as GW1. */
void stage_come_up(void);
void stage_finish(void);

void stage_publish(const char *topic, const char *payload);
/* The next message at the connector; the bridge goes on working. */
struct dv_mqtt_message stage_receive(void);
void stage_expect_message(const char *topic, const char *part);
/* Waits until the bridge asks, then tells. */
void stage_tell(const char *answer);
const struct dv_link_changed *stage_expect_up(const char *thing);

void stage_change_twin(int64_t number);
/* What the session does when all features are published. */
void stage_take_commands(void);
void stage_send_command(const char *thing, const char *request_id, const char *path);
/* Sends until one arrives: the subscription of the bridge is on its way. Another one that was sent
 * too often may come first. */
const struct dv_command *stage_first_command(const char *thing, const char *request_id);
