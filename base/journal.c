/* SPDX-License-Identifier: Apache-2.0 */
#include "base/journal.h"

#include "base/journal_reader.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define ALLOCATE_BYTES (1U << 20)

struct dv_journal {
    const struct dv_journal_files *files;
    char path[PATH_MAX];
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    int fd;
    int bell;           /* eventfd: it broke */
    uint64_t end;       /* where the next entry goes */
    uint64_t allocated; /* size of the file */
    uint64_t written;   /* number of the newest entry */
    uint64_t synced;    /* number of the newest entry known to be on the disk */
    uint64_t lost_from; /* the last entries that a rotation left out since they had failed */
    uint64_t lost_to;
    uint64_t damaged_bytes;
    bool is_syncing;
    bool is_rotating;
    bool is_broken;
};

/* -- opening -------------------------------------------------------------------------------- */

static int
start_file(const struct dv_journal_files *files, int fd, uint64_t first, struct dv_error *err)
{
    struct dv_journal_file_header header = {.magic = DV_JOURNAL_MAGIC, .first = first};
    memcpy(header.magic, DV_JOURNAL_MAGIC, sizeof(header.magic));
    int r = files->allocate(files->ctx, fd, ALLOCATE_BYTES);
    if (r == 0)
        r = files->write(files->ctx, fd, 0, &header, sizeof(header));
    if (r == 0)
        r = files->sync(files->ctx, fd);
    return r < 0 ? dv_error_sys(err, DV_ERR_IO, -r, "begin a journal file") : 0;
}

/* Zeros, or the beginning of the magic and then zeros: it was cut before its first sync. */
static bool is_torn_header(const struct dv_journal_file_header *header)
{
    const char *bytes = (const char *)header;
    size_t known = 0;
    while (known < sizeof(header->magic) && bytes[known] == DV_JOURNAL_MAGIC[known])
        known++;
    if (known == sizeof(header->magic))
        return false;
    for (size_t i = known; i < sizeof(*header); i++)
        if (bytes[i])
            return false;
    return true;
}

static int load(struct dv_journal *journal, dv_journal_fn *fn, void *ctx, struct dv_error *err)
{
    const struct dv_journal_files *files = journal->files;
    struct dv_journal_file_header header;
    int r = files->read(files->ctx, journal->fd, 0, &header, sizeof(header));
    if (r < 0)
        return dv_journal_read_failed(r, err);
    if ((size_t)r < sizeof(header) || is_torn_header(&header)) {
        /* New, or cut before its first sync: nothing was ever promised from it. */
        journal->end = sizeof(header);
        journal->allocated = ALLOCATE_BYTES;
        r = files->truncate(files->ctx, journal->fd, 0);
        if (r < 0)
            return dv_error_sys(err, DV_ERR_IO, -r, "begin a journal file");
        return start_file(files, journal->fd, 1, err);
    }
    if (memcmp(header.magic, DV_JOURNAL_MAGIC, sizeof(header.magic)) != 0)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "'%s' is not a davit journal; move it away to start without it",
                            journal->path);
    struct dv_journal_reader reader = {
        .files = files,
        .fd = journal->fd,
        .at = sizeof(header),
        .end = journal->allocated,
        .until = UINT64_MAX,
    };
    r = dv_journal_read(&reader, 0, fn, ctx, &journal->end, &journal->damaged_bytes, err);
    free(reader.payload);
    if (r < 0)
        return r;
    journal->written = reader.last;
    if (header.first > journal->written + 1)
        journal->written = header.first - 1;
    journal->synced = journal->written;
    /* What a torn tail left must not be read as an entry later. */
    r = files->truncate(files->ctx, journal->fd, journal->end);
    if (r == 0) {
        journal->allocated = (journal->end / ALLOCATE_BYTES + 1) * ALLOCATE_BYTES;
        r = files->allocate(files->ctx, journal->fd, journal->allocated);
    }
    if (r == 0)
        r = files->sync(files->ctx, journal->fd);
    return r < 0 ? dv_error_sys(err, DV_ERR_IO, -r, "cut the end of the journal") : 0;
}

static int new_path(const struct dv_journal *journal, char path[PATH_MAX], struct dv_error *err)
{
    int used = snprintf(path, PATH_MAX, "%s.new", journal->path);
    if (used < 0 || used >= PATH_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "'%s' is too long for a path", journal->path);
    return 0;
}

int dv_journal_open(const char *path,
                    const struct dv_journal_files *files,
                    dv_journal_fn *fn,
                    void *ctx,
                    struct dv_journal **ret,
                    struct dv_error *err)
{
    DV_AUTO(dv_journal) journal = calloc(1, sizeof(*journal));
    if (!journal)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for the journal");
    journal->files = files ? files : dv_journal_files_real();
    journal->fd = -1;
    journal->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    pthread_mutex_init(&journal->lock, NULL);
    pthread_cond_init(&journal->changed, NULL);
    if (journal->bell < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make an eventfd for the journal '%s'", path);
    char aside[PATH_MAX];
    int used = snprintf(journal->path, sizeof(journal->path), "%s", path);
    if (used < 0 || (size_t)used >= sizeof(journal->path))
        return dv_error_set(err, DV_ERR_LIMIT, "'%s' is too long for a path", path);
    int r = new_path(journal, aside, err);
    if (r < 0)
        return r;
    (void)journal->files->remove(journal->files->ctx, aside); /* of a rotation that was cut */
    r = journal->files->open(journal->files->ctx, path, true, &journal->fd, &journal->allocated);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_IO, -r, "open the journal '%s'", path);
    r = load(journal, fn, ctx, err);
    if (r < 0)
        return dv_error_prefix(err, "journal '%s': ", path);
    *ret = dv_steal(&journal);
    return 0;
}

void dv_journal_close(struct dv_journal *journal)
{
    if (!journal)
        return;
    if (journal->fd >= 0)
        journal->files->close(journal->files->ctx, journal->fd);
    dv_close(&journal->bell);
    pthread_mutex_destroy(&journal->lock);
    pthread_cond_destroy(&journal->changed);
    free(journal);
}

/* -- appending ------------------------------------------------------------------------------ */

static int broken(const struct dv_journal *journal, struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_IO,
                        "the journal '%s' takes nothing more since a write failed; "
                        "free space or repair the disk",
                        journal->path);
}

static void set_broken(struct dv_journal *journal)
{
    static const uint64_t once = 1;
    if (!journal->is_broken)
        (void)!write(journal->bell, &once, sizeof(once));
    journal->is_broken = true;
}

static int allocate(struct dv_journal *journal, uint64_t need)
{
    if (need <= journal->allocated)
        return 0;
    uint64_t size = (need / ALLOCATE_BYTES + 1) * ALLOCATE_BYTES;
    int r = journal->files->allocate(journal->files->ctx, journal->fd, size);
    if (r == 0)
        journal->allocated = size;
    return r;
}

/* Lock held. A failure here leaves the file as it was: the next append may succeed. */
static int write_entry(struct dv_journal *journal,
                       uint16_t kind,
                       const void *payload,
                       size_t len,
                       struct dv_error *err)
{
    size_t size = dv_journal_entry_size(len);
    dv_autofree char *bytes = calloc(1, size);
    if (!bytes)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a journal entry");
    struct dv_journal_entry_header header = {
        .len = (uint32_t)len,
        .kind = kind,
        .sequence = journal->written + 1,
    };
    header.crc = dv_journal_entry_crc(&header, payload);
    memcpy(bytes, &header, sizeof(header));
    if (len)
        memcpy(bytes + sizeof(header), payload, len);
    int r = allocate(journal, journal->end + size);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_IO, -r, "make room in the journal '%s'", journal->path);
    r = journal->files->write(journal->files->ctx, journal->fd, journal->end, bytes, size);
    if (r < 0) {
        set_broken(journal);
        return dv_error_sys(err, DV_ERR_IO, -r, "write the journal '%s'", journal->path);
    }
    journal->end += size;
    journal->written++;
    return 0;
}

int dv_journal_write(struct dv_journal *journal,
                     uint16_t kind,
                     const void *payload,
                     size_t len,
                     uint64_t *ret_sequence,
                     struct dv_error *err)
{
    if (len > DV_JOURNAL_ENTRY_MAX)
        return dv_error_set(err, DV_ERR_LIMIT,
                            "a journal entry of %zu bytes is over the limit of %u", len,
                            DV_JOURNAL_ENTRY_MAX);
    pthread_mutex_lock(&journal->lock);
    while (journal->is_rotating)
        pthread_cond_wait(&journal->changed, &journal->lock);
    int r =
        journal->is_broken ? broken(journal, err) : write_entry(journal, kind, payload, len, err);
    if (r == 0)
        *ret_sequence = journal->written;
    pthread_mutex_unlock(&journal->lock);
    return r;
}

int dv_journal_wait(struct dv_journal *journal, uint64_t sequence, struct dv_error *err)
{
    int failure = 0;
    pthread_mutex_lock(&journal->lock);
    while (journal->synced < sequence && !journal->is_broken) {
        if (journal->is_syncing || journal->is_rotating) {
            pthread_cond_wait(&journal->changed, &journal->lock);
            continue;
        }
        /* This thread syncs for all that have written by now. */
        uint64_t target = journal->written;
        journal->is_syncing = true;
        pthread_mutex_unlock(&journal->lock);
        failure = journal->files->sync(journal->files->ctx, journal->fd);
        pthread_mutex_lock(&journal->lock);
        journal->is_syncing = false;
        if (failure == 0)
            journal->synced = target;
        else
            set_broken(journal);
        pthread_cond_broadcast(&journal->changed);
    }
    bool is_lost = sequence >= journal->lost_from && sequence <= journal->lost_to;
    bool is_safe = journal->synced >= sequence && !is_lost;
    pthread_mutex_unlock(&journal->lock);
    if (is_safe)
        return 0;
    if (failure < 0)
        return dv_error_sys(err, DV_ERR_IO, -failure, "sync the journal '%s'", journal->path);
    return broken(journal, err);
}

int dv_journal_append(struct dv_journal *journal,
                      uint16_t kind,
                      const void *payload,
                      size_t len,
                      uint64_t *ret_sequence,
                      struct dv_error *err)
{
    uint64_t sequence;
    int r = dv_journal_write(journal, kind, payload, len, &sequence, err);
    if (r == 0)
        r = dv_journal_wait(journal, sequence, err);
    if (r == 0)
        *ret_sequence = sequence;
    return r;
}

/* -- owner ---------------------------------------------------------------------------------- */

static int read_until(struct dv_journal *journal,
                      uint64_t after,
                      uint64_t until,
                      dv_journal_fn *fn,
                      void *ctx,
                      struct dv_error *err)
{
    pthread_mutex_lock(&journal->lock);
    struct dv_journal_reader reader = {
        .files = journal->files,
        .fd = journal->fd,
        .at = sizeof(struct dv_journal_file_header),
        .end = journal->end,
        .until = until,
    };
    pthread_mutex_unlock(&journal->lock);
    uint64_t unused_end;
    uint64_t unused_damage;
    int r = dv_journal_read(&reader, after, fn, ctx, &unused_end, &unused_damage, err);
    free(reader.payload);
    return r;
}

int dv_journal_each(
    struct dv_journal *journal, uint64_t after, dv_journal_fn *fn, void *ctx, struct dv_error *err)
{
    return read_until(journal, after, UINT64_MAX, fn, ctx, err);
}

uint64_t dv_journal_promised(struct dv_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    uint64_t promised = journal->is_broken ? journal->synced : UINT64_MAX;
    pthread_mutex_unlock(&journal->lock);
    return promised;
}

uint64_t dv_journal_size(struct dv_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    uint64_t size = journal->end;
    pthread_mutex_unlock(&journal->lock);
    return size;
}

uint64_t dv_journal_damaged_bytes(const struct dv_journal *journal)
{
    return journal->damaged_bytes;
}

bool dv_journal_is_broken(struct dv_journal *journal)
{
    pthread_mutex_lock(&journal->lock);
    bool is_broken = journal->is_broken;
    pthread_mutex_unlock(&journal->lock);
    return is_broken;
}

int dv_journal_broken_fd(const struct dv_journal *journal)
{
    return journal->bell;
}

struct copier {
    struct dv_journal *journal;
    dv_journal_fn *keep;
    void *ctx;
    int fd;
    uint64_t end;
    uint64_t allocated;
    uint64_t until;
};

static int copy_entry(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err)
{
    struct copier *copier = ctx;
    int r = copier->keep(copier->ctx, entry, err);
    if (r <= 0)
        return r;
    const struct dv_journal_files *files = copier->journal->files;
    struct dv_journal_entry_header header = {
        .len = (uint32_t)entry->len,
        .kind = entry->kind,
        .sequence = entry->sequence,
    };
    header.crc = dv_journal_entry_crc(&header, entry->payload);
    size_t size = dv_journal_entry_size(entry->len);
    r = 0;
    if (copier->end + size > copier->allocated) {
        copier->allocated = ((copier->end + size) / ALLOCATE_BYTES + 1) * ALLOCATE_BYTES;
        r = files->allocate(files->ctx, copier->fd, copier->allocated);
    }
    if (r == 0)
        r = files->write(files->ctx, copier->fd, copier->end, &header, sizeof(header));
    if (r == 0)
        r = files->write(files->ctx, copier->fd, copier->end + sizeof(header), entry->payload,
                         entry->len);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_IO, -r, "write the new journal file");
    copier->end += size;
    return 0;
}

static int fill_new_file(struct copier *copier, const char *path, struct dv_error *err)
{
    struct dv_journal *journal = copier->journal;
    const struct dv_journal_files *files = journal->files;
    uint64_t size;
    (void)files->remove(files->ctx, path);
    int r = files->open(files->ctx, path, true, &copier->fd, &size);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_IO, -r, "create '%s'", path);
    r = start_file(files, copier->fd, journal->written + 1, err);
    copier->end = sizeof(struct dv_journal_file_header);
    copier->allocated = ALLOCATE_BYTES;
    if (r == 0)
        r = read_until(journal, 0, copier->until, copy_entry, copier, err);
    if (r < 0)
        return r;
    r = files->sync(files->ctx, copier->fd);
    if (r == 0)
        r = files->rename(files->ctx, path, journal->path);
    return r < 0 ? dv_error_sys(err, DV_ERR_IO, -r, "put '%s' in place", path) : 0;
}

int dv_journal_rotate(struct dv_journal *journal,
                      dv_journal_fn *keep,
                      void *ctx,
                      struct dv_error *err)
{
    char path[PATH_MAX];
    int r = new_path(journal, path, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&journal->lock);
    journal->is_rotating = true;
    while (journal->is_syncing)
        pthread_cond_wait(&journal->changed, &journal->lock);
    pthread_mutex_unlock(&journal->lock);

    struct copier copier = {
        .journal = journal,
        .keep = keep,
        .ctx = ctx,
        .fd = -1,
        .until = dv_journal_promised(journal),
    };
    r = fill_new_file(&copier, path, err);

    pthread_mutex_lock(&journal->lock);
    int unused = copier.fd;
    if (r == 0) {
        unused = journal->fd;
        journal->fd = copier.fd;
        journal->end = copier.end;
        journal->allocated = copier.allocated;
        if (journal->is_broken && journal->synced < journal->written) {
            journal->lost_from = journal->synced + 1;
            journal->lost_to = journal->written;
        }
        journal->synced = journal->written;
        journal->is_broken = false;
    }
    journal->is_rotating = false;
    pthread_cond_broadcast(&journal->changed);
    pthread_mutex_unlock(&journal->lock);
    if (unused >= 0)
        journal->files->close(journal->files->ctx, unused);
    if (r < 0)
        (void)journal->files->remove(journal->files->ctx, path);
    return r;
}
