/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Bind mounts that a container asks for: checked against the host before the OCI runtime sees them,
 * so that an error names the mount and the remedy. Any thread; reads the file system.
 */
#include "base/error.h"
#include "messages/messages.h"

/* FAILED if a source does not exist, or if a mount that is to travel is on a mount of the host that
 * does not share. `mountinfo_path` NULL: /proc/self/mountinfo. */
__attribute__((warn_unused_result)) int dv_oci_mounts_check(
    const struct dv_mount_point_list *mounts, const char *mountinfo_path, struct dv_error *err);
