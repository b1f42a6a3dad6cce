/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The mounts of a runtime-spec configuration: kernel file systems, the three files below /etc, and
 * what the description asks for, which replaces either. Pure, any thread.
 */
#include "base/arena.h"
#include "base/error.h"
#include "messages/messages.h"

#include "json/json.h"

/* Writes the member "mounts". A mount comes after the one it lies in, in whatever order they were
 * given. */
__attribute__((warn_unused_result)) int dv_oci_mounts_write(struct dv_json_writer *writer,
                                                            const struct dv_container_spec *spec,
                                                            const char *etc_dir,
                                                            struct dv_arena *arena,
                                                            struct dv_error *err);

/* What the root file system must be for these mounts to travel; NULL: what the runtime does by
 * itself. */
const char *dv_oci_rootfs_propagation(const struct dv_mount_point_list *mounts);
