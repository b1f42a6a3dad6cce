/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/capability.h"

#include "base/str.h"

#include <linux/capability.h>
#include <stddef.h>
#include <strings.h>
#include <sys/prctl.h>

#define PREFIX     "CAP_"
#define PREFIX_LEN 4

static const char *const names[DV_OCI_CAPABILITIES] = {
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
};

/* What Docker gives, so that images made for it work. */
static const unsigned usual[] = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
    CAP_MKNOD,   CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
    CAP_SETFCAP, CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
    CAP_KILL,    CAP_AUDIT_WRITE,
};

const char *dv_oci_capability_name(unsigned number)
{
    return number < DV_OCI_CAPABILITIES ? names[number] : NULL;
}

bool dv_oci_capability_parse(const char *name, unsigned *ret_number)
{
    if (strncasecmp(name, PREFIX, PREFIX_LEN) == 0)
        name += PREFIX_LEN;
    for (unsigned i = 0; i < DV_OCI_CAPABILITIES; i++) {
        if (strcasecmp(names[i] + PREFIX_LEN, name) == 0) {
            *ret_number = i;
            return true;
        }
    }
    return false;
}

static const char *candidate(size_t index, void *ctx)
{
    (void)ctx;
    return dv_oci_capability_name((unsigned)index);
}

uint64_t dv_oci_capabilities_available(void)
{
    uint64_t set = 0;
    for (unsigned i = 0; i < DV_OCI_CAPABILITIES; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            set |= UINT64_C(1) << i;
    return set;
}

static int add_extra(const char *name, uint64_t available, uint64_t *set, struct dv_error *err)
{
    unsigned number;
    if (!dv_oci_capability_parse(name, &number)) {
        const char *nearest = dv_str_nearest(dv_str_of(name), candidate, NULL);
        return dv_error_set(err, DV_ERR_INVALID, "'%.64s' is no capability%s%s%s", name,
                            nearest ? "; did you mean " : "", nearest ? nearest : "",
                            nearest ? "?" : "");
    }
    if (!dv_oci_capability_in(available, number))
        return dv_error_set(err, DV_ERR_FAILED,
                            "%s cannot be given: davit itself does not have it on this machine",
                            names[number]);
    *set |= UINT64_C(1) << number;
    return 0;
}

int dv_oci_capabilities(const struct dv_container_spec *spec,
                        uint64_t available,
                        uint64_t *ret,
                        struct dv_error *err)
{
    if (spec->is_privileged) {
        *ret = available & ((UINT64_C(1) << DV_OCI_CAPABILITIES) - 1);
        return 0;
    }
    uint64_t set = 0;
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
        set |= available & (UINT64_C(1) << usual[i]);
    for (size_t i = 0; i < spec->extra_capabilities.count; i++) {
        int r = add_extra(spec->extra_capabilities.items[i], available, &set, err);
        if (r < 0)
            return r;
    }
    *ret = set;
    return 0;
}
