/* SPDX-License-Identifier: Apache-2.0 */
#include "base/cleanup.h"
#include "runtime/oci/device.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int resolve(const char *on_host,
                   struct dv_arena *arena,
                   struct dv_oci_devices *ret,
                   struct dv_error *err)
{
    struct dv_device item = {.path_on_host = (char *)on_host,
                             .path_in_container = (char *)"/dev/inside",
                             .permissions = (char *)"rw"};
    struct dv_device_list list = {&item, 1};
    return dv_oci_devices_resolve(&list, arena, ret, err);
}

Test(oci_device, device_is_described)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    struct dv_oci_devices devices;
    cr_assert_eq(resolve("/dev/null", arena, &devices, NULL), 0);
    cr_assert_eq(devices.count, 1);
    cr_assert_str_eq(devices.items[0].path, "/dev/inside");
    cr_assert_eq(devices.items[0].type, 'c');
    cr_assert_eq(devices.items[0].major, 1);
    cr_assert_eq(devices.items[0].minor, 3);
    cr_assert_str_eq(devices.items[0].permissions, "rw");
}

Test(oci_device, what_is_no_device_is_named)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    struct dv_oci_devices devices;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(resolve("/dev/none-such", arena, &devices, &err), -DV_ERR_FAILED);
    cr_assert_not_null(strstr(err.text, "/dev/none-such"));
    dv_error_clear(&err);
    cr_assert_eq(resolve("/proc/self/status", arena, &devices, &err), -DV_ERR_FAILED);
}

Test(oci_device, link_and_directory_lead_to_devices)
{
    dv_need_root();
    DV_AUTO(dv_arena) arena = dv_arena_new(4U << 20);
    char folder[] = "/tmp/davit-devices-XXXXXX";
    char path[64];
    char link[64];
    char inner[64];
    cr_assert_not_null(mkdtemp(folder));
    snprintf(inner, sizeof(inner), "%s/bus", folder);
    snprintf(path, sizeof(path), "%s/bus/one", folder);
    snprintf(link, sizeof(link), "%s/link", folder);
    cr_assert_eq(mkdir(inner, 0755), 0);
    cr_assert_eq(symlink(path, link), 0);
    dv_need(mknod(path, S_IFCHR | 0600, makedev(1, 5)) == 0, "the right to make device nodes");
    struct dv_oci_devices devices;
    cr_expect_eq(resolve(link, arena, &devices, NULL), 0);
    cr_expect_eq(devices.count, 1);
    cr_expect_eq(devices.items[0].minor, 5);
    cr_expect_eq(resolve(folder, arena, &devices, NULL), 0);
    cr_expect_eq(devices.count, 1, "a link inside a directory is not followed");
    cr_expect_str_eq(devices.items[0].path, "/dev/inside/bus/one");
    unlink(path);
    unlink(link);
    rmdir(inner);
    rmdir(folder);
}

Test(oci_device, privileged_gets_the_devices_of_the_host)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4U << 20);
    struct dv_oci_devices devices;
    cr_assert_eq(dv_oci_devices_all(arena, &devices, NULL), 0);
    bool has_null = false;
    for (size_t i = 0; i < devices.count; i++) {
        has_null |= strcmp(devices.items[i].path, "/dev/null") == 0;
        cr_expect_not(strncmp(devices.items[i].path, "/dev/pts/", 9) == 0);
    }
    cr_assert(has_null);
}
