/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/record_files.h"
#include "base/durable.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static char folder[64];
static struct dv_record_files files;
static struct dv_error err;

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-records-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    files = dv_record_files_real(folder);
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    (void)!dv_tree_remove(folder, NULL);
}

TestSuite(record_files, .init = setup, .fini = teardown);

static void write_record(const char *id, const char *text)
{
    cr_assert_eq(files.write(files.ctx, id, text, strlen(text), &err), 0, "%s", err.text);
}

static void check(const char *id, const char *text)
{
    DV_AUTO_IN_PLACE(dv_buf) content = DV_BUF_INIT(100);
    cr_assert_eq(files.read(files.ctx, id, &content, &err), 0, "%s", err.text);
    cr_assert_str_eq(content.data, text);
}

/* Each replacement is another file. */
static ino_t file_of(const char *id)
{
    char path[128];
    struct stat info;
    snprintf(path, sizeof(path), "%s/containers/%s/config.json", folder, id);
    cr_assert_eq(stat(path, &info), 0);
    return info.st_ino;
}

Test(record_files, what_is_written_is_read)
{
    write_record("a", "one");
    check("a", "one");
    write_record("a", "more than one");
    check("a", "more than one");
    write_record("a", "more");
    check("a", "more");
}

Test(record_files, a_content_that_is_there_is_not_written_again)
{
    write_record("a", "one");
    ino_t first = file_of("a");
    write_record("a", "one");
    cr_assert_eq(file_of("a"), first);
    write_record("a", "two");
    cr_assert_neq(file_of("a"), first);
}

Test(record_files, what_is_removed_is_not_found)
{
    DV_AUTO_IN_PLACE(dv_buf) content = DV_BUF_INIT(100);
    write_record("a", "one");
    cr_assert_eq(files.remove(files.ctx, "a", &err), 0, "%s", err.text);
    cr_assert_eq(files.read(files.ctx, "a", &content, &err), -DV_ERR_NOT_FOUND);
    cr_assert_eq(files.remove(files.ctx, "a", &err), 0, "%s", err.text);
}
