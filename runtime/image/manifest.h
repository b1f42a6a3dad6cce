/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a registry answers to .../manifests/...: an index of several platforms (OCI index, Docker
 * manifest list), of which one entry is chosen, or a manifest (OCI, Docker schema 2) with the
 * configuration and the layers. Bytes are hostile: sizes, counts and digests are checked, and a
 * document that could be read as either kind is refused. Pure, any thread; results live in the
 * caller's arena.
 *
 * Malformed documents are CORRUPT. Sound ones that davit cannot run (schema 1, artifacts, no
 * entry for the platform) are FAILED, with the reason.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_MANIFEST_BYTES_MAX (4U << 20)
#define DV_LAYERS_MAX         128
#define DV_INDEX_ENTRIES_MAX  1024
#define DV_INDEX_DEPTH_MAX    3           /* indexes on the way from a reference to a manifest */
#define DV_BLOB_BYTES_MAX     (1LL << 40) /* claimed size of one layer */

#define DV_MEDIA_OCI_INDEX       "application/vnd.oci.image.index.v1+json"
#define DV_MEDIA_OCI_MANIFEST    "application/vnd.oci.image.manifest.v1+json"
#define DV_MEDIA_OCI_CONFIG      "application/vnd.oci.image.config.v1+json"
#define DV_MEDIA_DOCKER_INDEX    "application/vnd.docker.distribution.manifest.list.v2+json"
#define DV_MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define DV_MEDIA_DOCKER_CONFIG   "application/vnd.docker.container.image.v1+json"

struct dv_descriptor {
    char *media_type;
    char *digest;
    int64_t size;
};

struct dv_platform {
    const char *architecture; /* as Go names it: amd64, arm64, arm */
    int variant;              /* 7 for v7; 0: none or unknown */
};

/* The platform of this machine; static texts. */
struct dv_platform dv_platform_host(void);

enum dv_document_kind { DV_DOCUMENT_INDEX, DV_DOCUMENT_MANIFEST };

struct dv_document {
    enum dv_document_kind kind;
    char *media_type;
    struct dv_descriptor chosen;  /* index: the entry for the platform */
    struct dv_descriptor config;  /* manifest */
    struct dv_descriptor *layers; /* manifest: lowest first */
    size_t layer_count;
};

/* Whether it is the type of a layer with the suffix that says that it is encrypted. */
bool dv_layer_is_encrypted(const char *media_type);

/* `content_type` is what came with the bytes, NULL or a type that says nothing (text/plain,
 * application/json) leaves it to the document. */
__attribute__((warn_unused_result)) int dv_document_parse(const char *content_type,
                                                          const char *bytes,
                                                          size_t len,
                                                          const struct dv_platform *platform,
                                                          struct dv_arena *arena,
                                                          struct dv_document *ret,
                                                          struct dv_error *err);

/* The manifest of `document` in OCI's words: same configuration and layers, OCI media types. Tools
 * that read an OCI layout look for these only. */
__attribute__((warn_unused_result)) int
dv_manifest_write_oci(const struct dv_document *document, struct dv_buf *out, struct dv_error *err);

/* The value of an Accept header that names every type above. */
extern const char dv_manifest_accept[];
