/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/journal_memory.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int journal_memory_change(struct journal_memory *m)
{
    m->changes++;
    if (m->is_power_gone || (m->cut_at && m->changes >= m->cut_at)) {
        m->is_power_gone = true;
        return -m->error;
    }
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

/* -- what is not durable yet ---------------------------------------------------------------- */

static void forget_open(struct memory_file *file)
{
    for (size_t i = 0; i < file->open_count; i++) {
        free(file->open[i].before);
        free(file->open[i].after);
    }
    file->open_count = 0;
}

static void free_file(struct memory_file *file)
{
    forget_open(file);
    free(file->open);
    free(file->bytes);
    *file = (struct memory_file){0};
}

/* A stretch of the file as it is now; beyond the end there are zeros. */
static unsigned char *copy_of(const struct memory_file *file, uint64_t offset, size_t len)
{
    unsigned char *bytes = calloc(1, len ? len : 1);
    if (!bytes)
        abort();
    if (offset < file->size)
        memcpy(bytes, file->bytes + offset, len < file->size - offset ? len : file->size - offset);
    return bytes;
}

/* `len` bytes at `offset` become `after` (NULL: stay), the size becomes `size`. */
static int apply(struct journal_memory *m,
                 struct memory_file *file,
                 uint64_t offset,
                 const void *after,
                 size_t len,
                 size_t size)
{
    struct memory_change change = {
        .offset = offset, .len = len, .size_before = file->size, .size_after = size};
    if (m->is_watched) {
        change.before = copy_of(file, offset, len);
        if (after) {
            change.after = copy_of(file, offset, len);
            memcpy(change.after, after, len);
        }
        if (file->open_count == file->open_room) {
            file->open_room = file->open_room ? file->open_room * 2 : 16;
            file->open = reallocarray(file->open, file->open_room, sizeof(*file->open));
            if (!file->open)
                abort();
        }
        file->open[file->open_count++] = change;
    }
    int r = size == file->size ? 0 : resize(file, size);
    if (r == 0 && after && len)
        memcpy(file->bytes + offset, after, len);
    return r;
}

/* Disks write sectors. */
#define SECTOR 512

static void bring(struct memory_file *file, const struct memory_change *change, uint64_t draw)
{
    size_t len = change->len;
    if (draw % 4 == 0)
        len = len / SECTOR ? draw / 4 % (len / SECTOR + 1) * SECTOR : draw / 4 % (len + 1);
    if (change->size_after > file->size || !change->after)
        (void)resize(file, change->size_after);
    if (change->after && len && change->offset + len <= file->size)
        memcpy(file->bytes + change->offset, change->after, len);
}

static void lose_of_file(struct memory_file *file,
                         uint64_t (*random)(void *ctx),
                         void *ctx,
                         unsigned percent,
                         bool is_reordered)
{
    for (size_t i = file->open_count; i-- > 0;) {
        const struct memory_change *change = &file->open[i];
        if (change->len && change->offset + change->len <= file->size)
            memcpy(file->bytes + change->offset, change->before, change->len);
        (void)resize(file, change->size_before);
        if (!change->after && change->len)
            memcpy(file->bytes + change->offset, change->before, change->len);
    }
    for (size_t i = file->open_count; is_reordered && i > 1; i--) {
        size_t other = random(ctx) % i;
        struct memory_change moved = file->open[i - 1];
        file->open[i - 1] = file->open[other];
        file->open[other] = moved;
    }
    size_t count = file->open_count;
    if (!is_reordered && count)
        count = random(ctx) % (count + 1);
    for (size_t i = 0; i < count; i++)
        if (!is_reordered || random(ctx) % 100 < percent)
            bring(file, &file->open[i], is_reordered || i + 1 == count ? random(ctx) : 1);
    forget_open(file);
}

void journal_memory_lose(struct journal_memory *m, uint64_t (*random)(void *ctx), void *ctx)
{
    unsigned percent = (unsigned)(random(ctx) % 5) * 25;
    for (size_t i = 0; i < MEMORY_FILES_MAX; i++)
        lose_of_file(&m->disk[i], random, ctx, percent, m->is_reordered);
    m->is_power_gone = false;
    m->cut_at = 0;
}

/* -- operations ----------------------------------------------------------------------------- */

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
    int r = journal_memory_change(m);
    size_t end = (size_t)offset + len;
    return r < 0 ? r : apply(m, file, offset, bytes, len, end > file->size ? end : file->size);
}

static int memory_allocate(void *ctx, int fd, uint64_t size)
{
    struct journal_memory *m = ctx;
    int r = journal_memory_change(m);
    return r < 0 || m->disk[fd].size >= size ? r : apply(m, &m->disk[fd], 0, NULL, 0, size);
}

static int memory_truncate(void *ctx, int fd, uint64_t size)
{
    struct journal_memory *m = ctx;
    int r = journal_memory_change(m);
    size_t before = m->disk[fd].size;
    size_t len = before > size ? before - size : 0;
    return r < 0 ? r : apply(m, &m->disk[fd], size, NULL, len, size);
}

static int memory_sync(void *ctx, int fd)
{
    struct journal_memory *m = ctx;
    int r = journal_memory_change(m);
    if (r == 0)
        forget_open(&m->disk[fd]);
    return r;
}

static int memory_remove(void *ctx, const char *path)
{
    struct journal_memory *m = ctx;
    struct memory_file *file = journal_memory_find(m, path);
    int r = journal_memory_change(m);
    if (r < 0 || !file)
        return r;
    free_file(file);
    return 0;
}

/* Open descriptors are places in the table, so the content moves, not the place. */
static int memory_rename(void *ctx, const char *from, const char *to)
{
    struct journal_memory *m = ctx;
    struct memory_file *source = journal_memory_find(m, from);
    int r = journal_memory_change(m);
    if (r < 0 || !source)
        return r < 0 ? r : -ENOENT;
    struct memory_file *target = journal_memory_find(m, to);
    if (target)
        free_file(target);
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
        free_file(&m->disk[i]);
}
