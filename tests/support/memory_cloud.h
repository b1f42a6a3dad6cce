/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A cloud in memory, and a bridge to it: what is sent waits in its queue until davit takes it, like
 * in a broker; it keeps the last answer to each command and a mirror of the twin. Commands have a
 * token of the sender, which is also their repeat key. The cloud outlives daemons and their
 * bridges. Thread-safe.
 */
#include "bridge/bridge.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct memory_cloud;

struct memory_cloud *memory_cloud_new(void);
void memory_cloud_free(struct memory_cloud *cloud);

/* Its config is a struct memory_cloud. */
extern const struct dv_bridge_ops memory_cloud_ops;

/* The link is down at first. */
void memory_cloud_set_link(struct memory_cloud *cloud, bool is_up);
void memory_cloud_send(struct memory_cloud *cloud,
                       const char *feature,
                       const char *operation,
                       const char *args,
                       const char *token);
/* Waits until something has been answered or shown since `seen`, at most that long; returns the
 * number of such events so far. Start with 0. */
uint64_t memory_cloud_wait(struct memory_cloud *cloud, uint64_t seen, int timeout_ms);
/* Commands that davit has not taken yet. */
size_t memory_cloud_waiting(struct memory_cloud *cloud);

struct memory_answer {
    int64_t status; /* 0: none yet */
    char value[256];
    char error[512];
};
struct memory_answer memory_cloud_answer(struct memory_cloud *cloud, const char *token);
size_t memory_cloud_answers(struct memory_cloud *cloud);

/* What the twin shows of a feature; false: it does not exist. */
struct memory_feature {
    char status[16]; /* of a container */
    char name[254];
};
bool memory_cloud_feature(struct memory_cloud *cloud,
                          const char *feature,
                          struct memory_feature *ret);
size_t memory_cloud_containers(struct memory_cloud *cloud);
/* How many of them have that status. */
size_t memory_cloud_in_status(struct memory_cloud *cloud, const char *status);
/* How many containers the newest batch of live messages told of so far. */
size_t memory_cloud_live_containers(struct memory_cloud *cloud);
/* Changes of the twin that no such cloud would take: a property of a feature that is not there. */
size_t memory_cloud_bad_changes(struct memory_cloud *cloud);
