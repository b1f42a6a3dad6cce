/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A set of short texts: fill it, seal it, ask it. One owner; the texts are copied into its arena,
 * whose ceiling bounds it.
 */
#include "base/arena.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

struct dv_names {
    struct dv_arena *arena; /* borrowed */
    const char **items;
    size_t count;
    size_t capacity;
    bool is_sealed;
};

__attribute__((warn_unused_result)) int
dv_names_add(struct dv_names *names, const char *name, struct dv_error *err);
/* Sorts; nothing may be added afterwards. */
void dv_names_seal(struct dv_names *names);
/* Only when sealed. */
bool dv_names_has(const struct dv_names *names, const char *name);
