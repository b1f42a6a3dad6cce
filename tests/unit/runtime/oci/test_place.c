/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "runtime/oci/place.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct dv_oci_place place_in(const struct scratch *scratch)
{
    struct dv_oci_place place;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_place_of(scratch->home, scratch->run, "c1", &place, &err), 0, "%s",
                 err.text);
    return place;
}

Test(oci_place, folders_are_below_those_of_davit)
{
    struct dv_oci_place place;
    cr_assert_eq(dv_oci_place_of("/h", "/r", "c1", &place, NULL), 0);
    cr_expect_str_eq(place.run, "/r/containers/c1");
    cr_expect_str_eq(place.bundle, "/r/containers/c1/bundle");
    cr_expect_str_eq(place.data, "/h/containers/c1");
    cr_expect_str_eq(place.state, "/r/runtime/c1");
}

Test(oci_place, id_that_is_none_is_refused_and_named)
{
    static const char *const ids[] = {"", ".", "..", "../x", "a/b", "/", "a b", "-a", "a\n"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct dv_oci_place place = {.run = "as before"};
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(dv_oci_place_of("/h", "/r", ids[i], &place, &err), -DV_ERR_INVALID, "'%s'",
                     ids[i]);
        cr_expect_not_null(strstr(err.text, "no container id"), "%s", err.text);
        cr_expect_str_eq(place.run, "as before");
    }
}

Test(oci_place, run_is_read_as_it_was_written)
{
    struct scratch scratch;
    struct dv_oci_run run;
    scratch_init(&scratch);
    struct dv_oci_place place = place_in(&scratch);
    cr_expect_not(dv_oci_place_read_run(&place, &run));
    file_write(below(place.run, "bundle/x"), "");
    file_write(below(place.state, "exec.fifo"), "");
    cr_assert_eq(dv_oci_place_write_init(&place, 4194303, 123456789012345, NULL), 0);
    cr_assert(dv_oci_place_read_run(&place, &run));
    cr_expect_eq(run.pid, 4194303);
    cr_expect_eq(run.start_ticks, 123456789012345);
    cr_expect_eq(run.started_ns, 0, "it waits for its start");
    cr_assert_eq(dv_oci_place_write_started(&place, 1700000000000000000, NULL), 0);
    cr_assert(dv_oci_place_read_run(&place, &run));
    cr_expect_eq(run.started_ns, 1700000000000000000);
    scratch_done(&scratch);
}

Test(oci_place, start_that_nobody_noted_is_known_by_the_runtime)
{
    struct scratch scratch;
    struct dv_oci_run run;
    scratch_init(&scratch);
    struct dv_oci_place place = place_in(&scratch);
    file_write(below(place.run, "init"), "5 6");
    cr_assert(dv_oci_place_read_run(&place, &run));
    cr_expect_eq(run.started_ns, 0, "the runtime knows nothing of it");
    file_write(below(place.state, "state.json"), "{}");
    cr_assert(dv_oci_place_read_run(&place, &run));
    cr_expect_gt(run.started_ns, 0);
    file_write(below(place.state, "exec.fifo"), "");
    cr_assert(dv_oci_place_read_run(&place, &run));
    cr_expect_eq(run.started_ns, 0);
    scratch_done(&scratch);
}

Test(oci_place, half_written_files_are_no_run)
{
    static const char *const texts[] = {"",
                                        " ",
                                        "x",
                                        "5",
                                        "5 ",
                                        "5 x",
                                        "x 5",
                                        "0 5",
                                        "-5 6",
                                        "5 -6",
                                        "5 6 7",
                                        "5  6",
                                        " 5 6",
                                        "5 6\n",
                                        "5\n6",
                                        "5.0 6",
                                        "0x5 6",
                                        "5,6",
                                        "99999999999999999999 1",
                                        "2147483648 1",
                                        "5 0"};
    struct scratch scratch;
    scratch_init(&scratch);
    struct dv_oci_place place = place_in(&scratch);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct dv_oci_run run;
        file_write(below(place.run, "init"), texts[i]);
        cr_expect_not(dv_oci_place_read_run(&place, &run), "'%s'", texts[i]);
    }
    file_write(below(place.run, "init"), "5 6");
    file_write(below(place.run, "started"), "yesterday");
    struct dv_oci_run run;
    cr_assert(dv_oci_place_read_run(&place, &run));
    cr_expect_eq(run.started_ns, 0);
    scratch_done(&scratch);
}

Test(oci_place, file_is_replaced_as_a_whole_with_its_mode)
{
    struct scratch scratch;
    struct stat info;
    scratch_init(&scratch);
    mode_t old = umask(0077);
    cr_expect_eq(dv_oci_place_write(scratch.run, "f", 0644, "first, longer", 13, NULL), 0);
    cr_expect_eq(dv_oci_place_write(scratch.run, "f", 0644, "second", 6, NULL), 0);
    cr_expect_eq(dv_oci_place_write(scratch.run, "secret", 0600, "x", 1, NULL), 0);
    umask(old);
    dv_autofree char *text = file_text(below(scratch.run, "f"));
    cr_expect_str_eq(text, "second");
    cr_assert_eq(stat(below(scratch.run, "f"), &info), 0);
    cr_expect_eq(info.st_mode & 07777, 0644U);
    cr_assert_eq(stat(below(scratch.run, "secret"), &info), 0);
    cr_expect_eq(info.st_mode & 07777, 0600U);
    cr_expect_not(is_there(below(scratch.run, "f.new")));
    scratch_done(&scratch);
}

Test(oci_place, failed_write_leaves_the_old_file_and_nothing_aside)
{
    struct scratch scratch;
    scratch_init(&scratch);
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_oci_place_write(below(scratch.run, "none"), "f", 0644, "x", 1, &err),
                 -DV_ERR_IO);
    cr_expect_not_null(strstr(err.text, "none/f"), "%s", err.text);
    /* A link in the place of the file aside is not followed. */
    file_write(below(scratch.run, "other"), "other");
    cr_assert_eq(symlink("other", below(scratch.run, "f.new")), 0);
    cr_expect_eq(dv_oci_place_write(scratch.run, "f", 0644, "x", 1, NULL), -DV_ERR_IO);
    dv_autofree char *text = file_text(below(scratch.run, "other"));
    cr_expect_str_eq(text, "other");
    file_write(below(scratch.run, "folder/x"), "");
    cr_expect_eq(dv_oci_place_write(scratch.run, "folder", 0644, "x", 1, NULL), -DV_ERR_IO);
    cr_expect_not(is_there(below(scratch.run, "folder.new")));
    scratch_done(&scratch);
}
