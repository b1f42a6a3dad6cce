/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* From the configuration to what each part wants to know. Texts are borrowed from the config. */
#include "actors/env.h"
#include "bridge/hono/hono.h"
#include "config/config.h"
#include "runtime/image/settings.h"
#include "runtime/network/driver.h"

#define DAEMON_VERSION "0.1.0"

void daemon_settings(const struct dv_config *config, struct dv_actor_settings *ret);
/* UNSUPPORTED: images are to be verified, which must not be left undone silently. */
__attribute__((warn_unused_result)) int daemon_check_settings(const struct dv_config *config,
                                                              struct dv_error *err);
void daemon_artifacts(const struct dv_config *config, struct dv_artifact_settings *ret);
void daemon_hono_config(const struct dv_config *config, struct dv_hono_config *ret);
void daemon_network_options(const struct dv_config *config, struct dv_network_options *ret);

/* Registries whose TLS files cannot be used are reported and lose them, as in Kanto. `registries`
 * has room for config->registry_count items. */
void daemon_registries(const struct dv_config *config,
                       struct dv_registry *registries,
                       struct dv_registry_settings *ret);
