/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The journal's file operations in memory, with faults: for unit tests and the simulation. Content
 * survives closing, like a disk. Not thread-safe.
 */
#include "base/journal.h"

#define MEMORY_FILES_MAX 4

struct memory_file {
    char path[256];
    unsigned char *bytes;
    size_t size;
};

struct journal_memory {
    struct dv_journal_files files; /* give its address to dv_journal_open */
    struct memory_file disk[MEMORY_FILES_MAX];
    int fail_after; /* operations that change something before one fails; -1: never */
    int error;      /* errno of the failure */
    bool is_cut;    /* from the failure on everything fails: power is gone */
};

void journal_memory_init(struct journal_memory *memory);
void journal_memory_done(struct journal_memory *memory);
struct memory_file *journal_memory_find(struct journal_memory *memory, const char *path);
