/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A cloud without a network, and the bridge to it (bridge/bridge.h). The cloud outlives daemons: it
 * keeps the commands that it sent with their answers, and the twin as the changes since the last
 * LINK up make it. `config` of the bridge is the cloud; one daemon at a time has it.
 *
 * A command goes out when the link is up and the features are ready: it is made durable through
 * the sink at once, as a client library's thread would do, and reaches the session later. Breaches
 * of the port's contract (a property of a feature that was not published, two answers) are kept as
 * the first complaint. One thread.
 */
#include "actors/env.h"
#include "base/error.h"
#include "bridge/bridge.h"

#include <stdbool.h>
#include <stddef.h>

#define FAKE_TEXT_MAX 256

enum fake_command_state {
    FAKE_COMMAND_WAITING, /* not taken by any daemon yet */
    FAKE_COMMAND_TAKEN,   /* durable: the daemon owes an effect and an answer */
    FAKE_COMMAND_REFUSED, /* could not be made durable */
};

struct fake_command {
    enum fake_command_state state;
    char feature[FAKE_TEXT_MAX];
    char operation[64];
    char args[512];
    char repeat_key[64];
    bool wants_reply;
    unsigned life;       /* of the daemon that took it */
    unsigned replies;    /* by all daemons */
    unsigned reply_life; /* of the daemon that answered last */
    long long status;    /* of the last answer */
    char value[FAKE_TEXT_MAX];
    char error[FAKE_TEXT_MAX];
    size_t repeat_of;     /* index + 1 of the command that this one repeats, 0: none */
    size_t answer_number; /* order of the first answer among all answers */
};

/* What the cloud knows of a feature. Texts are NULL where nothing was said. */
struct fake_feature {
    char id[FAKE_TEXT_MAX];
    int64_t thing;
    char *definition;
    char *properties;
    char *state;
    char *name;
    char *config;
    char *dependencies; /* of SoftwareUpdatable, like the next two */
    char *last_operation;
    char *last_failed;
    bool is_current; /* published since the last LINK up */
};

struct fake_cloud;

struct fake_cloud *fake_cloud_new(void);
void fake_cloud_free(struct fake_cloud *cloud);

/* Index of the new command. A NULL or empty `repeat_key` is none. */
size_t fake_cloud_send(struct fake_cloud *cloud,
                       const char *feature,
                       const char *operation,
                       const char *args,
                       const char *repeat_key,
                       bool wants_reply);
/* The same command once more, under a new index. */
size_t fake_cloud_repeat(struct fake_cloud *cloud, size_t index);
void fake_cloud_set_link(struct fake_cloud *cloud, bool is_up);
bool fake_cloud_link(const struct fake_cloud *cloud);
/* The daemon dies: what was on its way to or from it is lost, nothing more gets out of it. */
void fake_cloud_cut(struct fake_cloud *cloud);

size_t fake_cloud_commands(const struct fake_cloud *cloud);
struct fake_command *fake_cloud_command(struct fake_cloud *cloud, size_t index);
size_t fake_cloud_features(const struct fake_cloud *cloud);
const struct fake_feature *fake_cloud_feature(const struct fake_cloud *cloud, size_t index);
/* On whichever thing. */
const struct fake_feature *fake_cloud_find(const struct fake_cloud *cloud, const char *id);
/* The cloud shows a feature that nobody published (any more). */
void fake_cloud_haunt(struct fake_cloud *cloud, const char *id, unsigned thing);
/* NULL: none. */
const char *fake_cloud_complaint(const struct fake_cloud *cloud);
/* Number of daemons that opened the bridge. */
unsigned fake_cloud_lives(const struct fake_cloud *cloud);
/* Live messages: how many batches of them came, and the values of the newest one, one after
 * another. */
uint64_t fake_cloud_live_batches(const struct fake_cloud *cloud);
const char *fake_cloud_live(const struct fake_cloud *cloud);
/* Whether features_ready came since the last LINK up. */
bool fake_cloud_is_ready(const struct fake_cloud *cloud);

extern const struct dv_bridge_ops fake_bridge_ops;
