/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "runtime/oci/mount.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A mount table in a file of its own; removed by the caller. */
static void write_table(char path[32], const char *text)
{
    snprintf(path, 32, "/tmp/davit-mounts-XXXXXX");
    dv_autoclose int fd = mkostemp(path, O_CLOEXEC);
    cr_assert_geq(fd, 0);
    cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
}

static int
check(const char *source, enum dv_propagation how, const char *table, struct dv_error *err)
{
    struct dv_mount_point item = {
        .source = (char *)source, .destination = (char *)"/data", .propagation = how};
    struct dv_mount_point_list list = {&item, 1};
    char path[32];
    write_table(path, table);
    int r = dv_oci_mounts_check(&list, path, err);
    (void)unlink(path);
    return r;
}

#define PRIVATE_ROOT "21 1 8:1 / / rw,relatime - ext4 /dev/root rw\n"
#define SHARED_ROOT  "21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/root rw\n"
#define SLAVE_ROOT   "21 1 8:1 / / rw,relatime master:1 - ext4 /dev/root rw\n"

Test(oci_mount, propagation_needs_a_host_mount_that_shares)
{
    static const struct {
        enum dv_propagation how;
        const char *table;
        bool is_accepted;
    } rows[] = {
        {DV_PROPAGATION_RPRIVATE, PRIVATE_ROOT, true},
        {DV_PROPAGATION_PRIVATE, PRIVATE_ROOT, true},
        {DV_PROPAGATION_SHARED, PRIVATE_ROOT, false},
        {DV_PROPAGATION_RSHARED, PRIVATE_ROOT, false},
        {DV_PROPAGATION_SLAVE, PRIVATE_ROOT, false},
        {DV_PROPAGATION_RSLAVE, PRIVATE_ROOT, false},
        {DV_PROPAGATION_SHARED, SHARED_ROOT, true},
        {DV_PROPAGATION_RSHARED, SHARED_ROOT, true},
        {DV_PROPAGATION_SLAVE, SHARED_ROOT, true},
        {DV_PROPAGATION_SLAVE, SLAVE_ROOT, true},
        {DV_PROPAGATION_RSHARED, SLAVE_ROOT, false},
        {DV_PROPAGATION_SHARED, SHARED_ROOT "22 21 0:9 / /tmp rw - tmpfs t rw\n", false},
        {DV_PROPAGATION_SHARED, SHARED_ROOT "22 21 0:9 / /tmpfoo rw - tmpfs t rw\n", true},
        {DV_PROPAGATION_SHARED,
         PRIVATE_ROOT
         "22 21 0:9 / /tmp rw - tmpfs t rw\n23 22 0:9 / /tmp rw shared:7 - tmpfs t rw\n",
         true},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_error err = DV_ERROR_INIT;
        int r = check("/tmp", rows[i].how, rows[i].table, &err);
        cr_expect_eq(r, rows[i].is_accepted ? 0 : -DV_ERR_FAILED, "row %zu: %s", i, err.text);
        if (!rows[i].is_accepted)
            cr_expect_not_null(strstr(err.text, "mount --make-rshared"), "%s", err.text);
    }
}

Test(oci_mount, missing_source_is_named)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(check("/nowhere/at/all", DV_PROPAGATION_RPRIVATE, SHARED_ROOT, &err),
                 -DV_ERR_FAILED);
    cr_assert_not_null(strstr(err.text, "mount point '/data'"), "%s", err.text);
    cr_assert_not_null(strstr(err.text, "/nowhere/at/all"), "%s", err.text);
}

Test(oci_mount, relative_paths_are_refused)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(check("tmp", DV_PROPAGATION_RPRIVATE, SHARED_ROOT, &err), -DV_ERR_INVALID);
}
