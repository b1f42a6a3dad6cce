/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The real driver in a network namespace of the test's own; processes stand for containers. */
#include "runtime/network/driver.h"

#include <sys/types.h>

struct rig {
    char dir[64];
    struct dv_network_options options;
    struct dv_network *network;
    struct dv_arena *arena;
    struct dv_error err;
};

void rig_init(struct rig *rig);
void rig_done(struct rig *rig);
void open_network(struct rig *rig);

/* A process with a network namespace of its own. */
pid_t start_process(void);
void end_process(pid_t pid);
/* A shell command that must succeed. */
void run(const char *command);

int attach(struct rig *rig, const char *id, pid_t pid, struct dv_network_settings *ret);
struct dv_network_settings attached(struct rig *rig, const char *id, pid_t pid);
/* Interfaces of this namespace beside loopback. */
unsigned links(void);

struct dv_port_mapping tcp(int64_t first, int64_t last);
int attach_ports(struct rig *rig,
                 const char *id,
                 pid_t pid,
                 struct dv_port_mapping *ports,
                 size_t count,
                 struct dv_network_settings *ret);
int check_ports(struct rig *rig, struct dv_port_mapping *ports, size_t count);
