/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Record files in memory (actors/store/record_files.h), with faults. One thread.
 */
#include "actors/store/record_files.h"
#include "tests/support/journal_memory.h"

#include <stdbool.h>
#include <stddef.h>

struct record_memory_file {
    char id[129];
    char *text;
    size_t len;
};

struct record_memory {
    struct dv_record_files files; /* give its address to the environment */
    struct record_memory_file *items;
    size_t count;
    size_t room;
    unsigned set_aside;           /* records that could not be read */
    unsigned failures;            /* so many changes fail */
    bool is_cut;                  /* every change fails: power is gone */
    struct journal_memory *power; /* its operations are counted with those of this; may be NULL */
};

void record_memory_init(struct record_memory *memory);
void record_memory_done(struct record_memory *memory);
/* NULL: none of that id. */
struct record_memory_file *record_memory_find(struct record_memory *memory, const char *id);
