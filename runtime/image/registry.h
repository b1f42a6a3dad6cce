/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One pull as a state machine without input or output: it says which messages to send next, is told
 * the answers, and ends with a description of the image whose blobs are all stored then. Manifests,
 * indexes, logins, the choice between plain HTTP and TLS for insecure registries, and the checks of
 * sizes and digests are in here; sockets, files and time are not. The caller sends each step's
 * message (download_cmd to the downloader, blob_store_job, blob_adopt_job and image_room_job to a
 * worker) and hands
 * the answer in by the number of the step; several steps may be under way.
 *
 * A pull has one owner and never blocks. Errors name the image, the registry and the cause; none
 * has a class that would read as a mistake in the request (INVALID, NOT_FOUND). After an error the
 * pull is dead: the caller cancels what is under way and frees it.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/image/manifest.h"
#include "runtime/image/reference.h"
#include "runtime/image/settings.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_PULL_BODY_MAX          (1U << 20) /* manifests and configurations */
#define DV_PULL_DOWNLOADS_DEFAULT 3          /* layers at a time */

struct dv_pull;

struct dv_pull_options {
    const struct dv_reference *reference;        /* copied */
    const struct dv_registry_settings *settings; /* borrowed until the pull is freed */
    /* Used when the settings have no credentials for the host; copied. NULL: there is none. */
    const struct dv_registry_login *login;
    struct dv_platform platform;
    const char *ingest_dir; /* borrowed; layers are downloaded to <dir>/<algorithm>-<hex> */
    int64_t stall_ms;       /* a download without a byte for so long fails; 0: no limit */
    unsigned downloads_max; /* 0: the default */
};

__attribute__((warn_unused_result)) int
dv_pull_new(const struct dv_pull_options *options, struct dv_pull **ret, struct dv_error *err);
void dv_pull_free(struct dv_pull *pull);
DV_DEFINE_CLEANUP(dv_pull, dv_pull_free)

struct dv_pull_step {
    unsigned number;
    uint16_t kind;    /* DV_KIND_download_cmd or a job of a worker */
    const void *body; /* the message; valid until the step is answered or the pull freed */
};

/* 1 and a step to start now, 0 when there is none until an answer came, negative on error. Call it
 * until it says 0, after dv_pull_new and after every answer. */
__attribute__((warn_unused_result)) int
dv_pull_next(struct dv_pull *pull, struct dv_pull_step *ret, struct dv_error *err);

/* The answers: download_result, done, failure. Bodies are borrowed for the call. */
__attribute__((warn_unused_result)) int dv_pull_downloaded(struct dv_pull *pull,
                                                           unsigned number,
                                                           const struct dv_download_result *answer,
                                                           struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_pull_succeeded(struct dv_pull *pull, unsigned number, struct dv_error *err);
__attribute__((warn_unused_result)) int dv_pull_failed(struct dv_pull *pull,
                                                       unsigned number,
                                                       const struct dv_error *cause,
                                                       struct dv_error *err);

struct dv_pull_layer {
    const char *digest;
    const char *media_type;
    const char *diff_id;
    int64_t size;
};

struct dv_pull_result {
    const char *reference; /* canonical */
    struct dv_descriptor manifest;
    const char *config_digest;
    struct dv_pull_layer *layers; /* lowest first */
    size_t layer_count;
};

/* NULL until every blob is stored; then valid as long as the pull. */
const struct dv_pull_result *dv_pull_result(const struct dv_pull *pull);

/* Everything the pull knows by now that it needs: digests of blobs, and diff ids of layers. */
void dv_pull_each_digest(const struct dv_pull *pull,
                         void (*fn)(const char *digest, bool is_diff_id, void *ctx),
                         void *ctx);

/* Layer bytes stored so far and in all; 0 of 0 while that is not known. */
void dv_pull_progress(const struct dv_pull *pull, int64_t *ret_done, int64_t *ret_total);
