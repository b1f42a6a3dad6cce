/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * For tests that need something of the machine: root, a program, a kernel feature. A missing need
 * fails the test in continuous integration (CI=true) and skips it elsewhere, saying what is
 * missing.
 */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define dv_need(has_it, what)                                                                      \
    do {                                                                                           \
        if (!(has_it)) {                                                                           \
            const char *ci_ = getenv("CI");                                                        \
            cr_assert_not(ci_ &&strcmp(ci_, "true") == 0, "this test needs %s", (what));           \
            cr_skip_test("this test needs %s", (what));                                            \
        }                                                                                          \
    } while (0)

#define dv_need_root()        dv_need(geteuid() == 0, "root")
#define dv_need_program(path) dv_need(access((path), X_OK) == 0, "the program " path)
