/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "fixture.h"
#include "machine.h"
#include "runtime/oci/probe.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
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

/* -- over a launcher that answers as told --------------------------------------------------- */

struct told {
    struct scratch scratch;
    struct fake_launcher launcher;
    struct dv_oci_choice choice;
    struct dv_error err;
};

static int probe_told(struct told *told, const struct fake_answer *answers)
{
    char parent[64];
    *told = (struct told){.choice = {.path = "none"}};
    scratch_init(&told->scratch);
    fake_launcher_init(&told->launcher, told->scratch.mounts, answers);
    snprintf(parent, sizeof(parent), "/davit-test-probe-%d", getpid());
    return dv_oci_probe("/opt/fake-runc", told->scratch.run, parent, &told->launcher.base,
                        &told->choice, &told->err);
}

static size_t count_entries(const char *folder)
{
    dv_autoclosedir DIR *entries = opendir(folder);
    size_t count = 0;
    struct dirent *entry;
    cr_assert_not_null(entries);
    while ((entry = readdir(entries)))
        count += entry->d_name[0] != '.';
    return count;
}

static void told_done(struct told *told)
{
    cr_expect_eq(count_entries(told->scratch.run), 0U, "a file of the probe is left");
    cr_expect_eq(count_entries(told->scratch.mounts), 0U, "a mount point is left");
    cr_expect_eq(told->launcher.freed, 0U, "the launcher is the caller's");
    scratch_done(&told->scratch);
}

Test(oci_probe, runtime_that_creates_and_deletes_is_taken)
{
    struct told told;
    cr_assert_eq(probe_told(&told, NULL), 0, "%s", told.err.text);
    cr_expect_str_eq(told.choice.path, "/opt/fake-runc");
    cr_expect_eq(strncmp(told.choice.description, "fake-runc, cgroup ", 18), 0, "%s",
                 told.choice.description);
    cr_assert_eq(told.launcher.call_count, 3U);
    cr_expect_str_eq(told.launcher.calls[0].verb, "create");
    cr_expect_str_eq(told.launcher.calls[1].verb, "delete");
    cr_expect_str_eq(told.launcher.calls[2].command, "/opt/fake-runc --version");
    told_done(&told);
}

/* An answer stays for the first call with its verb. */
Test(oci_probe, runtime_that_fails_is_refused_with_its_reason)
{
    static const struct {
        struct fake_answer answer;
        const char *says;
    } rows[] = {
        {{.verb = "create", .exit_code = 1, .text = "cgroup2 is odd\n"}, "cgroup2 is odd"},
        {{.verb = "delete", .exit_code = 1, .text = "cannot delete\n"}, "cannot delete"},
        {{.verb = "create", .r = -DV_ERR_TIMED_OUT, .text = "killed after 20 s"},
         "killed after 20 s"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct fake_answer answers[] = {rows[i].answer, {.verb = NULL}};
        struct told told;
        cr_expect_eq(probe_told(&told, answers), -DV_ERR_UNAVAILABLE, "row %zu", i);
        cr_expect_not_null(strstr(told.err.text, rows[i].says), "%s", told.err.text);
        cr_expect_not_null(strstr(told.err.text, "install crun or runc"), "%s", told.err.text);
        cr_expect_str_eq(told.choice.path, "none");
        cr_expect_eq(fake_count(&told.launcher, "delete"), 1U, "it is taken away in any case");
        told_done(&told);
    }
}

Test(oci_probe, launcher_that_is_away_is_not_the_fault_of_a_runtime)
{
    const struct fake_answer answers[] = {{.verb = "create",
                                           .r = -DV_ERR_UNAVAILABLE,
                                           .sys = ECONNREFUSED,
                                           .text = "the monitor is away"},
                                          {.verb = NULL}};
    struct told told;
    cr_assert_eq(probe_told(&told, answers), -DV_ERR_UNAVAILABLE);
    cr_expect_str_eq(told.err.text, "the monitor is away: Connection refused");
    told_done(&told);
}

Test(oci_probe, limits_that_are_missing_are_refused_with_the_remedy)
{
    struct dv_limit_refusals none = dv_oci_limit_refusals(0);
    cr_expect(!none.memory && !none.reservation && !none.swap);
    struct dv_limit_refusals swap = dv_oci_limit_refusals(DV_OCI_NO_SWAP);
    cr_expect(!swap.memory && !swap.reservation);
    cr_assert_not_null(swap.swap);
    cr_expect_not_null(strstr(swap.swap, "swapaccount=1"));
    struct dv_limit_refusals all =
        dv_oci_limit_refusals(DV_OCI_NO_MEMORY | DV_OCI_NO_RESERVATION | DV_OCI_NO_SWAP);
    cr_assert(all.memory && all.reservation && all.swap);
    cr_expect_not_null(strstr(all.reservation, "cgroup_enable=memory"));
}
