/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the configuration says about registries. Plain data, borrowed by whoever uses it, read-only
 * once pulls run. Hosts are compared as whole texts with their port, in any case.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* One entry of registry_configurations; absent members are NULL. */
struct dv_registry {
    const char *host; /* host[:port], as in references */
    const char *user;
    const char *password;
    const char *root_ca; /* trusted beside the system's authorities */
    const char *client_cert;
    const char *client_key;
};

struct dv_registry_settings {
    const char *const *insecure; /* hosts of insecure_registries */
    size_t insecure_count;
    const struct dv_registry *registries;
    size_t registry_count;
};

const struct dv_registry *dv_registry_find(const struct dv_registry_settings *settings,
                                           const char *host);
bool dv_registry_is_insecure(const struct dv_registry_settings *settings, const char *host);

/* True if the TLS files can be used: absolute paths of non-empty files with the endings .crt or
 * .cert (certificates) and .key, client certificate and key together or not at all; also true
 * without any. False with the reason: the caller says so and clears the three members. Reads file
 * attributes. */
bool dv_registry_tls_is_usable(const struct dv_registry *registry, struct dv_error *err);
