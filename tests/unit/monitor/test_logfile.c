/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"
#include "monitor/logfile.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64];

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-logfile-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
}

static void teardown(void)
{
    (void)!dv_tree_remove(folder, NULL);
}

TestSuite(logfile, .init = setup, .fini = teardown);

static const char *path_of(const char *name)
{
    static char path[128];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void expect(const char *name, const char *content)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(10000);
    int r = dv_file_read(path_of(name), &text, NULL);
    if (!content)
        cr_assert_eq(r, -DV_ERR_NOT_FOUND, "%s is there", name);
    else
        cr_assert_str_eq(text.data ? text.data : "", content, "%s", name);
}

static void put(struct dv_logfile *file, const char *records)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_logfile_write(file, records, strlen(records), &err), 0, "%s", err.text);
}

/* shows: K41 */
Test(logfile, rotates_before_a_write_once_the_size_is_reached)
{
    struct dv_logfile *file = dv_logfile_new(path_of("json.log"), 8, 3);
    put(file, "1234567\n");
    expect("json.log.1", NULL);
    put(file, "b\n");
    expect("json.log", "b\n");
    expect("json.log.1", "1234567\n");
    put(file, "cccccccccc\n");
    expect("json.log", "b\ncccccccccc\n");
    put(file, "d\n");
    put(file, "eeeeeeee\n");
    put(file, "f\n");
    expect("json.log", "f\n");
    expect("json.log.1", "d\neeeeeeee\n");
    expect("json.log.2", "b\ncccccccccc\n");
    expect("json.log.3", NULL);
    dv_logfile_free(file);
}

Test(logfile, many_records_at_once_are_spread_over_files_and_none_is_split)
{
    struct dv_logfile *file = dv_logfile_new(path_of("json.log"), 6, 10);
    put(file, "aaaa\nbbbb\ncccc\ndddd\n");
    expect("json.log.1", "aaaa\nbbbb\n");
    expect("json.log", "cccc\ndddd\n");
    dv_logfile_free(file);
}

struct watch {
    atomic_bool is_over;
    unsigned looks;
    unsigned misses;
};

static void *look(void *ctx)
{
    struct watch *watch = ctx;
    char path[128];
    snprintf(path, sizeof(path), "%s/json.log", folder);
    while (!atomic_load(&watch->is_over)) {
        watch->looks++;
        watch->misses += access(path, F_OK) < 0;
    }
    return NULL;
}

Test(logfile, a_reader_always_finds_the_newest_file)
{
    struct dv_logfile *file = dv_logfile_new(path_of("json.log"), 1, 3);
    put(file, "first\n");
    struct watch watch = {0};
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, look, &watch), 0);
    for (unsigned i = 0; i < 3000; i++)
        put(file, "next\n");
    atomic_store(&watch.is_over, true);
    pthread_join(thread, NULL);
    cr_assert_gt(watch.looks, 0);
    cr_assert_eq(watch.misses, 0, "missed in %u of %u looks", watch.misses, watch.looks);
    dv_logfile_free(file);
}

Test(logfile, with_one_file_it_is_emptied)
{
    struct dv_logfile *file = dv_logfile_new(path_of("json.log"), 4, 1);
    put(file, "aaaa\n");
    put(file, "b\n");
    expect("json.log", "b\n");
    expect("json.log.1", NULL);
    dv_logfile_free(file);
}

Test(logfile, an_existing_file_is_appended_to)
{
    struct dv_logfile *file = dv_logfile_new(path_of("json.log"), 0, 2);
    put(file, "a\n");
    dv_logfile_free(file);
    file = dv_logfile_new(path_of("json.log"), 0, 2);
    put(file, "b\n");
    expect("json.log", "a\nb\n");
    dv_logfile_free(file);
}

Test(logfile, more_files_than_descriptors_are_all_written)
{
    enum { FILES = DV_LOGFILES_OPEN_MAX + 20 };
    struct dv_logfile *files[FILES];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < FILES; i++) {
            char name[32];
            snprintf(name, sizeof(name), "%d.log", i);
            if (!round)
                files[i] = dv_logfile_new(path_of(name), 0, 2);
            put(files[i], "x\n");
        }
    }
    expect("0.log", "x\nx\n");
    for (int i = 0; i < FILES; i++)
        dv_logfile_free(files[i]);
}
