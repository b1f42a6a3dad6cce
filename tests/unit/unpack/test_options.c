/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "unpack/options.h"

#include <criterion/criterion.h>
#include <string.h>

#define REQUIRED                                                                                   \
    "davit-unpack", "--blob", "b", "--digest", "d", "--media-type", "m", "--diff-id", "i",         \
        "--dir", "/x"

static int parse(const char *const argv[], struct dv_unpack_options *ret, struct dv_error *err)
{
    int argc = 0;
    while (argv[argc])
        argc++;
    return dv_unpack_options_parse(argc, (char *const *)(uintptr_t)argv, ret, err);
}

Test(unpack_options, all_flags_are_taken)
{
    static const char *const argv[] = {REQUIRED, "--max-bytes", "10", "--max-entries",
                                       "20",     "--max-name",  "30", "--absolute-names",
                                       NULL};
    struct dv_unpack_options options;
    cr_assert_eq(parse(argv, &options, NULL), 0);
    cr_expect_str_eq(options.blob, "b");
    cr_expect_str_eq(options.digest, "d");
    cr_expect_str_eq(options.media_type, "m");
    cr_expect_str_eq(options.diff_id, "i");
    cr_expect_str_eq(options.directory, "/x");
    cr_expect_eq(options.limits.bytes_max, 10);
    cr_expect_eq(options.limits.entries_max, 20);
    cr_expect_eq(options.limits.name_max, 30);
    cr_expect(options.limits.takes_absolute_names);
}

Test(unpack_options, wrong_use_names_the_flag)
{
    static const struct {
        const char *argv[16];
        const char *expected;
    } rows[] = {
        {{"davit-unpack"}, "--blob is missing"},
        {{REQUIRED, "--max-bytes"}, "'--max-bytes' needs a value"},
        {{REQUIRED, "--max-bytes", "0"}, "--max-bytes: "},
        {{REQUIRED, "--max-name", "5000"}, "--max-name: "},
        {{REQUIRED, "--colour", "red"}, "unknown argument '--colour'"},
        {{REQUIRED, "--dir", "relative"}, "'relative' is not absolute"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_unpack_options options;
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(parse(rows[i].argv, &options, &err), -DV_ERR_INVALID);
        cr_expect(strstr(err.text, rows[i].expected) != NULL, "'%s' lacks '%s'", err.text,
                  rows[i].expected);
    }
}

Test(unpack_options, program_tells_wrong_use_by_its_exit_code)
{
    struct run run = run_program((const char *const[]){"davit-unpack", "--blob", "x", NULL});
    cr_expect_eq(run.code, 2);
    cr_expect(strstr(run.err, "--digest is missing") != NULL, "%s", run.err);
    run = run_program((const char *const[]){"davit-unpack", "--help", NULL});
    cr_expect_eq(run.code, 0);
    cr_expect(strstr(run.out, "usage:") != NULL);
}
