/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A registry made of a table (address, what it wants to see, what it answers) and pulls against it.
 * The trace of all steps is kept as text, to be compared.
 */
#include "base/buf.h"
#include "runtime/image/digest.h"
#include "runtime/image/registry.h"

#include <stdbool.h>
#include <stddef.h>

#define ROUTES_MAX 24

struct route {
    const char *url;
    const char *wants;     /* authorization it must carry; NULL: any */
    const char *challenge; /* with 401 otherwise */
    int status;
    const char *type;
    const char *body;
    const char *claimed_digest;
    enum dv_error_class fails;
    const char *why;
};

struct fake_registry {
    struct route routes[ROUTES_MAX];
    size_t count;
    bool has_layers; /* blobs are stored already */
    bool is_full;    /* the disk has no room */
    unsigned rooms;  /* times it was asked for room */
    unsigned spoilt; /* resumed layers that turn out to be others when they are adopted */
    unsigned resumed;
    struct dv_buf trace;
    unsigned expire_after; /* requests after which the login turns invalid; 0: never */
    unsigned requests;
};

/* The image that all pulls are of. */
extern char layer_digest[2][DV_DIGEST_SIZE];
extern char config_digest[DV_DIGEST_SIZE];
extern char manifest_text[2048], manifest_digest[DV_DIGEST_SIZE];
extern char index_text[1024];

#define R    "https://r.example.com/v2/u/x"
#define HTTP "http://r.example.com/v2/u/x"
#define REF  "r.example.com/u/x:1"

/* Makes the image; `.init` of a suite. */
void registry_setup(void);

struct route *registry_add(
    struct fake_registry *fake, const char *url, int status, const char *type, const char *body);
/* Everything of the image below `base`, which is "https://HOST/v2/REPOSITORY". */
void registry_add_image(struct fake_registry *fake,
                        const char *base,
                        const char *tag,
                        const char *wants,
                        const char *challenge);

/* The caller frees it. `settings` may be NULL. */
struct dv_pull *pull_start(const char *reference, const struct dv_registry_settings *settings);
/* Until nothing is left to do. */
int pull_run(struct fake_registry *fake, struct dv_pull *pull, struct dv_error *err);
/* A whole pull, which ends with the image. */
void pull_succeeds(struct fake_registry *fake,
                   const char *reference,
                   const struct dv_registry_settings *settings);
/* A whole pull, which ends with this error; the trace is freed. */
void pull_fails(struct fake_registry *fake,
                const char *reference,
                const struct dv_registry_settings *settings,
                enum dv_error_class class,
                const char *why);
