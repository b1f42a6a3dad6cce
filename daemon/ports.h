/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The ports of the actors on their real implementations. Made before the system of cells and freed
 * after it.
 */
#include "actors/env.h"
#include "base/cleanup.h"
#include "config/config.h"
#include "runtime/image/store.h"
#include "runtime/network/driver.h"
#include "runtime/oci/probe.h"

#include <limits.h>

struct daemon_ports {
    const struct dv_config *config;
    struct dv_image_store *images;
    struct dv_oci_choice runtime;
    struct dv_network_options network;
    char etc_dir[PATH_MAX];
    char monitor_socket[PATH_MAX];
};

/* Opens the image store and chooses the OCI runtime; the choice is remembered in run_dir for the
 * life of this boot. UNAVAILABLE while davit-monitor cannot be reached. */
__attribute__((warn_unused_result)) int
daemon_ports_open(struct daemon_ports *ports, const struct dv_config *config, struct dv_error *err);
void daemon_ports_close(struct daemon_ports *ports);

/* Members of struct dv_actor_env; their first argument is a struct daemon_ports. */
int daemon_runtime_open(void *ports,
                        unsigned worker,
                        struct dv_runtime **ret,
                        struct dv_error *err);
int daemon_image_files_open(void *ports,
                            unsigned worker,
                            struct dv_image_files **ret,
                            struct dv_error *err);
int daemon_exits_open(void *ports, struct dv_exit_source **ret, struct dv_error *err);
int daemon_network_open(void *ports, struct dv_network **ret, struct dv_error *err);
int daemon_counters_open(void *ports, struct dv_counter_source **ret, struct dv_error *err);
