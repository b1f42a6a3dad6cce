/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What an unpacked layer looked like when it was unpacked: <home>/layers/ids/<id>.seal has the
 * number and a sum of the names and kinds in the two uppermost levels of its directory, or in one
 * or none where these are too many. That tells a layer that was deleted, emptied or taken apart (by
 * hand, by a check of the file system) from a whole one without a walk through it, so it is
 * affordable at each start of a container. It says nothing of the content of files. A layer that an
 * older davit unpacked has no seal: only its directory must be there.
 *
 * Any thread; calls block for the disk. Nothing is kept in memory.
 */
#include "base/error.h"

#define DV_LAYER_SEAL_SUFFIX ".seal"

/* Notes what `directory` has as the seal of the layer `id`; durable on return. */
__attribute__((warn_unused_result)) int dv_layer_seal_write(const char *layers_dir,
                                                            const char *id,
                                                            const char *directory,
                                                            struct dv_error *err);

/* 0 if it is as it was. CORRUPT when it is missing or has changed; another error says nothing of
 * the layer. */
__attribute__((warn_unused_result)) int
dv_layer_seal_check(const char *layers_dir, const char *id, struct dv_error *err);

/* Moves a damaged layer to <layers_dir>/damaged/<id>.<number>: containers that run on it go on with
 * what is left of it, so it is not deleted before they are gone. 0 too if there is none. */
__attribute__((warn_unused_result)) int
dv_layer_set_aside(const char *layers_dir, const char *id, struct dv_error *err);
