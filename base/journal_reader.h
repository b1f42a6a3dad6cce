/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * How a journal file is read, see base/journal.h for the format. One thread per reader. Private to
 * base.
 */
#include "base/journal.h"

#define DV_JOURNAL_MAGIC "davit-j1"

struct dv_journal_file_header {
    char magic[8];
    uint64_t first; /* number of the entry that came next when the file was made */
};

struct dv_journal_entry_header {
    uint32_t crc;
    uint32_t len;
    uint16_t kind;
    uint16_t reserved;
    uint32_t reserved_too;
    uint64_t sequence;
};

_Static_assert(sizeof(struct dv_journal_file_header) == 16, "format");
_Static_assert(sizeof(struct dv_journal_entry_header) == 24, "format");

struct dv_journal_reader {
    const struct dv_journal_files *files;
    int fd;
    uint64_t at;
    uint64_t end;   /* of the file, or of what is written */
    uint64_t last;  /* newest number read */
    uint64_t until; /* entries of higher numbers are not there */
    void *payload;  /* room for the largest entry, made at need */
    size_t room;
};

/* Padded. */
size_t dv_journal_entry_size(size_t len);
uint32_t dv_journal_entry_crc(const struct dv_journal_entry_header *header, const void *payload);
int dv_journal_read_failed(int r, struct dv_error *err); /* -errno to IO */

/* Reads all entries behind number `after`; *ret_end is where the readable part ends. The caller
 * frees reader->payload. */
__attribute__((warn_unused_result)) int dv_journal_read(struct dv_journal_reader *reader,
                                                        uint64_t after,
                                                        dv_journal_fn *fn,
                                                        void *ctx,
                                                        uint64_t *ret_end,
                                                        uint64_t *ret_damaged,
                                                        struct dv_error *err);
