/* SPDX-License-Identifier: Apache-2.0 */
#include "base/journal.h"
#include "tests/support/journal_memory.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PATH "j"

static struct journal_memory disk;
static struct dv_error err;

static void setup(void)
{
    journal_memory_init(&disk);
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    journal_memory_done(&disk);
}

TestSuite(journal, .init = setup, .fini = teardown);

/* "kind:payload " of every entry, in order. */
struct seen {
    char text[4096];
    uint64_t last;
    unsigned count;
};

static int collect(void *ctx, const struct dv_journal_entry *entry, struct dv_error *e)
{
    (void)e;
    struct seen *seen = ctx;
    size_t used = strlen(seen->text);
    snprintf(seen->text + used, sizeof(seen->text) - used, "%u:%.*s ", entry->kind, (int)entry->len,
             (const char *)entry->payload);
    cr_assert_gt(entry->sequence, seen->last);
    seen->last = entry->sequence;
    seen->count++;
    return 0;
}

static struct dv_journal *reopen(struct dv_journal *old, struct seen *seen)
{
    dv_journal_close(old);
    *seen = (struct seen){.text = ""};
    struct dv_journal *journal = NULL;
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_journal_open(PATH, &disk.files, collect, seen, &journal, &err), 0, "%s",
                 err.text);
    return journal;
}

static uint64_t append(struct dv_journal *journal, uint16_t kind, const char *text)
{
    uint64_t sequence = 0;
    cr_assert_eq(dv_journal_append(journal, kind, text, strlen(text), &sequence, &err), 0, "%s",
                 err.text);
    return sequence;
}

Test(journal, entries_come_back_in_order_with_their_numbers)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    cr_assert_eq(append(journal, 7, "one"), 1);
    cr_assert_eq(append(journal, 8, ""), 2);
    cr_assert_eq(append(journal, 9, "three"), 3);
    journal = reopen(journal, &seen);
    cr_assert_str_eq(seen.text, "7:one 8: 9:three ");
    cr_assert_eq(append(journal, 7, "four"), 4);
    dv_journal_close(journal);
}

Test(journal, a_tail_torn_at_any_byte_loses_only_the_last_entry)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    append(journal, 1, "first");
    uint64_t before = dv_journal_size(journal);
    append(journal, 2, "second entry");
    uint64_t after = dv_journal_size(journal);
    dv_journal_close(journal);
    unsigned char *whole = malloc(after);
    cr_assert_not_null(whole);
    memcpy(whole, disk.disk[0].bytes, after);
    for (uint64_t cut = before; cut < after; cut++) {
        memset(disk.disk[0].bytes, 0, disk.disk[0].size);
        memcpy(disk.disk[0].bytes, whole, cut);
        journal = reopen(NULL, &seen);
        /* The last bytes of an entry are padding: then it is whole. */
        if (seen.count == 1)
            cr_assert_str_eq(seen.text, "1:first ");
        else
            cr_assert_geq(cut, after - 7);
        cr_assert_eq(dv_journal_damaged_bytes(journal), 0);
        append(journal, 3, "new");
        journal = reopen(journal, &seen);
        cr_assert(strstr(seen.text, "1:first ") && strstr(seen.text, "3:new "));
        dv_journal_close(journal);
    }
    free(whole);
}

Test(journal, damage_in_the_middle_is_skipped_and_counted)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    append(journal, 1, "aaaaaaaa");
    uint64_t start = dv_journal_size(journal);
    append(journal, 2, "bbbbbbbb");
    uint64_t end = dv_journal_size(journal);
    append(journal, 3, "cccccccc");
    dv_journal_close(journal);
    for (uint64_t at = start; at < end; at++) {
        disk.disk[0].bytes[at] ^= 0x55;
        journal = reopen(NULL, &seen);
        cr_assert(strstr(seen.text, "1:aaaaaaaa "), "byte %lu", at);
        cr_assert(strstr(seen.text, "3:cccccccc "), "byte %lu: %s", at, seen.text);
        cr_assert_null(strstr(seen.text, "2:"));
        cr_assert_eq(dv_journal_damaged_bytes(journal), end - start);
        dv_journal_close(journal);
        disk.disk[0].bytes[at] ^= 0x55;
    }
}

static int keep_even(void *ctx, const struct dv_journal_entry *entry, struct dv_error *e)
{
    (void)ctx;
    (void)e;
    return entry->sequence % 2 == 0;
}

Test(journal, rotation_keeps_chosen_entries_with_their_numbers)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    for (int i = 0; i < 6; i++)
        append(journal, 1, "x");
    cr_assert_eq(dv_journal_rotate(journal, keep_even, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(append(journal, 2, "y"), 7);
    journal = reopen(journal, &seen);
    cr_assert_str_eq(seen.text, "1:x 1:x 1:x 2:y ");
    cr_assert_eq(seen.last, 7);
    dv_journal_close(journal);
}

static int keep_none(void *ctx, const struct dv_journal_entry *entry, struct dv_error *e)
{
    (void)ctx;
    (void)entry;
    (void)e;
    return 0;
}

Test(journal, numbers_go_on_after_a_rotation_that_kept_nothing)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    append(journal, 1, "a");
    append(journal, 1, "b");
    cr_assert_eq(dv_journal_rotate(journal, keep_none, NULL, &err), 0);
    journal = reopen(journal, &seen);
    cr_assert_eq(seen.count, 0);
    cr_assert_eq(append(journal, 1, "c"), 3);
    dv_journal_close(journal);
}

Test(journal, power_lost_at_any_step_of_a_rotation_loses_nothing_kept)
{
    for (int step = 0; step < 40; step++) {
        journal_memory_done(&disk);
        journal_memory_init(&disk);
        struct seen seen;
        struct dv_journal *journal = reopen(NULL, &seen);
        for (int i = 0; i < 4; i++)
            append(journal, 1, "x");
        disk.fail_after = step;
        disk.is_cut = true;
        err = DV_ERROR_INIT;
        int r = dv_journal_rotate(journal, keep_even, NULL, &err);
        disk.fail_after = -1;
        journal = reopen(journal, &seen);
        cr_assert(seen.count == 4 || seen.count == 2, "step %d: %u", step, seen.count);
        cr_assert_eq(seen.last, 4);
        dv_journal_close(journal);
        if (r == 0)
            return; /* all steps were cut */
    }
    cr_assert_fail("a rotation has fewer than 40 steps");
}

Test(journal, a_failed_sync_is_an_error_until_a_rotation_succeeds)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    uint64_t sequence;
    disk.fail_after = 1; /* the write succeeds, the sync fails */
    cr_assert_eq(dv_journal_append(journal, 1, "a", 1, &sequence, &err), -DV_ERR_IO);
    cr_assert(dv_journal_is_broken(journal));
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_journal_append(journal, 1, "b", 1, &sequence, &err), -DV_ERR_IO);
    cr_assert(strstr(err.text, "takes nothing more"), "%s", err.text);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_journal_rotate(journal, keep_none, NULL, &err), 0, "%s", err.text);
    append(journal, 1, "c");
    dv_journal_close(journal);
}

static int keep_all(void *ctx, const struct dv_journal_entry *entry, struct dv_error *e)
{
    (void)ctx;
    (void)entry;
    (void)e;
    return 1;
}

Test(journal, what_failed_does_not_come_back_after_a_rotation)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    uint64_t sequence;
    uint64_t rings;
    append(journal, 1, "kept");
    cr_assert_lt(read(dv_journal_broken_fd(journal), &rings, sizeof(rings)), 0);
    cr_assert_eq(dv_journal_promised(journal), UINT64_MAX);
    uint64_t waiting;
    cr_assert_eq(dv_journal_write(journal, 1, "waiting", 7, &waiting, &err), 0);
    disk.fail_after = 1; /* the write succeeds, the sync fails */
    cr_assert_eq(dv_journal_append(journal, 1, "failed", 6, &sequence, &err), -DV_ERR_IO);
    cr_assert_eq(read(dv_journal_broken_fd(journal), &rings, sizeof(rings)), sizeof(rings));
    cr_assert_eq(dv_journal_promised(journal), 1);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_journal_rotate(journal, keep_all, NULL, &err), 0, "%s", err.text);
    cr_assert_eq(dv_journal_wait(journal, waiting, &err), -DV_ERR_IO, "told safe, and is gone");
    cr_assert_eq(append(journal, 1, "new"), 4);
    journal = reopen(journal, &seen);
    cr_assert_str_eq(seen.text, "1:kept 1:new ");
    dv_journal_close(journal);
}

Test(journal, a_full_disk_refuses_one_entry_and_takes_the_next)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    size_t len = 1200000; /* more than is preallocated */
    char *large = calloc(1, len);
    uint64_t sequence;
    disk.fail_after = 0;
    disk.error = ENOSPC;
    cr_assert_eq(dv_journal_append(journal, 1, large, len, &sequence, &err), -DV_ERR_IO);
    cr_assert(strstr(err.text, "No space"), "%s", err.text);
    cr_assert_not(dv_journal_is_broken(journal));
    append(journal, 2, "small");
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_journal_append(journal, 1, large, DV_JOURNAL_ENTRY_MAX + 1UL, &sequence, &err),
                 -DV_ERR_LIMIT);
    free(large);
    dv_journal_close(journal);
}

Test(journal, another_file_in_its_place_is_refused_and_kept)
{
    int fd;
    uint64_t size;
    cr_assert_eq(disk.files.open(&disk, PATH, true, &fd, &size), 0);
    cr_assert_eq(disk.files.write(&disk, fd, 0, "#!/bin/sh not a journal", 23), 0);
    struct dv_journal *journal = NULL;
    cr_assert_eq(dv_journal_open(PATH, &disk.files, NULL, NULL, &journal, &err), -DV_ERR_CORRUPT);
    cr_assert_eq(memcmp(disk.disk[0].bytes, "#!/bin/sh", 9), 0);
}

#define THREADS 8
#define APPENDS 200

static void *append_many(void *ctx)
{
    for (int i = 0; i < APPENDS; i++) {
        uint64_t sequence;
        if (dv_journal_append(ctx, 5, "0123456789", 10, &sequence, NULL) < 0)
            return NULL;
    }
    return ctx;
}

Test(journal, threads_append_to_a_real_file_without_losing_any)
{
    char path[] = "/tmp/davit-journal-XXXXXX";
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    struct dv_journal *journal = NULL;
    cr_assert_eq(dv_journal_open(path, NULL, NULL, NULL, &journal, &err), 0, "%s", err.text);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, append_many, journal), 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        cr_assert_not_null(result);
    }
    dv_journal_close(journal);
    struct seen seen = {.text = ""};
    cr_assert_eq(dv_journal_open(path, NULL, collect, &seen, &journal, &err), 0);
    cr_assert_eq(seen.count, THREADS * APPENDS);
    dv_journal_close(journal);
    unlink(path);
}

Test(journal, one_cut_before_its_first_sync_begins_anew)
{
    static const char magic[] = "davit-j1";
    for (size_t len = 0; len < sizeof(magic); len++) {
        struct seen seen;
        struct dv_journal *journal = reopen(NULL, &seen);
        dv_journal_close(journal);
        struct memory_file *file = journal_memory_find(&disk, PATH);
        memset(file->bytes, 0, file->size);
        memcpy(file->bytes, magic, len);
        journal = reopen(NULL, &seen);
        uint64_t sequence;
        cr_assert_eq(dv_journal_append(journal, 1, "a", 1, &sequence, &err), 0, "%s", err.text);
        journal = reopen(journal, &seen);
        cr_assert_str_eq(seen.text, "1:a ", "%zu bytes of the header", len);
        dv_journal_close(journal);
        teardown();
        setup();
    }
}

Test(journal, a_file_of_something_else_is_refused)
{
    struct seen seen;
    struct dv_journal *journal = reopen(NULL, &seen);
    dv_journal_close(journal);
    journal_memory_find(&disk, PATH)->bytes[3] = 'x';
    cr_assert_eq(dv_journal_open(PATH, &disk.files, collect, &seen, &journal, &err),
                 -DV_ERR_CORRUPT);
}
