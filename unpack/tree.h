/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Writes the entries of a layer below one directory, as overlay expects a lower layer: whiteouts
 * become character devices 0:0, opaque directories carry trusted.overlay.opaque. Every name is
 * resolved with the directory as root (openat2, RESOLVE_IN_ROOT), so nothing outside is reached
 * even if the process is not confined; symbolic links among the parents of a name are followed
 * inside. Needs root. Blocks on the disk. Not thread-safe: one owner.
 *
 * Two entries for one name: the later wins; a directory is merged with a directory, and gives way
 * to something else only when it is empty. A whiteout beside an entry of the same name hides the
 * lower one only, whichever comes first.
 */
#include "base/cleanup.h"
#include "base/error.h"
#include "unpack/tar.h"

/* Memory for what is put off to the end: time stamps of directories. */
#define DV_UNPACK_DEFERRED_BYTES_MAX (64U << 20U)

struct dv_unpack_tree;

/* `root_fd` is an empty directory; borrowed. Its mode becomes 0755 until the layer says
 * otherwise. */
__attribute__((warn_unused_result)) int
dv_unpack_tree_new(int root_fd, struct dv_unpack_tree **ret, struct dv_error *err);
void dv_unpack_tree_free(struct dv_unpack_tree *tree);
DV_DEFINE_CLEANUP(dv_unpack_tree, dv_unpack_tree_free)

/* The sink that writes; valid as long as the tree. */
const struct dv_unpack_sink *dv_unpack_tree_sink(struct dv_unpack_tree *tree);

/* After the last entry: time stamps of directories, then one sync of the file system. */
__attribute__((warn_unused_result)) int dv_unpack_tree_finish(struct dv_unpack_tree *tree,
                                                              struct dv_error *err);
