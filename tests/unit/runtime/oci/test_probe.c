/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"
#include "runtime/oci/probe.h"

#include <criterion/criterion.h>
#include <string.h>
#include <unistd.h>

#define RUNC "/usr/sbin/runc"
#define CRUN "/usr/bin/crun"

static int
probe(struct machine *m, const char *wanted, struct dv_oci_choice *ret, struct dv_error *err)
{
    return dv_oci_probe(wanted, m->run, m->parent, m->launcher, ret, err);
}

/* The folder of runs is mounted without programs and devices, as /run often is. */
static void accept(const char *runtime, const char *wanted, const char *described)
{
    struct machine m;
    struct dv_oci_choice choice;
    struct dv_error err = DV_ERROR_INIT;
    machine_init(&m, runtime);
    cr_assert_eq(probe(&m, wanted, &choice, &err), 0, "%s", err.text);
    cr_assert_str_eq(choice.path, runtime);
    cr_assert_eq(strncmp(choice.description, described, strlen(described)), 0, "%s",
                 choice.description);
    cr_assert_not_null(strstr(choice.description, ", cgroup "), "%s", choice.description);
    machine_done(&m);
}

Test(oci_probe, runc_is_tried_by_name, .timeout = 100)
{
    accept(RUNC, "runc", "runc 1.");
}

Test(oci_probe, runc_is_tried_by_path, .timeout = 100)
{
    accept(RUNC, RUNC, "runc 1.");
}

Test(oci_probe, crun_is_tried_by_name, .timeout = 100)
{
    accept(CRUN, "crun", "crun 1.");
}

Test(oci_probe, crun_is_preferred_where_it_works, .timeout = 100)
{
    accept(CRUN, "auto", "crun 1.");
}

Test(oci_probe, reason_is_told_when_the_preferred_one_does_not_work, .timeout = 100)
{
    struct machine m;
    struct dv_oci_choice choice;
    struct dv_error err = DV_ERROR_INIT;
    machine_init(&m, RUNC);
    bool is_refused = probe(&m, "crun", &choice, &err) < 0;
    if (is_refused)
        cr_expect_not_null(strstr(err.text, "crun"), "%s", err.text);
    cr_assert_eq(probe(&m, "auto", &choice, NULL), 0);
    if (is_refused) {
        cr_assert_str_eq(choice.path, RUNC);
        cr_assert_not_null(strstr(choice.description, "(not crun: "), "%s", choice.description);
    }
    machine_done(&m);
}

Test(oci_probe, what_is_not_there_is_named_with_the_remedy, .timeout = 100)
{
    struct machine m;
    struct dv_oci_choice choice;
    struct dv_error err = DV_ERROR_INIT;
    machine_init(&m, RUNC);
    cr_assert_eq(probe(&m, "kata", &choice, &err), -DV_ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(err.text, "kata: not installed"), "%s", err.text);
    dv_error_clear(&err);
    cr_assert_eq(probe(&m, "/bin/false", &choice, &err), -DV_ERR_UNAVAILABLE);
    cr_assert_not_null(strstr(err.text, "/bin/false"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "install crun or runc"), "%s", err.text);
    machine_done(&m);
}
