/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/capability.h"

#include "spec/capability.h"

#include <linux/capability.h>
#include <sys/prctl.h>

/* What Docker gives, so that images made for it work. */
static const unsigned usual[] = {
    CAP_CHOWN,   CAP_DAC_OVERRIDE, CAP_FSETID,           CAP_FOWNER,
    CAP_MKNOD,   CAP_NET_RAW,      CAP_SETGID,           CAP_SETUID,
    CAP_SETFCAP, CAP_SETPCAP,      CAP_NET_BIND_SERVICE, CAP_SYS_CHROOT,
    CAP_KILL,    CAP_AUDIT_WRITE,
};

uint64_t dv_oci_capabilities_available(void)
{
    uint64_t set = 0;
    for (unsigned i = 0; i < DV_CAPABILITIES; i++)
        if (prctl(PR_CAPBSET_READ, i, 0, 0, 0) == 1)
            set |= UINT64_C(1) << i;
    return set;
}

static int add_extra(const char *name, uint64_t available, uint64_t *set, struct dv_error *err)
{
    unsigned number;
    const char *nearest = NULL;
    if (!dv_capability_parse(name, &number, &nearest))
        return dv_error_set(err, DV_ERR_INVALID, "'%.64s' is no capability%s%s%s", name,
                            nearest ? "; did you mean " : "", nearest ? nearest : "",
                            nearest ? "?" : "");
    if (!dv_oci_capability_in(available, number))
        return dv_error_set(err, DV_ERR_FAILED,
                            "%s cannot be given: davit itself does not have it on this machine",
                            dv_capability_name(number));
    *set |= UINT64_C(1) << number;
    return 0;
}

int dv_oci_capabilities(const struct dv_container_spec *spec,
                        uint64_t available,
                        uint64_t *ret,
                        struct dv_error *err)
{
    if (spec->is_privileged) {
        *ret = available & ((UINT64_C(1) << DV_CAPABILITIES) - 1);
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

uint64_t dv_oci_capabilities_extra(const struct dv_container_spec *spec, uint64_t set)
{
    uint64_t extra = 0;
    unsigned number;
    for (size_t i = 0; i < spec->extra_capabilities.count; i++)
        if (dv_capability_parse(spec->extra_capabilities.items[i], &number, NULL))
            extra |= set & (UINT64_C(1) << number);
    return extra;
}
