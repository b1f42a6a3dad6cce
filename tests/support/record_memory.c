/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/record_memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int change(struct record_memory *memory, const char *id, struct dv_error *err)
{
    if (memory->power && journal_memory_change(memory->power) < 0)
        return dv_error_set(err, DV_ERR_IO, "record of '%s': power is gone", id);
    if (!memory->is_cut && !memory->failures)
        return 0;
    if (memory->failures)
        memory->failures--;
    return dv_error_set(err, DV_ERR_IO, "record of '%s': the disk does not answer", id);
}

struct record_memory_file *record_memory_find(struct record_memory *memory, const char *id)
{
    for (size_t i = 0; i < memory->count; i++)
        if (strcmp(memory->items[i].id, id) == 0)
            return &memory->items[i];
    return NULL;
}

static int memory_each(void *ctx, dv_record_id_fn *fn, void *fn_ctx, struct dv_error *err)
{
    (void)err;
    struct record_memory *memory = ctx;
    for (size_t i = 0; i < memory->count; i++)
        fn(fn_ctx, memory->items[i].id);
    return 0;
}

static int memory_read(void *ctx, const char *id, struct dv_buf *out, struct dv_error *err)
{
    const struct record_memory_file *file = record_memory_find(ctx, id);
    if (!file)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "there is no record of '%s'", id);
    return dv_buf_append(out, file->text, file->len, err);
}

static int
memory_write(void *ctx, const char *id, const void *bytes, size_t len, struct dv_error *err)
{
    struct record_memory *memory = ctx;
    int r = change(memory, id, err);
    if (r < 0)
        return r;
    struct record_memory_file *file = record_memory_find(memory, id);
    if (!file && memory->count == memory->room) {
        memory->room = memory->room ? memory->room * 2 : 64;
        memory->items = reallocarray(memory->items, memory->room, sizeof(*memory->items));
    }
    if (!memory->items)
        abort();
    if (!file) {
        file = &memory->items[memory->count++];
        *file = (struct record_memory_file){0};
        snprintf(file->id, sizeof(file->id), "%s", id);
    }
    free(file->text);
    file->text = malloc(len);
    if (!file->text)
        abort();
    memcpy(file->text, bytes, len);
    file->len = len;
    return 0;
}

static int memory_remove(void *ctx, const char *id, struct dv_error *err)
{
    struct record_memory *memory = ctx;
    int r = change(memory, id, err);
    struct record_memory_file *file = record_memory_find(memory, id);
    if (r < 0 || !file)
        return r;
    free(file->text);
    *file = memory->items[--memory->count];
    return 0;
}

static void memory_set_aside(void *ctx, const char *id, const struct dv_error *why)
{
    struct record_memory *memory = ctx;
    (void)id;
    (void)why;
    memory->set_aside++;
}

void record_memory_init(struct record_memory *memory)
{
    *memory = (struct record_memory){
        .files = {memory_each, memory_read, memory_write, memory_remove, memory_set_aside, memory},
    };
}

void record_memory_done(struct record_memory *memory)
{
    for (size_t i = 0; i < memory->count; i++)
        free(memory->items[i].text);
    free(memory->items);
    *memory = (struct record_memory){0};
}
