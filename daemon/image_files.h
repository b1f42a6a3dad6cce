/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The port runtime/image_files.h on the image store and davit-unpack. */
#include "runtime/image/store.h"
#include "runtime/image_files.h"
#include "runtime/launcher.h"

/* The store is shared by all workers and outlives them; takes *launcher on success.
 * `auth_file` is borrowed, "": none. */
__attribute__((warn_unused_result)) int daemon_image_files_new(struct dv_image_store *store,
                                                               struct dv_launcher **launcher,
                                                               int64_t unpack_timeout_ms,
                                                               const char *auth_file,
                                                               struct dv_image_files **ret,
                                                               struct dv_error *err);
