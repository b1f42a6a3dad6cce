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
    {"read_random", 0},
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
    {"make_thread", KILLED},
    {"look_into_another", KILLED},
    {"signal_another", KILLED},
    {"map_code", KILLED},
    {"change_root", KILLED},
    {"join_namespace", KILLED},
};

static int attempt_with(const char *name, const char *threads)
{
    DV_AUTO_IN_PLACE(place) place = {0};
    place_init(&place);
    char blob[128];
    snprintf(blob, sizeof(blob), "%s/canary", place.base);
    const char *const arguments[] = {"confined_probe", place.dir, blob, name, threads, NULL};
    struct run run = run_other_program(DV_CONFINED_PROBE, arguments);
    cr_expect(is_outside_untouched(&place), "%s", name);
    cr_expect(run.code < 253 || run.code > 255, "%s: %s", name, run.err);
    return run.code;
}

static int attempt(const char *name)
{
    return attempt_with(name, NULL);
}

/* A sanitizer makes calls of its own when a thread begins. */
#if !defined(__SANITIZE_ADDRESS__)
Test(unpack_confine, threads_are_made_when_asked_for_and_nothing_else)
{
    cr_expect_eq(attempt_with("make_thread", "threads"), 0);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].code == KILLED && strcmp(rows[i].attempt, "make_thread") != 0)
            cr_expect_eq(attempt_with(rows[i].attempt, "threads"), KILLED, "%s", rows[i].attempt);
}
#endif

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
