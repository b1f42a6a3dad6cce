/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/journal_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int change(struct journal_memory *m)
{
    if (m->fail_after < 0)
        return 0;
    if (m->fail_after > 0) {
        m->fail_after--;
        return 0;
    }
    if (!m->is_cut)
        m->fail_after = -1;
    return -m->error;
}

struct memory_file *journal_memory_find(struct journal_memory *m, const char *path)
{
    for (size_t i = 0; i < MEMORY_FILES_MAX; i++)
        if (m->disk[i].path[0] && strcmp(m->disk[i].path, path) == 0)
            return &m->disk[i];
    return NULL;
}

static int resize(struct memory_file *file, size_t size)
{
    if (size == 0) {
        free(file->bytes);
        file->bytes = NULL;
        file->size = 0;
        return 0;
    }
    unsigned char *bytes = realloc(file->bytes, size);
    if (!bytes)
        return -ENOMEM;
    if (size > file->size)
        memset(bytes + file->size, 0, size - file->size);
    file->bytes = bytes;
    file->size = size;
    return 0;
}

static int memory_open(void *ctx, const char *path, bool create, int *ret_fd, uint64_t *ret_size)
{
    struct journal_memory *m = ctx;
    struct memory_file *file = journal_memory_find(m, path);
    if (!file && !create)
        return -ENOENT;
    for (size_t i = 0; !file && i < MEMORY_FILES_MAX; i++) {
        if (m->disk[i].path[0])
            continue;
        file = &m->disk[i];
        snprintf(file->path, sizeof(file->path), "%s", path);
    }
    if (!file)
        return -ENOSPC;
    *ret_fd = (int)(file - m->disk);
    *ret_size = file->size;
    return 0;
}

static int memory_read(void *ctx, int fd, uint64_t offset, void *bytes, size_t len)
{
    struct memory_file *file = &((struct journal_memory *)ctx)->disk[fd];
    if (offset >= file->size)
        return 0;
    if (len > file->size - offset)
        len = file->size - offset;
    memcpy(bytes, file->bytes + offset, len);
    return (int)len;
}

static int memory_write(void *ctx, int fd, uint64_t offset, const void *bytes, size_t len)
{
    struct journal_memory *m = ctx;
    struct memory_file *file = &m->disk[fd];
    int r = change(m);
    if (r == 0 && offset + len > file->size)
        r = resize(file, offset + len);
    if (r == 0 && len)
        memcpy(file->bytes + offset, bytes, len);
    return r;
}

static int memory_allocate(void *ctx, int fd, uint64_t size)
{
    struct journal_memory *m = ctx;
    int r = change(m);
    return r < 0 || m->disk[fd].size >= size ? r : resize(&m->disk[fd], size);
}

static int memory_truncate(void *ctx, int fd, uint64_t size)
{
    struct journal_memory *m = ctx;
    int r = change(m);
    return r < 0 ? r : resize(&m->disk[fd], size);
}

static int memory_sync(void *ctx, int fd)
{
    (void)fd;
    return change(ctx);
}

static int memory_remove(void *ctx, const char *path)
{
    struct journal_memory *m = ctx;
    struct memory_file *file = journal_memory_find(m, path);
    int r = change(m);
    if (r < 0 || !file)
        return r;
    free(file->bytes);
    *file = (struct memory_file){0};
    return 0;
}

/* Open descriptors are places in the table, so the content moves, not the place. */
static int memory_rename(void *ctx, const char *from, const char *to)
{
    struct journal_memory *m = ctx;
    struct memory_file *source = journal_memory_find(m, from);
    int r = change(m);
    if (r < 0 || !source)
        return r < 0 ? r : -ENOENT;
    struct memory_file *target = journal_memory_find(m, to);
    if (target) {
        free(target->bytes);
        *target = (struct memory_file){0};
    }
    snprintf(source->path, sizeof(source->path), "%s", to);
    return 0;
}

static void memory_close(void *ctx, int fd)
{
    (void)ctx;
    (void)fd;
}

void journal_memory_init(struct journal_memory *m)
{
    *m = (struct journal_memory){
        .files = {memory_open, memory_read, memory_write, memory_allocate, memory_truncate,
                  memory_sync, memory_rename, memory_remove, memory_close, m},
        .fail_after = -1,
        .error = EIO,
    };
}

void journal_memory_done(struct journal_memory *m)
{
    for (size_t i = 0; i < MEMORY_FILES_MAX; i++)
        free(m->disk[i].bytes);
}
