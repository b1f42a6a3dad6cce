/* SPDX-License-Identifier: Apache-2.0 */
/* Damaged journals: what is read is in order, and goes on being read when it was appended to. */
#include "base/journal.h"
#include "file.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
    uint64_t last;
    size_t count;
};

static int look(void *ctx, const struct dv_journal_entry *entry, struct dv_error *err)
{
    (void)err;
    struct seen *seen = ctx;
    assert(entry->sequence > seen->last && entry->len <= DV_JOURNAL_ENTRY_MAX);
    seen->last = entry->sequence;
    seen->count++;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *path = fuzz_file(data, size);
    struct seen before = {0};
    struct seen after = {0};
    struct dv_journal *journal = NULL;
    uint64_t sequence;
    if (dv_journal_open(path, NULL, look, &before, &journal, NULL) == 0) {
        /* The highest number leaves no next one. */
        bool is_last = before.last == UINT64_MAX;
        int r = dv_journal_append(journal, 1, "x", 1, &sequence, NULL);
        dv_journal_close(journal);
        if (r == 0 && !is_last) {
            assert(dv_journal_open(path, NULL, look, &after, &journal, NULL) == 0);
            assert(after.count == before.count + 1 && after.last == sequence);
            dv_journal_close(journal);
        }
    }
    return 0;
}
