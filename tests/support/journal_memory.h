/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The journal's file operations in memory, with faults: for unit tests and the simulation. Content
 * survives closing, like a disk. Not thread-safe.
 */
#include "base/journal.h"

#define MEMORY_FILES_MAX 4

/* A change that no sync has made durable. */
struct memory_change {
    uint64_t offset;
    unsigned char *before; /* what was there; bytes beyond the old end are zero */
    unsigned char *after;
    size_t len;
    size_t size_before;
    size_t size_after;
};

struct memory_file {
    char path[256];
    unsigned char *bytes;
    size_t size;
    struct memory_change *open; /* oldest first */
    size_t open_count;
    size_t open_room;
};

struct journal_memory {
    struct dv_journal_files files; /* give its address to dv_journal_open */
    struct memory_file disk[MEMORY_FILES_MAX];
    int fail_after; /* operations that change something before one fails; -1: never */
    int error;      /* errno of the failure */
    bool is_cut;    /* from the failure on everything fails: power is gone */
    /* Power that goes at an exact operation, of those of this and of whoever counts along. */
    bool is_reordered;  /* the disk takes what is not synced in any order, else in that of writes */
    bool is_watched;    /* unsynced changes are kept apart, for journal_memory_lose() */
    uint64_t changes;   /* operations that change something, so far */
    uint64_t cut_at;    /* this one and all after it fail; 0: never */
    bool is_power_gone; /* it has come to that */
};

void journal_memory_init(struct journal_memory *memory);
void journal_memory_done(struct journal_memory *memory);
/* An operation that changes something: 0, or the negative errno that it fails with. */
int journal_memory_change(struct journal_memory *memory);
/* The power comes back: of what was not synced some is there, some is not, some is torn, in
 * whatever order the disk took it; `random` decides. */
void journal_memory_lose(struct journal_memory *memory, uint64_t (*random)(void *ctx), void *ctx);
struct memory_file *journal_memory_find(struct journal_memory *memory, const char *path);
