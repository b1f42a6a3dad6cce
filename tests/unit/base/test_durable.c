/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[64];
static struct dv_error err;

static void setup(void)
{
    snprintf(folder, sizeof(folder), "/tmp/davit-durable-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    (void)!dv_tree_remove(folder, NULL);
}

TestSuite(durable, .init = setup, .fini = teardown);

static const char *in(const char *name)
{
    static char path[256];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

Test(durable, replace_leaves_the_new_content_and_nothing_aside)
{
    cr_assert_eq(dv_durable_replace(in("f"), "one", 3, 0644, &err), 0, "%s", err.text);
    cr_assert_eq(dv_durable_replace(in("f"), "two!", 4, 0600, &err), 0);
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(100);
    cr_assert_eq(dv_file_read(in("f"), &buf, &err), 0);
    cr_assert_str_eq(buf.data, "two!");
    struct stat info;
    cr_assert_eq(stat(in("f"), &info), 0);
    cr_assert_eq(info.st_mode & 0777, 0600);
    cr_assert_neq(access(in("f.new"), F_OK), 0);
}

Test(durable, replace_does_not_write_through_a_link_aside)
{
    cr_assert_eq(dv_durable_replace(in("victim"), "v", 1, 0600, &err), 0);
    char link[256];
    snprintf(link, sizeof(link), "%s", in("f.new"));
    cr_assert_eq(symlink(in("victim"), link), 0);
    cr_assert_lt(dv_durable_replace(in("f"), "x", 1, 0600, &err), 0);
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(100);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_file_read(in("victim"), &buf, &err), 0);
    cr_assert_str_eq(buf.data, "v");
}

Test(durable, read_has_a_ceiling_and_tells_absence_apart)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(3);
    cr_assert_eq(dv_file_read(in("none"), &buf, &err), -DV_ERR_NOT_FOUND);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_durable_replace(in("f"), "four", 4, 0600, &err), 0);
    cr_assert_eq(dv_file_read(in("f"), &buf, &err), -DV_ERR_LIMIT);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_file_read(folder, &buf, &err), -DV_ERR_IO);
}

Test(durable, make_creates_parents_and_refuses_a_file_in_the_way)
{
    cr_assert_eq(dv_dir_make(in("a/b/c"), 0755, &err), 0, "%s", err.text);
    cr_assert_eq(dv_dir_make(in("a/b/c/"), 0755, &err), 0);
    cr_assert_eq(dv_durable_replace(in("f"), "", 0, 0600, &err), 0);
    cr_assert_lt(dv_dir_make(in("f/x"), 0755, &err), 0);
    cr_assert(strstr(err.text, "in the place of a folder"), "%s", err.text);
}

Test(durable, remove_takes_deep_trees_and_spares_what_links_point_to)
{
    cr_assert_eq(dv_durable_replace(in("keep"), "k", 1, 0600, &err), 0);
    cr_assert_eq(dv_dir_make(in("t"), 0700, &err), 0);
    int fd = open(in("t"), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    for (int depth = 0; depth < 1000; depth++) {
        cr_assert_eq(mkdirat(fd, "d", 0700), 0);
        cr_assert_eq(symlinkat("../../keep", fd, "link"), 0);
        int inner = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(inner, 0);
        close(fd);
        fd = inner;
    }
    close(fd);
    cr_assert_eq(dv_tree_remove(in("t"), &err), 0, "%s", err.text);
    cr_assert_neq(access(in("t"), F_OK), 0);
    cr_assert_eq(access(in("keep"), F_OK), 0);
    cr_assert_eq(dv_tree_remove(in("t"), &err), 0, "absent is fine");
}

static int make_deep(const char *path, int depth)
{
    cr_assert_eq(dv_dir_make(path, 0700, &err), 0);
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    cr_assert_geq(fd, 0);
    for (int i = 0; i < depth; i++) {
        cr_assert_eq(mkdirat(fd, "d", 0700), 0);
        int inner = openat(fd, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(inner, 0);
        close(fd);
        fd = inner;
    }
    return fd;
}

/* A container must not keep itself from being removed. */
Test(durable, remove_takes_a_tree_of_any_depth)
{
    close(make_deep(in("t"), 5000));
    cr_assert_eq(dv_dir_make(in("t/.davit-deep-0/x"), 0700, &err), 0);
    cr_assert_eq(dv_durable_replace(in("t/.davit-deep-1"), "", 0, 0600, &err), 0);
    cr_assert_eq(dv_tree_remove(in("t"), &err), 0, "%s", err.text);
    cr_assert_neq(access(in("t"), F_OK), 0);
}

Test(durable, remove_takes_wide_trees_at_the_depth_where_folders_are_moved)
{
    int fd = make_deep(in("t"), 2046);
    char name[16];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof(name), "w%d", i);
        cr_assert_eq(mkdirat(fd, name, 0700), 0);
        int inner = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        cr_assert_geq(inner, 0);
        cr_assert_eq(mkdirat(inner, "a", 0700), 0);
        cr_assert_eq(mkdirat(inner, "a/b", 0700), 0);
        close(inner);
    }
    close(fd);
    cr_assert_eq(dv_tree_remove(in("t"), &err), 0, "%s", err.text);
    cr_assert_neq(access(in("t"), F_OK), 0);
}
