/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 1024
#define ALIGNMENT   (sizeof(max_align_t))

struct chunk {
    struct chunk *next;
    size_t used;
    size_t size;
    max_align_t bytes[];
};

struct dv_arena {
    struct chunk *chunks; /* the newest first */
    size_t left;          /* bytes below the ceiling */
};

struct dv_arena *dv_arena_new(size_t max)
{
    struct dv_arena *arena = calloc(1, sizeof(*arena));
    if (arena)
        arena->left = max;
    return arena;
}

void dv_arena_free(struct dv_arena *arena)
{
    if (!arena)
        return;
    struct chunk *next;
    for (struct chunk *chunk = arena->chunks; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    free(arena);
}

void *dv_arena_alloc(struct dv_arena *arena, size_t size)
{
    if (size == 0)
        size = 1;
    if (size > SIZE_MAX - ALIGNMENT - sizeof(struct chunk))
        return NULL;
    size = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (size > arena->left)
        return NULL;
    struct chunk *chunk = arena->chunks;
    if (!chunk || chunk->size - chunk->used < size) {
        size_t bytes = size > CHUNK_BYTES ? size : CHUNK_BYTES;
        chunk = calloc(1, sizeof(*chunk) + bytes);
        if (!chunk)
            return NULL;
        chunk->size = bytes;
        chunk->next = arena->chunks;
        arena->chunks = chunk;
    }
    void *result = (char *)chunk->bytes + chunk->used;
    chunk->used += size;
    arena->left -= size;
    return result;
}

void *dv_arena_array(struct dv_arena *arena, size_t count, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return dv_arena_alloc(arena, bytes);
}

char *dv_arena_strndup(struct dv_arena *arena, const char *text, size_t len)
{
    if (len == SIZE_MAX)
        return NULL;
    char *copy = dv_arena_alloc(arena, len + 1);
    if (copy && len)
        memcpy(copy, text, len);
    return copy;
}

char *dv_arena_strdup(struct dv_arena *arena, const char *text)
{
    return dv_arena_strndup(arena, text, strlen(text));
}

char *dv_arena_printf(struct dv_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    va_list again;
    va_copy(again, args);
    int need = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = need < 0 ? NULL : dv_arena_alloc(arena, (size_t)need + 1);
    if (text)
        vsnprintf(text, (size_t)need + 1, format, again);
    va_end(again);
    return text;
}
