/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The names of the things of this gateway, when there are several: the first has the name that the
 * identity gives, the next ones are <first>-2, <first>-3 and so on. Each is a device of its own for
 * Hono, with the gateway publishing for it. Pure functions, any thread.
 */
#include "base/error.h"
#include "base/str.h"
#include "bridge/hono/topic.h"

#define DV_HONO_THINGS_MAX 64

/* Index 0 is the first. The name must have passed dv_hono_things_check(). */
void dv_hono_thing_name(const char *first, unsigned index, char ret[DV_HONO_THING_MAX + 1]);

/* Which of the `count` things of `first` that is; -1: none of them. */
int dv_hono_thing_index(const char *first, unsigned count, struct dv_str name);

/* INVALID if the name of the last one would be too long; it names the limit. */
__attribute__((warn_unused_result)) int
dv_hono_things_check(const char *first, unsigned count, struct dv_error *err);
