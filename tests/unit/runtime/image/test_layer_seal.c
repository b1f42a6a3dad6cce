/* SPDX-License-Identifier: Apache-2.0 */
/* Damage that a seal tells, and what it must not take for damage. */
#include "base/durable.h"
#include "layout.h"
#include "runtime/image/layer_seal.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define ID "0123456789ab"

static char dir[SCRATCH_PATH_MAX];
static char layers[SCRATCH_PATH_MAX + 16];

static const char *below(const char *name)
{
    static char paths[4][SCRATCH_PATH_MAX + 128];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof(paths[0]), "%s/%s", layers, name);
    return path;
}

static void make_dir(const char *name)
{
    cr_assert_eq(mkdir(below(name), 0755), 0, "%s", name);
}

static void setup(void)
{
    scratch_init(dir);
    (void)snprintf(layers, sizeof(layers), "%s/layers", dir);
    cr_assert_eq(mkdir(layers, 0700), 0);
    make_dir("ids");
    make_dir(ID);
    make_dir(ID "/bin");
    make_dir(ID "/bin/deep");
    make_dir(ID "/etc");
    file_write(below(ID "/bin/sh"), "sh");
    file_write(below(ID "/bin/deep/file"), "deep");
    file_write(below(ID "/etc/passwd"), "root");
}

static void teardown(void)
{
    scratch_done(dir);
}

TestSuite(layer_seal, .init = setup, .fini = teardown);

static void seal(void)
{
    cr_assert_eq(dv_layer_seal_write(layers, ID, below(ID), NULL), 0);
}

static int check(struct dv_error *err)
{
    *err = DV_ERROR_INIT;
    return dv_layer_seal_check(layers, ID, err);
}

Test(layer_seal, an_untouched_layer_is_whole)
{
    struct dv_error err;
    seal();
    cr_assert_eq(check(&err), 0, "%s", err.text);
}

/* As a backup that was restored has it: other inodes, other times. */
Test(layer_seal, a_copy_is_whole)
{
    struct dv_error err;
    seal();
    cr_assert_eq(rename(below(ID "/bin/sh"), below("kept")), 0);
    file_write(below(ID "/bin/sh"), "sh");
    cr_assert_eq(check(&err), 0, "%s", err.text);
}

Test(layer_seal, what_is_missing_is_damage)
{
    static const char *const gone[] = {ID "/bin/sh", ID "/etc/passwd"};
    struct dv_error err;
    seal();
    for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
        cr_assert_eq(rename(below(gone[i]), below("kept")), 0);
        cr_assert_eq(check(&err), -DV_ERR_CORRUPT, "without %s", gone[i]);
        cr_assert(strstr(err.text, ID), "%s", err.text);
        cr_assert_eq(rename(below("kept"), below(gone[i])), 0);
        cr_assert_eq(check(&err), 0, "%s", err.text);
    }
}

Test(layer_seal, a_directory_that_is_gone_empty_or_a_link_is_damage)
{
    struct dv_error err;
    seal();
    cr_assert_eq(rename(below(ID), below("kept")), 0);
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT);
    cr_assert(strstr(err.text, "missing"), "%s", err.text);
    cr_assert_eq(symlink("kept", below(ID)), 0);
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT, "a link");
    cr_assert_eq(unlink(below(ID)), 0);
    make_dir(ID);
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT, "empty");
    cr_assert(strstr(err.text, "damaged"), "%s", err.text);
}

Test(layer_seal, another_kind_name_or_place_is_damage)
{
    struct dv_error err;
    seal();
    cr_assert_eq(unlink(below(ID "/bin/sh")), 0);
    make_dir(ID "/bin/sh");
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT, "another kind");
    cr_assert_eq(rmdir(below(ID "/bin/sh")), 0);
    file_write(below(ID "/bin/hs"), "sh");
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT, "another name");
    cr_assert_eq(rename(below(ID "/bin/hs"), below(ID "/etc/sh")), 0);
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT, "another place");
    cr_assert_eq(rename(below(ID "/etc/sh"), below(ID "/bin/sh")), 0);
    cr_assert_eq(check(&err), 0, "%s", err.text);
}

Test(layer_seal, without_a_seal_that_can_be_read_the_directory_is_enough)
{
    struct dv_error err;
    cr_assert_eq(check(&err), 0, "%s", err.text);
    file_write(below("ids/" ID ".seal"), "v2 something of the future");
    cr_assert_eq(check(&err), 0, "%s", err.text);
    cr_assert_eq(dv_tree_remove(below(ID), NULL), 0);
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT);
}

Test(layer_seal, levels_with_very_many_entries_are_left_out)
{
    struct dv_error err;
    char name[64];
    for (int i = 0; i < 10001; i++) {
        (void)snprintf(name, sizeof(name), ID "/etc/%d", i);
        int fd = open(below(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
        cr_assert_geq(fd, 0);
        (void)close(fd);
    }
    seal();
    cr_assert_eq(unlink(below(ID "/etc/7")), 0);
    cr_assert_eq(check(&err), 0, "%s", err.text);
    cr_assert_eq(rename(below(ID "/bin"), below("kept")), 0);
    cr_assert_eq(check(&err), -DV_ERR_CORRUPT);
}

Test(layer_seal, a_damaged_layer_is_set_aside_as_often_as_it_comes)
{
    cr_assert_eq(dv_layer_set_aside(layers, ID, NULL), 0);
    cr_assert_eq(access(below("damaged/" ID ".1/bin/sh"), F_OK), 0);
    cr_assert_eq(dv_layer_set_aside(layers, ID, NULL), 0, "there is none");
    make_dir(ID);
    cr_assert_eq(dv_layer_set_aside(layers, ID, NULL), 0);
    cr_assert_eq(access(below("damaged/" ID ".2"), F_OK), 0);
}
