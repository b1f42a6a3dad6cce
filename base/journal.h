/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * One append-only file of numbered entries: the commit point of the daemon.
 *
 * Any thread appends; the call returns when the entry is on the disk. Threads that wait at the same
 * time share one fdatasync (group commit). One thread, the owner, reads, rotates and closes.
 *
 * Format: a header of 16 bytes ("davit-j1", the number that came next when the file was made), then
 * entries of {crc32c of what follows, payload length, kind, reserved, sequence} and the payload,
 * padded to 8 bytes, all in host order. The file is preallocated with zeros; a length of zero ends
 * it. A torn last entry is what a power cut leaves and is cut off silently. Damage with good
 * entries behind it is skipped and counted (dv_journal_damaged_bytes): what can be read is never
 * given up.
 *
 * After a failed write or sync the journal refuses further appends until a rotation has succeeded:
 * what a disk kept after a failed fdatasync is not known. That rotation leaves out what was not
 * synced: who wrote it was told that it failed. Only a power cut before it may bring it back.
 */
#include "base/cleanup.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DV_JOURNAL_ENTRY_MAX (2U << 20)

struct dv_journal;

struct dv_journal_entry {
    uint64_t sequence; /* from 1, without gaps except across damage */
    uint16_t kind;
    const void *payload; /* borrowed for the call */
    size_t len;
};

/* 0 to go on, negative to stop. */
typedef int dv_journal_fn(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err);

/* The file operations underneath, so that tests can cut, fail and reorder them. Negative errno. */
struct dv_journal_files {
    int (*open)(void *ctx, const char *path, bool create, int *ret_fd, uint64_t *ret_size);
    int (*read)(void *ctx, int fd, uint64_t offset, void *bytes, size_t len); /* bytes read */
    int (*write)(void *ctx, int fd, uint64_t offset, const void *bytes, size_t len);
    int (*allocate)(void *ctx, int fd, uint64_t size);
    int (*truncate)(void *ctx, int fd, uint64_t size);
    int (*sync)(void *ctx, int fd);
    int (*rename)(void *ctx, const char *from, const char *to); /* durable on return */
    int (*remove)(void *ctx, const char *path);
    void (*close)(void *ctx, int fd);
    void *ctx;
};

/* The real ones. */
const struct dv_journal_files *dv_journal_files_real(void);

/* Opens or creates. `fn` sees every entry that is there, in order; its failure fails the open.
 * `files` NULL: the real ones. */
__attribute__((warn_unused_result)) int dv_journal_open(const char *path,
                                                        const struct dv_journal_files *files,
                                                        dv_journal_fn *fn,
                                                        void *ctx,
                                                        struct dv_journal **ret,
                                                        struct dv_error *err);
void dv_journal_close(struct dv_journal *journal);
DV_DEFINE_CLEANUP(dv_journal, dv_journal_close)

/* Appends and waits for the disk. Any thread. LIMIT for a payload over DV_JOURNAL_ENTRY_MAX. */
__attribute__((warn_unused_result)) int dv_journal_append(struct dv_journal *journal,
                                                          uint16_t kind,
                                                          const void *payload,
                                                          size_t len,
                                                          uint64_t *ret_sequence,
                                                          struct dv_error *err);

/* The two halves: write now, wait later for all of one's own entries at once. A crash between them
 * may keep or lose the entry. */
__attribute__((warn_unused_result)) int dv_journal_write(struct dv_journal *journal,
                                                         uint16_t kind,
                                                         const void *payload,
                                                         size_t len,
                                                         uint64_t *ret_sequence,
                                                         struct dv_error *err);
__attribute__((warn_unused_result)) int
dv_journal_wait(struct dv_journal *journal, uint64_t sequence, struct dv_error *err);

/* All entries from `after` + 1 on, oldest first. Owner only; may run beside appends, which it then
 * does not see. */
__attribute__((warn_unused_result)) int dv_journal_each(
    struct dv_journal *journal, uint64_t after, dv_journal_fn *fn, void *ctx, struct dv_error *err);

/* Bytes in use, to decide when to rotate. */
uint64_t dv_journal_size(struct dv_journal *journal);
/* Bytes that could not be read when it was opened, 0: none. */
uint64_t dv_journal_damaged_bytes(const struct dv_journal *journal);
/* Whether it refuses appends after a failure. */
bool dv_journal_is_broken(struct dv_journal *journal);
/* Number of the last entry that a rotation may keep: all of them, or, once it refuses, those that
 * were synced. */
uint64_t dv_journal_promised(struct dv_journal *journal);
/* Becomes readable (eight bytes to read) each time that it begins to refuse; the journal's own. */
int dv_journal_broken_fd(const struct dv_journal *journal);

/* A new file that holds only the entries for which `keep` returns 1 (with their numbers), in place
 * of the old one. Appends wait meanwhile. After a failure the old file stays in use. Owner only. */
__attribute__((warn_unused_result)) int
dv_journal_rotate(struct dv_journal *journal, dv_journal_fn *keep, void *ctx, struct dv_error *err);
