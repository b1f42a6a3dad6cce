/* SPDX-License-Identifier: Apache-2.0 */
/* What no layer may do: each row a clear error, and nothing outside the directory changes. */
#include "support.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TAR_MAX (32U << 20)

struct row {
    const char *claim;
    struct header entries[4];
    const char *expected; /* part of the error text */
};

static const struct row rows[] = {
    {"absolute name", {{.name = "/etc/x", .type = '0'}}, "absolute names are refused"},
    {"parent name", {{.name = "../x", .type = '0'}}, "'..' is refused"},
    {"parent in the middle", {{.name = "a/../../x", .type = '0'}}, "'..' is refused"},
    {"parent directory", {{.name = "..", .type = '5'}}, "'..' is refused"},
    {"hard link to an absolute name",
     {{.name = "h", .type = '1', .link = "/etc/passwd"}},
     "hard link to 'etc/passwd', which this layer does not have"},
    {"hard link out of an absolute name",
     {{.name = "h", .type = '1', .link = "/../canary"}},
     "hard link target '/../canary': '..' is refused"},
    {"absolute directory", {{.name = "/etc/", .type = '5'}}, "absolute names are refused"},
    {"absolute root that is a file",
     {{.name = "/", .type = '2', .link = "x"}},
     "must be a directory"},
    {"hard link to the outside",
     {{.name = "h", .type = '1', .link = "../canary"}},
     "hard link target '../canary': '..' is refused"},
    {"hard link through a symbolic link",
     {{.name = "up", .type = '2', .link = "../.."},
      {.name = "h", .type = '1', .link = "up/canary"}},
     "hard link to 'up/canary', which this layer does not have"},
    {"hard link to nothing", {{.name = "h", .type = '1', .link = "none"}}, "hard link to 'none'"},
    {"hard link to a directory",
     {{.name = "d", .type = '5'}, {.name = "h", .type = '1', .link = "d"}},
     "which is a directory or a whiteout"},
    {"hard link to the root", {{.name = "h", .type = '1', .link = "./"}}, "hard link to ''"},
    {"hard link to a whiteout",
     {{.name = ".wh.w", .type = '0'}, {.name = "h", .type = '1', .link = "w"}},
     "which is a directory or a whiteout"},
    {"dangling symbolic link as parent",
     {{.name = "l", .type = '2', .link = "/no/where"}, {.name = "l/x", .type = '0'}},
     "parent 'l' is not a directory"},
    {"symbolic link that turns in circles",
     {{.name = "a", .type = '2', .link = "b"},
      {.name = "b", .type = '2', .link = "a"},
      {.name = "a/x", .type = '0'}},
     "'a'"},
    {"file as parent",
     {{.name = "f", .type = '0', .body = "x"}, {.name = "f/x", .type = '0'}},
     "parent 'f' is not a directory"},
    {"link to a proc file as parent",
     {{.name = "p", .type = '2', .link = "/proc/self/root/tmp"}, {.name = "p/x", .type = '0'}},
     "parent 'p' is not a directory"},
    {"whiteout mark as device", {{.name = "c", .type = '3'}}, "character device 0:0"},
    {"whiteout of nothing", {{.name = "d/.wh.", .type = '0'}}, "does not name a file"},
    {"whiteout of the directory", {{.name = ".wh..", .type = '0'}}, "does not name a file"},
    {"whiteout of the parent", {{.name = "d/.wh...", .type = '0'}}, "does not name a file"},
    {"root that is a file", {{.name = "./", .type = '2', .link = "x"}}, "must be a directory"},
    {"file over a full directory",
     {{.name = "d/x", .type = '0'}, {.name = "d", .type = '0'}},
     "not empty"},
    {"symbolic link without target", {{.name = "s", .type = '2'}}, "without a target"},
};

static void expect_refused(const struct place *place,
                           const char *claim,
                           const struct run *run,
                           const char *expected)
{
    cr_expect_eq(run->code, 1, "%s: code %d %s", claim, run->code, run->err);
    cr_expect(strstr(run->err, expected) != NULL, "%s: '%s' lacks '%s'", claim, run->err, expected);
    cr_expect(strchr(run->err, '\n') == run->err + strlen(run->err) - 1, "%s: one line", claim);
    cr_expect_str_eq(run->out, "", "%s", claim);
    cr_expect(is_outside_untouched(place), "%s: touched the outside", claim);
}

Test(unpack_hostile, break_out_shapes_are_refused)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO_IN_PLACE(place) place = {0};
        DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
        place_init(&place);
        for (size_t k = 0; k < 4 && rows[i].entries[k].name; k++)
            tar_add(&tar, &rows[i].entries[k]);
        tar_end(&tar);
        struct run run = unpack_tar(&place, &tar);
        expect_refused(&place, rows[i].claim, &run, rows[i].expected);
    }
}

Test(unpack_hostile, symbolic_links_to_the_outside_lead_inside)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "tmp", .type = '5', .mode = 0755});
    tar_add(&tar, &(struct header){.name = "up", .type = '2', .link = "../../../../../../tmp"});
    tar_add(&tar, &(struct header){.name = "up/x", .type = '0', .body = "x"});
    tar_add(&tar, &(struct header){.name = "up/.wh.canary", .type = '0'});
    tar_add(&tar, &(struct header){.name = "canary", .type = '2', .link = "../canary"});
    tar_add(&tar, &(struct header){.name = "canary", .type = '0', .body = "mine"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    cr_expect_eq(run.code, 0, "%s", run.err);
    cr_expect(content_is(&place, "tmp/x", "x"));
    cr_expect(is_whiteout(&place, "tmp/canary"));
    cr_expect(content_is(&place, "canary", "mine"));
    cr_expect(is_outside_untouched(&place));
}

Test(unpack_hostile, overlay_attributes_are_refused)
{
    static const char *const names[] = {"trusted.overlay.opaque", "trusted.overlay.redirect",
                                        "trusted.overlay.metacopy", "user.overlay.redirect"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        DV_AUTO_IN_PLACE(place) place = {0};
        DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
        place_init(&place);
        char key[128];
        snprintf(key, sizeof(key), "SCHILY.xattr.%s", names[i]);
        tar_pax(&tar, key, "/etc", 4);
        tar_add(&tar, &(struct header){.name = "d", .type = '5'});
        tar_end(&tar);
        struct run run = unpack_tar(&place, &tar);
        expect_refused(&place, names[i], &run, "of the overlay file system is refused");
    }
}

Test(unpack_hostile, limits_are_kept)
{
    static const struct {
        const char *extra[3];
        const char *expected;
    } limits[] = {
        {{"--max-entries", "2"}, "more than 2 entries"},
        {{"--max-bytes", "5000"}, "more than 5000 bytes"},
        {{"--max-name", "3"}, "at most 3 allowed"},
    };
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    for (int i = 0; i < 9; i++)
        tar_add(&tar, &(struct header){.name = "name", .type = '0', .body = "x"});
    tar_end(&tar);
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        DV_AUTO_IN_PLACE(place) place = {0};
        place_init(&place);
        struct run run = unpack_blob(&place, &tar, &tar, limits[i].extra);
        expect_refused(&place, limits[i].extra[0], &run, limits[i].expected);
    }
}

Test(unpack_hostile, sparse_giants_are_refused)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_pax(&tar, "GNU.sparse.major", "0", 1);
    tar_pax(&tar, "GNU.sparse.size", "8000000000000000000", 19);
    tar_add(&tar, &(struct header){.name = "s", .type = '0', .body = "x"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    cr_expect_eq(run.code == 1 || (run.code == 0 && strstr(run.out, "\"bytes\":1}")), 1, "%d %s %s",
                 run.code, run.out, run.err);
    cr_expect(is_outside_untouched(&place));
}

Test(unpack_hostile, size_lies_are_refused)
{
    static const long long sizes[] = {5000, 077777777777LL};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        DV_AUTO_IN_PLACE(place) place = {0};
        DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
        place_init(&place);
        tar_add(&tar, &(struct header){.name = "f", .type = '0', .body = "x", .size = sizes[i]});
        tar_end(&tar);
        struct run run = unpack_tar(&place, &tar);
        expect_refused(&place, "announces more than it has", &run, "entry 'f': ");
    }
}

Test(unpack_hostile, what_is_no_tar_is_refused)
{
    static const char *const bodies[] = {"PK\003\004 a zip file", "!<arch>\n", "just text",
                                         "\xfd"
                                         "7zXZ"};
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        DV_AUTO_IN_PLACE(place) place = {0};
        DV_AUTO_IN_PLACE(dv_buf) blob = DV_BUF_INIT(TAR_MAX);
        place_init(&place);
        for (int k = 0; k < 200; k++)
            cr_assert_eq(dv_buf_append_str(&blob, bodies[i], NULL), 0);
        struct run run = unpack_tar(&place, &blob);
        expect_refused(&place, bodies[i], &run, "layer: ");
    }
}

Test(unpack_hostile, deep_paths_are_refused)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    char name[2 * 300 + 1];
    for (size_t i = 0; i < 300; i++)
        memcpy(name + 2 * i, "d/", 3);
    tar_gnu_long(&tar, 'L', name);
    tar_add(&tar, &(struct header){.name = "x", .type = '5'});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_refused(&place, "300 directories", &run, "deeper than 256 directories");
}

Test(unpack_hostile, huge_special_headers_do_not_take_memory)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "././@LongLink", .type = 'L', .size = 4000000000LL});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_refused(&place, "long name of 4 GB", &run, "layer: ");
}

Test(unpack_hostile, control_characters_do_not_reach_the_terminal)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "../\x1b[31m\nfake line", .type = '0'});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    expect_refused(&place, "escape sequence", &run, "../?[31m?fake line");
}

Test(unpack_hostile, wrong_digest_fails_after_unpacking)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "f", .type = '0', .body = "x"});
    tar_end(&tar);
    static const char *const extra[] = {
        "--digest", "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        NULL};
    struct run run = unpack_blob(&place, &tar, &tar, extra);
    expect_refused(&place, "digest", &run, "blob digest is sha256:");
}

Test(unpack_hostile, directory_that_is_not_empty_is_refused)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(TAR_MAX);
    place_init(&place);
    tar_add(&tar, &(struct header){.name = "f", .type = '0', .body = "x"});
    tar_end(&tar);
    struct run run = unpack_tar(&place, &tar);
    cr_expect_eq(run.code, 0);
    run = unpack_tar(&place, &tar);
    expect_refused(&place, "second run", &run, "is not empty");
}
