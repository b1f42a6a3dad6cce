/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The values of SoftwareUpdatable: what `install` and `remove` ask for, what an artifact contains,
 * and what the twin shows of it all. Pure, any thread; everything a result points to lives in the
 * arena. Shapes: docs/software-updates.md.
 *
 * A value that cannot be read at all is INVALID, one that is too large LIMIT: then `*ret` has at
 * least the correlation id, if there is one, so that the refusal can be shown. What is wrong with
 * one module becomes its `problem`, and the others are installed. Unknown keys become notes.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"
#include "spec/notes.h"

#include <stdbool.h>

#define DV_SOFTWARE_DEFINITION    "org.eclipse.hawkbit.swupdatable:SoftwareUpdatable:2.0.0"
#define DV_SOFTWARE_TYPE          "oci:container"
#define DV_SOFTWARE_MODULES_MAX   256
#define DV_SOFTWARE_ARTIFACTS_MAX 16 /* of one module */
#define DV_ARTIFACT_BYTES_MAX     (1LL << 20)

__attribute__((warn_unused_result)) int dv_software_install(struct dv_str args,
                                                            struct dv_arena *arena,
                                                            struct dv_software_operation *ret,
                                                            struct dv_spec_notes *ret_notes,
                                                            struct dv_error *err);
__attribute__((warn_unused_result)) int dv_software_remove(struct dv_str args,
                                                           struct dv_arena *arena,
                                                           struct dv_software_operation *ret,
                                                           struct dv_spec_notes *ret_notes,
                                                           struct dv_error *err);

/* A container description as an artifact, with the rules of a create: what an artifact says of
 * state, layers and the like is ignored. `id` is used when it names none. CORRUPT: it is no JSON.
 */
__attribute__((warn_unused_result)) int dv_software_description(const char *bytes,
                                                                size_t len,
                                                                const char *id,
                                                                struct dv_arena *arena,
                                                                struct dv_container_record **ret,
                                                                struct dv_error *err);

/* The MD5 sum in the text of an md5url: its first word. False if that is none. */
bool dv_software_md5_of(const char *bytes, size_t len, char ret_hex[33]);

/* The place of a url without user, password and query: for logs and the twin. */
char *dv_software_place(struct dv_bytes url, struct dv_arena *arena);

/* What a container is as a dependency: group and version are the two parts of its reference. */
__attribute__((warn_unused_result)) int dv_software_dependency(const char *id,
                                                               const char *image_ref,
                                                               struct dv_arena *arena,
                                                               struct dv_dependency *ret,
                                                               struct dv_error *err);

/* The value of installedDependencies: an object, or null without any. Those that do not fit into
 * `max_bytes` are left out and counted. */
__attribute__((warn_unused_result)) int
dv_software_write_dependencies(const struct dv_dependency *dependencies,
                               size_t count,
                               size_t max_bytes,
                               struct dv_buf *out,
                               size_t *ret_left_out,
                               struct dv_error *err);
/* The properties of the whole feature; the three are JSON, NULL: not shown. */
__attribute__((warn_unused_result)) int dv_software_write_properties(const char *dependencies,
                                                                     const char *last_operation,
                                                                     const char *last_failed,
                                                                     struct dv_buf *out,
                                                                     struct dv_error *err);

/* lastOperation and lastFailedOperation. */
struct dv_software_report {
    const char *correlation_id;
    enum dv_software_status status;
    const struct dv_software_module *module; /* NULL: none */
    const struct dv_dependency *const *software;
    size_t software_count;
    int progress;        /* percent, 0: not told */
    const char *message; /* NULL: none */
};
__attribute__((warn_unused_result)) int dv_software_write_report(
    const struct dv_software_report *report, struct dv_buf *out, struct dv_error *err);
