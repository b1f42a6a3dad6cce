/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Reading single files of a root file system that is not mounted, through its layers as an overlay
 * mount would show it. Layers are hostile: nothing outside of the layer that has the file is ever
 * opened, only regular files are read, and only up to a limit. A symbolic link that leads into
 * another layer is not followed and reads as an absent file. Any thread; reads the disk.
 */
#include "base/buf.h"
#include "base/error.h"
#include "runtime/launcher.h"

/* `path` is relative, of the form "etc/passwd". 1 and the content in *out, up to its ceiling; 0 if
 * there is no such file; LIMIT if it is larger, IO when the disk fails. */
__attribute__((warn_unused_result)) int dv_oci_rootfs_read(const struct dv_launch_rootfs *rootfs,
                                                           const char *path,
                                                           struct dv_buf *out,
                                                           struct dv_error *err);
