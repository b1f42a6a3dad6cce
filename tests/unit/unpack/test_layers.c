/* SPDX-License-Identifier: Apache-2.0 */
/* What a good layer looks like on the disk. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define TAR_MAX (32U << 20)

static void expect_done(const struct run *run)
{
    cr_expect_eq(run->code, 0, "code %d: %s", run->code, run->err);
    cr_expect_str_eq(run->err, "");
}

Test(unpack_layers, modes_owners_times_and_links_are_kept)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "./", .type = '5', .mode = 0711, .mtime = 11});
    tar_add(&tar, &(struct header){
                      .name = "d/", .type = '5', .mode = 01777, .uid = 7, .gid = 8, .mtime = 22});
    tar_add(&tar, &(struct header){.name = "d/f",
                                   .type = '0',
                                   .mode = 04755,
                                   .uid = 1000,
                                   .gid = 1001,
                                   .mtime = 33,
                                   .body = "text"});
    tar_add(&tar, &(struct header){
                      .name = "d/s", .type = '2', .link = "/no/where", .uid = 5, .mtime = 44});
    tar_add(&tar, &(struct header){.name = "h", .type = '1', .link = "d/f"});
    tar_add(&tar, &(struct header){
                      .name = "n", .type = '3', .mode = 0620, .gid = 5, .major = 1, .minor = 3});
    tar_add(&tar, &(struct header){.name = "p", .type = '6', .mode = 0600});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_done(&run);
    cr_expect_str_eq(run.out, "{\"entries\":7,\"bytes\":4}\n");
    struct stat st;
    cr_expect(lookup(&place, ".", &st) && (st.st_mode & 07777) == 0711 && st.st_mtime == 11);
    cr_expect(lookup(&place, "d", &st) && (st.st_mode & 07777) == 01777 && st.st_uid == 7 &&
              st.st_gid == 8 && st.st_mtime == 22);
    cr_expect(lookup(&place, "d/f", &st) && (st.st_mode & 07777) == 04755 && st.st_uid == 1000 &&
              st.st_gid == 1001 && st.st_mtime == 33 && st.st_nlink == 2);
    cr_expect(content_is(&place, "h", "text"));
    cr_expect(lookup(&place, "d/s", &st) && S_ISLNK(st.st_mode) && st.st_uid == 5 &&
              st.st_mtime == 44);
    cr_expect(lookup(&place, "n", &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3) &&
              (st.st_mode & 07777) == 0620 && st.st_gid == 5);
    cr_expect(lookup(&place, "p", &st) && S_ISFIFO(st.st_mode));
}

Test(unpack_layers, whiteouts_become_what_overlay_expects)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "a/.wh.gone", .type = '0'});
    tar_add(&tar, &(struct header){.name = "b/.wh..wh..opq", .type = '0', .body = "ignored"});
    tar_add(&tar, &(struct header){.name = ".wh..wh.plnk", .type = '5'});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_done(&run);
    struct stat st;
    cr_expect(is_whiteout(&place, "a/gone"));
    cr_expect(has_xattr(&place, "b", "trusted.overlay.opaque", "y"));
    cr_expect(!lookup(&place, "b/.wh..wh..opq", &st));
    cr_expect(!lookup(&place, ".wh..wh.plnk", &st));
}

/* A whiteout hides what lower layers have; this layer's own entry of that name stays. */
Test(unpack_layers, whiteout_and_entry_of_one_name_agree_in_any_order)
{
    static const struct header whiteouts[] = {
        {.name = ".wh.f", .type = '0'},
        {.name = ".wh.d", .type = '0'},
        {.name = ".wh.e", .type = '0'},
    };
    static const struct header entries[] = {
        {.name = "f", .type = '0', .body = "new"},
        {.name = "d", .type = '5', .mode = 0755},
        {.name = "e/inner", .type = '0', .body = "x"},
    };
    for (int order = 0; order < 2; order++) {
        DV_AUTO_IN_PLACE(place) place = {0};
        DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
        place_init(&place);
        for (size_t i = 0; i < 3; i++)
            tar_add(&tar, order ? &entries[i] : &whiteouts[i]);
        for (size_t i = 0; i < 3; i++)
            tar_add(&tar, order ? &whiteouts[i] : &entries[i]);
        tar_end(&tar);
        struct run run = unpack_tar(&place, &tar);
        expect_done(&run);
        cr_expect(content_is(&place, "f", "new"), "order %d", order);
        cr_expect(has_xattr(&place, "d", "trusted.overlay.opaque", "y"), "order %d", order);
        cr_expect(has_xattr(&place, "e", "trusted.overlay.opaque", "y"), "order %d", order);
        cr_expect(content_is(&place, "e/inner", "x"), "order %d", order);
    }
}

Test(unpack_layers, attributes_of_files_are_kept_and_foreign_ones_left_out)
{
    static const unsigned char capability[] = {1, 0, 0, 2, 0, 4, 0, 0, 0, 0,
                                               0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_pax(&tar, "SCHILY.xattr.user.colour", "red", 3);
    tar_add(&tar, &(struct header){.name = "u", .type = '0', .mode = 0444, .body = "b"});
    tar_pax(&tar, "SCHILY.xattr.security.capability", capability, sizeof(capability));
    tar_add(&tar, &(struct header){.name = "c", .type = '0', .uid = 3, .body = "b"});
    tar_pax(&tar, "SCHILY.xattr.security.selinux", "label", 5);
    tar_add(&tar, &(struct header){.name = "l", .type = '0', .body = "b"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_done(&run);
    cr_expect(has_xattr(&place, "u", "user.colour", "red"));
    cr_expect(!has_xattr(&place, "l", "security.selinux", "label"));
    char path[TEXT_SIZE];
    char value[64];
    snprintf(path, sizeof(path), "%s/c", place.dir);
    cr_expect_eq(lgetxattr(path, "security.capability", value, sizeof(value)),
                 (ssize_t)sizeof(capability));
    cr_expect_eq(memcmp(value, capability, sizeof(capability)), 0);
}

Test(unpack_layers, long_and_odd_names_are_kept_byte_by_byte)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    char every_byte[256];
    size_t len = 0;
    for (int byte = 1; byte < 256; byte++)
        if (byte != '/')
            every_byte[len++] = (char)byte;
    every_byte[len] = '\0';
    tar_gnu_long(&tar, 'L', every_byte);
    tar_add(&tar, &(struct header){.name = "short", .type = '0', .body = "gnu"});
    tar_pax(&tar, "path", "pax/na\xc3\xafve \xe2\x82\xac", 14);
    tar_add(&tar, &(struct header){.name = "short", .type = '0', .body = "pax"});
    tar_pax(&tar, "path", "pax/not-utf8-\xff\xfe", 15);
    tar_add(&tar, &(struct header){.name = "short", .type = '0', .body = "raw"});
    tar_pax(&tar, "linkpath", "t\xc3\xa9l\xff", 5);
    tar_add(&tar, &(struct header){.name = "link", .type = '2', .link = "short"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_done(&run);
    cr_expect(content_is(&place, every_byte, "gnu"));
    cr_expect(content_is(&place, "pax/na\xc3\xafve \xe2\x82\xac", "pax"));
    cr_expect(content_is(&place, "pax/not-utf8-\xff\xfe", "raw"));
    struct stat st;
    cr_expect(lookup(&place, "link", &st) && st.st_size == 5);
}

Test(unpack_layers, large_owners_and_times_of_pax_are_kept)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_pax(&tar, "uid", "4000000000", 10);
    tar_add(&tar, &(struct header){.name = "u", .type = '0'});
    tar_pax(&tar, "mtime", "1700000000.123456789", 20);
    tar_add(&tar, &(struct header){.name = "m", .type = '0'});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_done(&run);
    struct stat st;
    cr_expect(lookup(&place, "u", &st) && st.st_uid == 4000000000U);
    cr_expect(lookup(&place, "m", &st) && st.st_mtim.tv_sec == 1700000000 &&
              st.st_mtim.tv_nsec == 123456789);
}

Test(unpack_layers, symbolic_links_to_directories_are_followed_inside)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "usr/lib", .type = '5', .mode = 0755});
    tar_add(&tar, &(struct header){.name = "lib", .type = '2', .link = "usr/lib"});
    tar_add(&tar, &(struct header){.name = "lib64", .type = '2', .link = "/usr/lib"});
    tar_add(&tar, &(struct header){.name = "lib/a", .type = '0', .body = "a"});
    tar_add(&tar, &(struct header){.name = "lib64/b", .type = '0', .body = "b"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_done(&run);
    cr_expect(content_is(&place, "usr/lib/a", "a"));
    cr_expect(content_is(&place, "usr/lib/b", "b"));
}

/* kaniko writes an entry for the root, and the targets of hard links as absolute names. */
Test(unpack_layers, root_entry_and_absolute_link_targets_are_of_the_layer)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    struct stat first;
    struct stat second;
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "/", .type = '5', .mode = 0750});
    tar_add(&tar, &(struct header){.name = "bin/one", .type = '0', .body = "x"});
    tar_add(&tar, &(struct header){.name = "bin/two", .type = '1', .link = "/bin/one"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    cr_assert_eq(run.code, 0, "%s", run.err);
    cr_expect(lookup(&place, ".", &first));
    cr_expect_eq(first.st_mode & 07777, 0750);
    cr_expect(lookup(&place, "bin/one", &first) && lookup(&place, "bin/two", &second));
    cr_expect_eq(first.st_ino, second.st_ino);
}

Test(unpack_layers, absolute_names_are_taken_below_the_root_when_asked_for)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "/usr/", .type = '5', .mode = 0755});
    tar_add(&tar, &(struct header){.name = "/usr/x", .type = '0', .body = "x"});
    tar_add(&tar, &(struct header){.name = "/.wh.old", .type = '0'});
    tar_end(&tar);
    struct run run =
        unpack_blob(&place, &tar, &tar, (const char *const[]){"--absolute-names", NULL});
    cr_assert_eq(run.code, 0, "%s", run.err);
    cr_expect(content_is(&place, "usr/x", "x"));
    cr_expect(is_whiteout(&place, "old"));
    cr_expect(is_outside_untouched(&place));
}

Test(unpack_layers, later_entries_win)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "f", .type = '0', .body = "first"});
    tar_add(&tar, &(struct header){.name = "g", .type = '1', .link = "f"});
    tar_add(&tar, &(struct header){.name = "f", .type = '0', .body = "second"});
    tar_add(&tar, &(struct header){.name = "d", .type = '5', .mode = 0700});
    tar_add(&tar, &(struct header){.name = "d/x", .type = '0'});
    tar_add(&tar, &(struct header){.name = "d", .type = '5', .mode = 0750});
    tar_add(&tar, &(struct header){.name = "e", .type = '5', .mode = 0700});
    tar_add(&tar, &(struct header){.name = "e", .type = '2', .link = "f"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_done(&run);
    struct stat st;
    cr_expect(content_is(&place, "f", "second"));
    cr_expect(content_is(&place, "g", "first"));
    cr_expect(lookup(&place, "d", &st) && (st.st_mode & 07777) == 0750);
    cr_expect(lookup(&place, "d/x", &st));
    cr_expect(lookup(&place, "e", &st) && S_ISLNK(st.st_mode));
}

Test(unpack_layers, empty_layers_of_any_form_are_fine)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    DV_AUTO_IN_PLACE(dv_buf) gzip = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_end(&tar);
    gzip_bytes(&gzip, tar.data, tar.len);
    struct run run = unpack_blob(&place, &gzip, &tar, NULL);
    expect_done(&run);
    cr_expect_str_eq(run.out, "{\"entries\":0,\"bytes\":0}\n");
}

Test(unpack_layers, padding_behind_the_end_counts_for_the_digests)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    DV_AUTO_IN_PLACE(dv_buf) zstd = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "f", .type = '0', .body = "x"});
    for (int i = 0; i < 1000; i++)
        tar_end(&tar);
    zstd_bytes(&zstd, tar.data, tar.len);
    struct run run = unpack_blob(&place, &zstd, &tar, NULL);
    expect_done(&run);
}

static void load(const char *name, struct dv_buf *ret)
{
    char path[TEXT_SIZE];
    char *room = NULL;
    snprintf(path, sizeof(path), DV_SOURCE_DIR "/tests/fuzz/seeds/unpack/%s", name);
    dv_autofclose FILE *file = fopen(path, "rbe");
    cr_assert(file != NULL, "%s", path);
    cr_assert_eq(dv_buf_reserve(ret, 1U << 20, &room, NULL), 0);
    ret->len = fread(room, 1, 1U << 20, file);
    dv_buf_terminate(ret);
}

/* d/f, a hard link h and a symbolic link l to it, a whiteout, a fifo, a sparse file of 1 MB. */
Test(unpack_layers, archives_of_gnu_tar_are_read_in_every_format)
{
    static const struct {
        const char *blob;
        const char *tar;
        bool has_sparse;
    } archives[] = {
        {"pax.tar", "pax.tar", true},      {"pax.tar.gz", "pax.tar", true},
        {"gnu.tar", "gnu.tar", true},      {"gnu.tar.zst", "gnu.tar", true},
        {"ustar.tar", "ustar.tar", false},
    };
    for (size_t i = 0; i < sizeof(archives) / sizeof(archives[0]); i++) {
        DV_AUTO_IN_PLACE(place) place = {0};
        DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
        DV_AUTO_IN_PLACE(dv_buf) blob = DV_BUF_INIT(TAR_MAX);
        place_init(&place);
        load(archives[i].blob, &blob);
        load(archives[i].tar, &tar);
        struct run run = unpack_blob(&place, &blob, &tar, NULL);
        expect_done(&run);
        struct stat st;
        cr_expect(content_is(&place, "h", "hi\n"), "%s", archives[i].blob);
        cr_expect(lookup(&place, "d/f", &st) && st.st_nlink == 2, "%s", archives[i].blob);
        cr_expect(is_whiteout(&place, "x"), "%s", archives[i].blob);
        if (archives[i].has_sparse)
            cr_expect(lookup(&place, "sparse", &st) && st.st_size == (1 << 20) + 2 &&
                          st.st_blocks < 100,
                      "%s: size %lld, %lld blocks", archives[i].blob, (long long)st.st_size,
                      (long long)st.st_blocks);
    }
}
