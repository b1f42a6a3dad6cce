/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The names of a layer tar: cleaning, splitting and the whiteout convention. Pure functions on
 * bytes from outside; a name may hold every byte but NUL. Any thread, nothing blocks or allocates.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define DV_UNPACK_NAME_MAX  4095 /* bytes of a whole name: what one system call takes */
#define DV_UNPACK_DEPTH_MAX 256  /* components of a name */
#define DV_UNPACK_NAME_SIZE (DV_UNPACK_NAME_MAX + 1)

enum dv_unpack_whiteout {
    DV_UNPACK_PLAIN,    /* an ordinary name */
    DV_UNPACK_WHITEOUT, /* ".wh.x": x of the lower layers is gone */
    DV_UNPACK_OPAQUE,   /* ".wh..wh..opq": the directory hides what the lower layers have in it */
    DV_UNPACK_AUFS,     /* any other ".wh..wh.": bookkeeping of aufs, without meaning here */
};

/* Writes `name` without "." components and doubled or trailing slashes; the layer's root becomes
 * "". ".." is INVALID, more than `max` bytes or DV_UNPACK_DEPTH_MAX components LIMIT. A name that
 * begins with a slash means the layer's root by it if `may_be_absolute`; else it is INVALID, unless
 * it names the root itself. `role` names the name in the error ("entry", "hard link target"). */
__attribute__((warn_unused_result)) int dv_unpack_name_clean(const char *name,
                                                             size_t max,
                                                             bool may_be_absolute,
                                                             const char *role,
                                                             char ret[DV_UNPACK_NAME_SIZE],
                                                             struct dv_error *err);

/* The last component of a cleaned name; *ret_parent_len is the length of what comes before it,
 * without the slash. */
const char *dv_unpack_name_base(const char *name, size_t *ret_parent_len);

/* What the last component `base` asks for; for DV_UNPACK_WHITEOUT *ret_hidden is the name to hide.
 * INVALID if that would be empty, "." or "..". */
__attribute__((warn_unused_result)) int dv_unpack_name_whiteout(const char *base,
                                                                enum dv_unpack_whiteout *ret,
                                                                const char **ret_hidden,
                                                                struct dv_error *err);
