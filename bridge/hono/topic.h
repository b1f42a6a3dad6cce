/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The MQTT topics of a device behind Eclipse Hono's connectors. Pure functions, any thread.
 */
#include "base/str.h"

#include <stdbool.h>

#define DV_HONO_TOPIC_MAX      4096
#define DV_HONO_REQUEST_ID_MAX 1024
#define DV_HONO_THING_MAX      256

#define DV_HONO_ASK    "edge/thing/request"
#define DV_HONO_ANSWER "edge/thing/response"

/* command//<thing>/req/<request id>/<subject>; the request id may be empty. Views into the text. */
struct dv_hono_topic {
    struct dv_str thing;
    struct dv_str request_id;
    struct dv_str subject;
};

/* False for any other topic, and for one with an over-long part. */
bool dv_hono_topic_parse(struct dv_str topic, struct dv_hono_topic *ret);

/* What a local twin sends back to the gateway: events of its own changes, answers to them, errors.
 * Such messages are no commands and answering them would make a loop. */
bool dv_hono_topic_is_echo(const struct dv_hono_topic *topic);

/* Whether it is what a local twin or the cloud answers to a question of ours about the twin. */
bool dv_hono_topic_is_retrieved(const struct dv_hono_topic *topic);

/* Whether a text from elsewhere may become a part of a topic that is published: a broker closes the
 * connection over a wildcard or a control character. */
bool dv_hono_is_topic_part(struct dv_str text);
