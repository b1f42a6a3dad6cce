/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Memory that lives and ends together: a decoded message, a parsed record. Chunks are zeroed; there
 * is no single free. Not thread-safe: one owner. All functions return NULL only when memory is
 * short or the ceiling is reached.
 */
#include "base/cleanup.h"

#include <stddef.h>

struct dv_arena;

/* `max` is the ceiling for all bytes handed out. */
struct dv_arena *dv_arena_new(size_t max);
void dv_arena_free(struct dv_arena *arena);
DV_DEFINE_CLEANUP(dv_arena, dv_arena_free)

/* Zeroed, aligned for any type. */
void *dv_arena_alloc(struct dv_arena *arena, size_t size);
/* Array of `count` zeroed items; overflow gives NULL. */
void *dv_arena_array(struct dv_arena *arena, size_t count, size_t size);
char *dv_arena_strndup(struct dv_arena *arena, const char *text, size_t len);
char *dv_arena_strdup(struct dv_arena *arena, const char *text);
char *dv_arena_printf(struct dv_arena *arena, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
