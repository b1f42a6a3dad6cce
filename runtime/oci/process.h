/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What a container runs, from its description and its image. Pure, any thread; results live in the
 * arena and borrow texts of the arguments.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"
#include "runtime/oci/image_config.h"

/* Entry point of the image, then the container's command or else the image's. INVALID if that is
 * nothing. */
__attribute__((warn_unused_result)) int dv_oci_process_args(const struct dv_container_spec *spec,
                                                            const struct dv_oci_image *image,
                                                            struct dv_arena *arena,
                                                            struct dv_texts *ret,
                                                            struct dv_error *err);

/* An absolute path without "." and "..", which are taken as text: where the runtime meets symbolic
 * links it is inside the container already. "/" if the image names none. */
__attribute__((warn_unused_result)) int dv_oci_process_cwd(const struct dv_oci_image *image,
                                                           struct dv_arena *arena,
                                                           const char **ret,
                                                           struct dv_error *err);

/* A search path, the image's variables, HOSTNAME, TERM for a terminal, then the container's: each
 * replaces one of its name in place; a bare NAME takes it out; a value without a name is left out.
 */
__attribute__((warn_unused_result)) int dv_oci_process_env(const struct dv_container_spec *spec,
                                                           const struct dv_oci_image *image,
                                                           const char *host_name,
                                                           struct dv_arena *arena,
                                                           struct dv_texts *ret,
                                                           struct dv_error *err);
