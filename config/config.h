/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The configuration: defaults < file < command line. One table (keys.def) makes the struct, the
 * loader, --print-config and docs/configuration.md. Built before the first thread, read-only after,
 * freed after the last.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#define DV_CONFIG_SECOND         1000000000LL
#define DV_CONFIG_REGISTRIES_MAX 256
#define DV_CONFIG_FILE_MAX       (1U << 20)

struct dv_config_texts {
    const char *const *items;
    size_t count;
};

/* An entry of containers.registry_configurations. NULL: not given. */
struct dv_config_registry {
    const char *host;
    const char *user;
    const char *password;
    const char *root_ca;
    const char *client_cert;
    const char *client_key;
};

#define DV_CONFIG_MEMBER_TEXT(name)     const char *name;
#define DV_CONFIG_MEMBER_SECRET(name)   const char *name;
#define DV_CONFIG_MEMBER_BOOL(name)     bool name;
#define DV_CONFIG_MEMBER_INT(name)      int64_t name;
#define DV_CONFIG_MEMBER_DURATION(name) int64_t name;
#define DV_CONFIG_MEMBER_TEXTS(name)    struct dv_config_texts name;

/* Texts are never NULL. */
struct dv_config {
#define K(member, path, type, fallback, min, max, origin, flag, text)                              \
    DV_CONFIG_MEMBER_##type(member)
#include "config/keys.def"
#undef K
    const struct dv_config_registry *registries;
    size_t registry_count;
};

struct dv_config_file; /* what owns the memory behind a struct dv_config */

struct dv_config_options {
    const char *path; /* NULL or absent file: defaults; an empty file too */
    /* Options in the form --name=value or --name value; argv[0] is skipped. */
    int argc;
    char *const *argv;
    bool is_strict; /* unknown keys of Kanto's sections are errors too */
};

/* INVALID names file, key and what is expected. Unknown keys below "davit" and unknown options are
 * errors with the nearest one; unknown keys elsewhere become warnings. */
__attribute__((warn_unused_result)) int dv_config_load(const struct dv_config_options *options,
                                                       struct dv_config_file **ret,
                                                       struct dv_error *err);
void dv_config_free(struct dv_config_file *file);
DV_DEFINE_CLEANUP(dv_config_file, dv_config_free)

const struct dv_config *dv_config_of(const struct dv_config_file *file);
/* The i-th thing worth telling: unknown keys, keys without effect that were set. NULL behind the
 * last. */
const char *dv_config_warning(const struct dv_config_file *file, size_t index);

/* Every key with its value and where it comes from; secrets as stars. */
__attribute__((warn_unused_result)) int
dv_config_print(const struct dv_config_file *file, struct dv_buf *out, struct dv_error *err);
/* docs/configuration.md. */
__attribute__((warn_unused_result)) int dv_config_markdown(struct dv_buf *out,
                                                           struct dv_error *err);
