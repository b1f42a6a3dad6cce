/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a test of the local bridge plays on: the bridge on a socket of its own, and clients whose
 * other end is the test. One in a test, one thread.
 */
#include "bridge/local/local.h"
#include "tests/support/bridge_session.h"
#include "tests/support/line_peer.h"

#include "json/json.h"

#define LIST                                                                                       \
    "{\"kind\":\"local_request\",\"id\":\"1\",\"feature\":\"davit\",\"operation\":\"list\"}"

struct stage {
    struct dv_test_session session;
    struct dv_local_config config; /* may be changed before stage_begin() */
    char folder[32];
    char path[64]; /* of the socket */
};
extern struct stage stage;

/* `.init` and `.fini` of a suite. */
void stage_setup(void);
void stage_teardown(void);

void stage_begin(void);
void stage_end(void);

/* Lets the bridge do all it can do now; what it hands out meanwhile is counted. */
unsigned stage_pump(void);
const struct dv_command *stage_expect_command(void);

/* Everything that the bridge has for this client was sent when this is called. The caller frees it;
 * NULL: nothing came. */
struct dv_json *stage_take(struct dv_line_peer *peer);
/* `class` of the error, "": it succeeded. */
void stage_expect_answer(struct dv_line_peer *peer, const char *id, const char *class);
void stage_expect_end(struct dv_line_peer *peer);
/* The client asks and is answered. */
void stage_expect_served(struct dv_line_peer *peer);
