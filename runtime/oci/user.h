/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * From the User text of an image to numbers, by the passwd and group files of its root file system.
 * Both files come from a layer and are hostile: lines that make no sense are passed over. Pure, any
 * thread.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"

#include <stddef.h>
#include <stdint.h>

#define DV_OCI_GROUPS_MAX 65536U /* what the kernel takes for one process */

struct dv_oci_user {
    uint32_t uid;
    uint32_t gid;
    uint32_t *groups; /* further ones */
    size_t group_count;
};

/* `text`: "", "user" or "user:group", each a name or a number; NULL or "" is root. A user known to
 * `passwd` brings its group and, if the text names no group, those that `group` lists it in; an
 * unknown number has group 0. INVALID names a user or group that cannot be found. */
__attribute__((warn_unused_result)) int dv_oci_user_resolve(const char *text,
                                                            struct dv_str passwd,
                                                            struct dv_str group,
                                                            struct dv_arena *arena,
                                                            struct dv_oci_user *ret,
                                                            struct dv_error *err);
