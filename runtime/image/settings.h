/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What the configuration says about registries. Plain data, borrowed by whoever uses it, read-only
 * once pulls run. Hosts are compared as whole texts with their port, in any case.
 */
#include "base/error.h"
#include "base/str.h"

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

#define DV_MIRRORS_MAX 64

/* Asked before `host`, for the same repositories; with its own entry of registry_configurations. */
struct dv_mirror {
    struct dv_str host;
    const char *mirror;
};

struct dv_registry_settings {
    struct dv_mirror mirrors[DV_MIRRORS_MAX];
    size_t mirror_count;
    const char *const *insecure; /* hosts of insecure_registries */
    size_t insecure_count;
    const struct dv_registry *registries;
    size_t registry_count;
};

const struct dv_registry *dv_registry_find(const struct dv_registry_settings *settings,
                                           const char *host);
/* NULL without one. */
const char *dv_registry_mirror(const struct dv_registry_settings *settings, const char *host);
/* Adds one from "host=mirror". INVALID for another form, LIMIT when full. */
__attribute__((warn_unused_result)) int dv_registry_mirror_add(
    struct dv_registry_settings *settings, const char *text, struct dv_error *err);
bool dv_registry_is_insecure(const struct dv_registry_settings *settings, const char *host);

/* True if the TLS files can be used: absolute paths of non-empty files with the endings .crt or
 * .cert (certificates) and .key, client certificate and key together or not at all; also true
 * without any. False with the reason: the caller says so and clears the three members. Reads file
 * attributes. */
bool dv_registry_tls_is_usable(const struct dv_registry *registry, struct dv_error *err);
