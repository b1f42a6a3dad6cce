/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The values of a container's operations. Pure, any thread. `args` is the JSON value of the
 * command, empty when there is none. INVALID names field, value and rule.
 */
#include "base/arena.h"
#include "base/error.h"
#include "base/str.h"
#include "messages/messages.h"

#include <stdbool.h>
#include <stdint.h>

#define DV_STOP_TIMEOUT_MAX_S (24 * 3600)

struct dv_stop_options {
    int signal;        /* 0: not given */
    int64_t timeout_s; /* 0: not given */
    bool is_force;
    char unknown[192]; /* what to say of the first key that is not known, "": all are */
};

__attribute__((warn_unused_result)) int
dv_spec_stop_options(struct dv_str args, struct dv_stop_options *ret, struct dv_error *err);

/* Boolean, absent: false. */
__attribute__((warn_unused_result)) int
dv_spec_remove(struct dv_str args, bool *ret_force, struct dv_error *err);

/* The new name, checked; "" for an empty one (no effect). Owned by the caller. */
__attribute__((warn_unused_result)) int
dv_spec_rename(struct dv_str args, char **ret_name, struct dv_error *err);

/* A changed copy of `record` in the arena: given fields replace, absent ones stay, an empty text
 * takes a limit away, a new policy type drops count and timeout unless they are given. Unknown keys
 * are added to its warnings, which is no change by itself. */
__attribute__((warn_unused_result)) int dv_spec_update(struct dv_str args,
                                                       const struct dv_container_record *record,
                                                       struct dv_arena *arena,
                                                       struct dv_container_record **ret,
                                                       bool *ret_changed,
                                                       struct dv_error *err);
