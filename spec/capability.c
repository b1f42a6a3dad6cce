/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/capability.h"

#include "base/str.h"

#include <stdio.h>
#include <strings.h>

#define PREFIX     "CAP_"
#define PREFIX_LEN 4

/* In the kernel's order. */
static const char *const names[DV_CAPABILITIES] = {
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

const char *dv_capability_name(unsigned number)
{
    return number < DV_CAPABILITIES ? names[number] : NULL;
}

static const char *name_at(size_t index, void *ctx)
{
    (void)ctx;
    return dv_capability_name((unsigned)index);
}

bool dv_capability_parse(const char *text, unsigned *ret_number, const char **ret_nearest)
{
    const char *bare = strncasecmp(text, PREFIX, PREFIX_LEN) == 0 ? text + PREFIX_LEN : text;
    for (unsigned i = 0; i < DV_CAPABILITIES; i++) {
        if (strcasecmp(bare, names[i] + PREFIX_LEN) == 0) {
            *ret_number = i;
            return true;
        }
    }
    char full[80];
    snprintf(full, sizeof(full), PREFIX "%s", bare);
    if (ret_nearest)
        *ret_nearest = dv_str_nearest(dv_str_of(full), name_at, NULL);
    return false;
}
