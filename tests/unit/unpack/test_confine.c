/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define KILLED (128 + SIGSYS)

static const struct {
    const char *attempt;
    int code;
} rows[] = {
    /* what unpacking needs */
    {"write_inside", 0},
    {"read_blob", 0},
    /* the outside is not there */
    {"see_outside", ENOENT},
    {"climb", ENOENT},
    {"see_processes", ENOENT},
    {"use_inherited", EBADF},
    /* what is made is not used */
    {"use_device", EACCES},
    /* bounds */
    {"write_much", EFBIG},
    {"open_many", EMFILE},
    /* system calls that nothing here needs */
    {"mount_something", KILLED},
    {"connect_somewhere", KILLED},
    {"run_program", KILLED},
    {"make_process", KILLED},
    {"look_into_another", KILLED},
    {"signal_another", KILLED},
    {"map_code", KILLED},
    {"change_root", KILLED},
    {"join_namespace", KILLED},
};

static int attempt(const char *name)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    place_init(&place);
    char blob[128];
    snprintf(blob, sizeof(blob), "%s/canary", place.base);
    const char *const arguments[] = {"confined_probe", place.dir, blob, name, NULL};
    struct run run = run_other_program(DV_CONFINED_PROBE, arguments);
    cr_expect(is_outside_untouched(&place), "%s", name);
    cr_expect(run.code < 253 || run.code > 255, "%s: %s", name, run.err);
    return run.code;
}

Test(unpack_confine, only_what_unpacking_needs_is_possible)
{
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int code = attempt(rows[i].attempt);
        /* fcntl is none of the calls it may make either. */
        bool is_expected = code == rows[i].code ||
                           (strcmp(rows[i].attempt, "use_inherited") == 0 && code == KILLED);
        cr_expect(is_expected, "%s: code %d, expected %d", rows[i].attempt, code, rows[i].code);
    }
}

Test(unpack_confine, files_are_not_read_back_where_the_kernel_has_landlock)
{
    int code = attempt("read_back");
    cr_expect(code == EACCES || code == 0, "code %d", code);
}

#if !defined(__SANITIZE_ADDRESS__)
Test(unpack_confine, memory_is_bounded)
{
    cr_expect_eq(attempt("take_memory"), ENOMEM);
}
#endif
