/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Image references: host[:port]/path[:tag][@digest]. The host is the text before the first `/` and
 * must be there, and so must a tag or a digest: nothing is completed, except that Docker Hub's
 * names are brought to one form (docker.io/busybox:1 is docker.io/library/busybox:1). With both a
 * tag and a digest the digest decides and the tag is dropped from the canonical text. Pure, any
 * thread, nothing is allocated.
 */
#include "base/error.h"
#include "base/str.h"
#include "runtime/image/digest.h"

#include <stdbool.h>

#define DV_REFERENCE_TEXT_MAX       1024 /* as given */
#define DV_REFERENCE_HOST_MAX       (253 + 8)
#define DV_REFERENCE_REPOSITORY_MAX 255
#define DV_REFERENCE_TAG_MAX        128

struct dv_reference {
    char
        host[DV_REFERENCE_HOST_MAX + 1]; /* lower case, with port: "localhost:5000", "[::1]:5000" */
    char repository[DV_REFERENCE_REPOSITORY_MAX + 1]; /* "library/busybox" */
    char tag[DV_REFERENCE_TAG_MAX + 1];               /* "" without one */
    char digest[DV_DIGEST_SIZE];                      /* "" without one */
    /* Canonical: host/repository:tag or host/repository@digest. */
    char text[DV_REFERENCE_HOST_MAX + DV_REFERENCE_REPOSITORY_MAX + DV_DIGEST_SIZE + 3];
};

/* INVALID names the reference, its wrong part and the rule. */
__attribute__((warn_unused_result)) int
dv_reference_parse(struct dv_str text, struct dv_reference *ret, struct dv_error *err);

/* What stands behind .../manifests/ in the registry's address: the digest, else the tag. */
const char *dv_reference_object(const struct dv_reference *ref);

/* The host that speaks the registry protocol for `ref->host`: Docker Hub has another name for it.
 * Borrowed. */
const char *dv_reference_api_host(const struct dv_reference *ref);

/* True if the host is a bare word: probably the host was forgotten ("demo/app:1"). */
bool dv_reference_host_is_bare(const struct dv_reference *ref);
