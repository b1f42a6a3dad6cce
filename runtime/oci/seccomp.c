/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/seccomp.h"

#include "runtime/oci/capability.h"

#include <linux/capability.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET: making a namespace is for
 * who has CAP_SYS_ADMIN, or a container could make itself one in a new user namespace. */
#define NAMESPACE_FLAGS 0x7E020000LL
/* Sockets to the hypervisor reach past the network namespace. */
#define AF_VSOCK_NUMBER 40

#define RULE_ALWAYS (-1)
#define RULE_NEVER  (-2)

#define EPERM_NUMBER  1
#define ENOSYS_NUMBER 38

struct row {
    const char *name;
    int rule; /* a capability or one of the RULE_ */
};

#define NUMBER_OF_ALWAYS          RULE_ALWAYS
#define NUMBER_OF_NEVER           RULE_NEVER
#define NUMBER_OF_SYS_ADMIN       CAP_SYS_ADMIN
#define NUMBER_OF_BPF             39
#define NUMBER_OF_PERFMON         38
#define NUMBER_OF_SYSLOG          CAP_SYSLOG
#define NUMBER_OF_SYS_BOOT        CAP_SYS_BOOT
#define NUMBER_OF_SYS_CHROOT      CAP_SYS_CHROOT
#define NUMBER_OF_SYS_MODULE      CAP_SYS_MODULE
#define NUMBER_OF_SYS_PACCT       CAP_SYS_PACCT
#define NUMBER_OF_SYS_PTRACE      CAP_SYS_PTRACE
#define NUMBER_OF_SYS_RAWIO       CAP_SYS_RAWIO
#define NUMBER_OF_SYS_TIME        CAP_SYS_TIME
#define NUMBER_OF_SYS_TTY_CONFIG  CAP_SYS_TTY_CONFIG
#define NUMBER_OF_SYS_NICE        CAP_SYS_NICE
#define NUMBER_OF_DAC_READ_SEARCH CAP_DAC_READ_SEARCH

/* Names are only turned to text here: some are macros of the C library elsewhere. */
#define X(rule, name) {#name, NUMBER_OF_##rule},
static const struct row rows[] = {
#include "runtime/oci/seccomp.def"
};
#undef X

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static const char *const architectures[] = {
#if defined(__x86_64__)
    "SCMP_ARCH_X86_64",
    "SCMP_ARCH_X86",
    "SCMP_ARCH_X32",
#elif defined(__aarch64__)
    "SCMP_ARCH_AARCH64",
    "SCMP_ARCH_ARM",
#elif defined(__arm__)
    "SCMP_ARCH_ARM",
#elif defined(__i386__)
    "SCMP_ARCH_X86",
#elif defined(__riscv)
    "SCMP_ARCH_RISCV64",
#endif
    NULL,
};

static bool is_allowed(const struct row *row, uint64_t capabilities)
{
    if (row->rule == RULE_ALWAYS)
        return true;
    if (row->rule == RULE_NEVER)
        return false;
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].rule >= 0 && strcmp(rows[i].name, row->name) == 0 &&
            dv_oci_capability_in(capabilities, (unsigned)rows[i].rule))
            return true;
    return false;
}

/* A call that several capabilities allow has several rows; only the first is written. */
static bool is_first_row(const struct row *row)
{
    for (const struct row *earlier = rows; earlier < row; earlier++)
        if (strcmp(earlier->name, row->name) == 0)
            return false;
    return true;
}

static void write_action(struct dv_json_writer *w, bool is_allowed_action)
{
    if (is_allowed_action) {
        dv_jw_member_text(w, "action", "SCMP_ACT_ALLOW");
    } else {
        dv_jw_member_text(w, "action", "SCMP_ACT_ERRNO");
        dv_jw_member_i64(w, "errnoRet", EPERM_NUMBER);
    }
}

static void write_rows(struct dv_json_writer *w, uint64_t capabilities, bool wanted)
{
    dv_jw_object(w);
    dv_jw_key(w, "names");
    dv_jw_array(w);
    for (size_t i = 0; i < ROWS; i++)
        if ((rows[i].rule < 0 || is_first_row(&rows[i])) &&
            is_allowed(&rows[i], capabilities) == wanted)
            dv_jw_text(w, rows[i].name);
    dv_jw_array_end(w);
    write_action(w, wanted);
    dv_jw_object_end(w);
}

/* One call, allowed or refused when its first argument compares as said. */
static void write_compared(struct dv_json_writer *w,
                           const char *name,
                           bool is_allowed_call,
                           const char *op,
                           int64_t value,
                           int64_t value_two)
{
    dv_jw_object(w);
    dv_jw_key(w, "names");
    dv_jw_array(w);
    dv_jw_text(w, name);
    dv_jw_array_end(w);
    write_action(w, is_allowed_call);
    dv_jw_key(w, "args");
    dv_jw_array(w);
    dv_jw_object(w);
#if defined(__s390x__)
    dv_jw_member_i64(w, "index", strcmp(name, "clone") == 0);
#else
    dv_jw_member_i64(w, "index", 0);
#endif
    dv_jw_member_i64(w, "value", value);
    dv_jw_member_i64(w, "valueTwo", value_two);
    dv_jw_member_text(w, "op", op);
    dv_jw_object_end(w);
    dv_jw_array_end(w);
    dv_jw_object_end(w);
}

static void write_plain(struct dv_json_writer *w, const char *const *names, size_t count)
{
    dv_jw_object(w);
    dv_jw_key(w, "names");
    dv_jw_array(w);
    for (size_t i = 0; i < count; i++)
        dv_jw_text(w, names[i]);
    dv_jw_array_end(w);
    write_action(w, true);
    dv_jw_object_end(w);
}

static void write_by_argument(struct dv_json_writer *w, uint64_t capabilities)
{
    /* The personalities of Linux, of 32-bit Linux, the same with the uname of 2.6, and the
     * question which one is set. */
    static const int64_t personalities[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};
    static const char *const clones[] = {"clone", "clone3"};
    for (size_t i = 0; i < sizeof(personalities) / sizeof(personalities[0]); i++)
        write_compared(w, "personality", true, "SCMP_CMP_EQ", personalities[i], 0);
    write_compared(w, "socket", true, "SCMP_CMP_NE", AF_VSOCK_NUMBER, 0);
    write_compared(w, "socket", false, "SCMP_CMP_EQ", AF_VSOCK_NUMBER, 0);
    /* The flags of clone3 are in memory, where a filter cannot look: it stays unknown. */
    if (dv_oci_capability_in(capabilities, CAP_SYS_ADMIN))
        write_plain(w, clones, 2);
    else
        write_compared(w, "clone", true, "SCMP_CMP_MASKED_EQ", NAMESPACE_FLAGS, 0);
}

void dv_oci_seccomp_write(struct dv_json_writer *w, uint64_t capabilities)
{
    dv_jw_object(w);
    dv_jw_member_text(w, "defaultAction", "SCMP_ACT_ERRNO");
    dv_jw_member_i64(w, "defaultErrnoRet", ENOSYS_NUMBER);
    if (architectures[0]) {
        dv_jw_key(w, "architectures");
        dv_jw_array(w);
        for (size_t i = 0; architectures[i]; i++)
            dv_jw_text(w, architectures[i]);
        dv_jw_array_end(w);
    }
    dv_jw_key(w, "syscalls");
    dv_jw_array(w);
    write_rows(w, capabilities, true);
    write_rows(w, capabilities, false);
    write_by_argument(w, capabilities);
    dv_jw_array_end(w);
    dv_jw_object_end(w);
}

bool dv_oci_seccomp_is_known(void)
{
    return access("/proc/sys/kernel/seccomp/actions_avail", F_OK) == 0;
}
