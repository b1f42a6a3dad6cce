/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"
#include "runtime/oci/rootfs.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* Two layers, "top" over "base", and a writable one. */
struct rig {
    char folder[64];
    char upper[PATH_MAX];
    struct dv_launch_rootfs rootfs;
};

static const char *const lower[] = {"top", "base", NULL};

static char *at(const struct rig *rig, const char *name, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/%s", rig->folder, name);
    return path;
}

static void make_folder(const struct rig *rig, const char *name)
{
    char path[PATH_MAX];
    cr_assert_eq(dv_dir_make(at(rig, name, path), 0755, NULL), 0);
}

static void make_file(const struct rig *rig, const char *name, const char *content)
{
    char path[PATH_MAX];
    dv_autoclose int fd = open(at(rig, name, path), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0, "%s", path);
    cr_assert_eq(write(fd, content, strlen(content)), (ssize_t)strlen(content));
}

static void rig_init(struct rig *rig)
{
    snprintf(rig->folder, sizeof(rig->folder), "/tmp/davit-rootfs-XXXXXX");
    cr_assert_not_null(mkdtemp(rig->folder));
    make_folder(rig, "top/etc");
    make_folder(rig, "base/etc");
    make_folder(rig, "upper");
    rig->rootfs = (struct dv_launch_rootfs){
        .layers_dir = rig->folder, .lower = lower, .upper = at(rig, "upper", rig->upper)};
}

static void rig_done(struct rig *rig)
{
    cr_expect_eq(dv_tree_remove(rig->folder, NULL), 0);
}

/* "" for an absent file. */
static void expect(struct rig *rig, int wanted, const char *content)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(64);
    cr_expect_eq(dv_oci_rootfs_read(&rig->rootfs, "etc/passwd", &out, NULL), wanted);
    cr_expect_str_eq(out.data ? out.data : "", content);
}

Test(oci_rootfs, upper_layers_win)
{
    struct rig rig;
    rig_init(&rig);
    expect(&rig, 0, "");
    make_file(&rig, "base/etc/passwd", "base");
    expect(&rig, 1, "base");
    make_file(&rig, "top/etc/passwd", "top");
    expect(&rig, 1, "top");
    make_folder(&rig, "upper/etc");
    expect(&rig, 1, "top");
    make_file(&rig, "upper/etc/passwd", "own");
    expect(&rig, 1, "own");
    rig_done(&rig);
}

Test(oci_rootfs, writable_layer_that_does_not_exist_yet_is_empty)
{
    struct rig rig;
    rig_init(&rig);
    make_file(&rig, "base/etc/passwd", "base");
    cr_assert_eq(rmdir(rig.upper), 0);
    expect(&rig, 1, "base");
    rig_done(&rig);
}

Test(oci_rootfs, larger_file_than_the_ceiling_is_refused)
{
    struct rig rig;
    rig_init(&rig);
    char content[66];
    memset(content, 'x', sizeof(content) - 1);
    content[65] = '\0';
    make_file(&rig, "base/etc/passwd", content);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(64);
    cr_assert_eq(dv_oci_rootfs_read(&rig.rootfs, "etc/passwd", &out, NULL), -DV_ERR_LIMIT);
    rig_done(&rig);
}

Test(oci_rootfs, links_do_not_lead_out_of_a_layer)
{
    struct rig rig;
    char path[PATH_MAX];
    rig_init(&rig);
    cr_assert_eq(symlink("/etc/passwd", at(&rig, "base/etc/passwd", path)), 0);
    expect(&rig, 0, "");
    make_file(&rig, "base/etc/real", "real");
    cr_assert_eq(symlink("../../../../../../etc/real", at(&rig, "top/etc/passwd", path)), 0);
    expect(&rig, 0, ""); /* real is in the other layer */
    make_file(&rig, "top/etc/real", "near");
    expect(&rig, 1, "near");
    rig_done(&rig);
}

Test(oci_rootfs, what_is_no_regular_file_is_not_read)
{
    struct rig rig;
    char path[PATH_MAX];
    rig_init(&rig);
    make_file(&rig, "base/etc/passwd", "base");
    cr_assert_eq(mkfifo(at(&rig, "top/etc/passwd", path), 0600), 0);
    expect(&rig, 0, "");
    rig_done(&rig);
}

Test(oci_rootfs, whiteouts_hide_lower_layers)
{
    dv_need_root();
    struct rig rig;
    char path[PATH_MAX];
    rig_init(&rig);
    make_file(&rig, "base/etc/passwd", "base");
    dv_need(mknod(at(&rig, "top/etc/passwd", path), S_IFCHR, makedev(0, 0)) == 0, "whiteouts");
    expect(&rig, 0, "");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(rmdir(at(&rig, "top/etc", path)), 0);
    cr_assert_eq(mknod(path, S_IFCHR, makedev(0, 0)), 0);
    expect(&rig, 0, "");
    rig_done(&rig);
}

Test(oci_rootfs, opaque_folder_hides_lower_layers)
{
    dv_need_root();
    struct rig rig;
    char path[PATH_MAX];
    rig_init(&rig);
    make_file(&rig, "base/etc/passwd", "base");
    bool is_set = setxattr(at(&rig, "top/etc", path), "trusted.overlay.opaque", "y", 1, 0) == 0;
    if (!is_set)
        rig_done(&rig);
    dv_need(is_set, "trusted attributes in /tmp");
    expect(&rig, 0, "");
    rig_done(&rig);
}

/* Opening a device acts on it, so that alone must not happen; O_PATH does not count as opening. */
Test(oci_rootfs, what_is_no_regular_file_is_not_even_opened)
{
    dv_need_root();
    static const struct {
        mode_t mode;
        unsigned major;
        unsigned minor;
    } rows[] = {{S_IFIFO, 0, 0}, {S_IFCHR, 1, 3}, {S_IFBLK, 7, 0}};
    struct rig rig;
    char path[PATH_MAX];
    char events[4096];
    rig_init(&rig);
    make_file(&rig, "base/etc/passwd", "base");
    dv_autoclose int watch = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    cr_assert_geq(watch, 0);
    cr_assert_geq(inotify_add_watch(watch, at(&rig, "top/etc", path), IN_OPEN | IN_ONLYDIR), 0);
    at(&rig, "top/etc/passwd", path);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        dv_need(mknod(path, rows[i].mode | 0600, makedev(rows[i].major, rows[i].minor)) == 0,
                "the right to make device nodes");
        expect(&rig, 0, "");
        cr_expect_lt(read(watch, events, sizeof(events)), 0, "row %zu was opened", i);
        cr_assert_eq(unlink(path), 0);
    }
    rig_done(&rig);
}

Test(oci_rootfs, parent_that_is_a_link_is_followed_inside_the_layer)
{
    struct rig rig;
    char path[PATH_MAX];
    rig_init(&rig);
    make_folder(&rig, "base/private");
    make_file(&rig, "base/private/passwd", "inside");
    cr_assert_eq(rmdir(at(&rig, "base/etc", path)), 0);
    cr_assert_eq(symlink("/private", path), 0);
    expect(&rig, 1, "inside");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("/proc/self/root/etc", path), 0);
    expect(&rig, 0, "");
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(symlink("etc", path), 0); /* to itself */
    expect(&rig, 0, "");
    rig_done(&rig);
}

Test(oci_rootfs, file_without_end_is_read_up_to_the_ceiling)
{
    struct rig rig;
    char path[PATH_MAX];
    rig_init(&rig);
    make_file(&rig, "base/etc/passwd", "x");
    cr_assert_eq(truncate(at(&rig, "base/etc/passwd", path), 1LL << 40), 0);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1U << 20);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_rootfs_read(&rig.rootfs, "etc/passwd", &out, &err), -DV_ERR_LIMIT);
    cr_expect_not_null(strstr(err.text, "/etc/passwd"), "%s", err.text);
    rig_done(&rig);
}

Test(oci_rootfs, layer_that_is_missing_is_named)
{
    struct rig rig;
    char path[PATH_MAX];
    rig_init(&rig);
    cr_assert_eq(rmdir(at(&rig, "top/etc", path)), 0);
    cr_assert_eq(rmdir(at(&rig, "top", path)), 0);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(64);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_rootfs_read(&rig.rootfs, "etc/passwd", &out, &err), -DV_ERR_IO);
    cr_expect_not_null(strstr(err.text, "the layer top"), "%s", err.text);
    rig_done(&rig);
}
