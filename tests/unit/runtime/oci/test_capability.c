/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/capability.h"

#include <criterion/criterion.h>
#include <linux/capability.h>
#include <string.h>

#define BIT(number) (UINT64_C(1) << (number))
#define ALL         (BIT(41) - 1)

static uint64_t set_of(const struct dv_container_spec *spec, uint64_t available)
{
    uint64_t set = 0;
    cr_assert_eq(dv_oci_capabilities(spec, available, &set, NULL), 0);
    return set;
}

Test(oci_capability, usual_set_is_that_of_docker)
{
    struct dv_container_spec spec = {.tty = false};
    uint64_t wanted = BIT(CAP_CHOWN) | BIT(CAP_DAC_OVERRIDE) | BIT(CAP_FSETID) | BIT(CAP_FOWNER) |
                      BIT(CAP_MKNOD) | BIT(CAP_NET_RAW) | BIT(CAP_SETGID) | BIT(CAP_SETUID) |
                      BIT(CAP_SETFCAP) | BIT(CAP_SETPCAP) | BIT(CAP_NET_BIND_SERVICE) |
                      BIT(CAP_SYS_CHROOT) | BIT(CAP_KILL) | BIT(CAP_AUDIT_WRITE);
    cr_assert_eq(set_of(&spec, ALL), wanted);
}

Test(oci_capability, numbers_are_those_of_the_kernel)
{
    cr_assert_str_eq(dv_capability_name(CAP_SYS_ADMIN), "CAP_SYS_ADMIN");
    cr_assert_str_eq(dv_capability_name(CAP_AUDIT_READ), "CAP_AUDIT_READ");
    cr_assert_str_eq(dv_capability_name(40), "CAP_CHECKPOINT_RESTORE");
    cr_assert_null(dv_capability_name(41));
}

Test(oci_capability, extra_ones_come_in_any_spelling)
{
    char *extra[] = {(char *)"CAP_NET_ADMIN", (char *)"sys_time", (char *)"Cap_Syslog"};
    struct dv_container_spec spec = {.extra_capabilities = {extra, 3}};
    struct dv_container_spec plain = {.tty = false};
    cr_assert_eq(set_of(&spec, ALL),
                 set_of(&plain, ALL) | BIT(CAP_NET_ADMIN) | BIT(CAP_SYS_TIME) | BIT(CAP_SYSLOG));
}

Test(oci_capability, unknown_one_is_refused_with_the_nearest)
{
    char *extra[] = {(char *)"CAP_NET_ADMN"};
    struct dv_container_spec spec = {.extra_capabilities = {extra, 1}};
    struct dv_error err = DV_ERROR_INIT;
    uint64_t set;
    cr_assert_eq(dv_oci_capabilities(&spec, ALL, &set, &err), -DV_ERR_INVALID);
    cr_assert_not_null(strstr(err.text, "CAP_NET_ADMIN"), "%s", err.text);
}

Test(oci_capability, privileged_has_all_that_there_are)
{
    struct dv_container_spec spec = {.is_privileged = true};
    cr_assert_eq(set_of(&spec, ALL), ALL);
    cr_assert_eq(set_of(&spec, ALL & ~BIT(CAP_SYS_RESOURCE)), ALL & ~BIT(CAP_SYS_RESOURCE));
    cr_assert_eq(set_of(&spec, UINT64_MAX), ALL);
}

Test(oci_capability, one_that_cannot_be_handed_on_is_left_out_or_refused)
{
    char *extra[] = {(char *)"CAP_SYS_TIME"};
    struct dv_container_spec plain = {.tty = false};
    struct dv_container_spec spec = {.extra_capabilities = {extra, 1}};
    struct dv_error err = DV_ERROR_INIT;
    uint64_t set;
    cr_assert_eq(set_of(&plain, BIT(CAP_CHOWN) | BIT(CAP_SYS_TIME)), BIT(CAP_CHOWN));
    cr_assert_eq(dv_oci_capabilities(&spec, ALL & ~BIT(CAP_SYS_TIME), &set, &err), -DV_ERR_FAILED);
    cr_assert_not_null(strstr(err.text, "CAP_SYS_TIME"));
}

Test(oci_capability, those_of_this_process_are_known)
{
    uint64_t available = dv_oci_capabilities_available();
    cr_assert_eq(available & ~ALL, 0);
    cr_assert_neq(available, 0);
}

Test(oci_capability, every_name_is_read_back_and_nothing_else_is)
{
    static const char *const wrong[] = {"", "CAP_", "CAP_ALL", "NET_ADMIN ", "CAP_CAP_CHOWN", "12"};
    unsigned number = 99;
    for (unsigned i = 0; i < DV_CAPABILITIES; i++) {
        cr_expect(dv_capability_parse(dv_capability_name(i), &number, NULL));
        cr_expect_eq(number, i);
        cr_expect(dv_capability_parse(dv_capability_name(i) + 4, &number, NULL));
        cr_expect_eq(number, i);
    }
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_not(dv_capability_parse(wrong[i], &number, NULL), "'%s'", wrong[i]);
}
