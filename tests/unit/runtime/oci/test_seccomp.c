/* SPDX-License-Identifier: Apache-2.0 */
#include "fixture.h"
#include "runtime/oci/capability.h"
#include "runtime/oci/seccomp.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <linux/capability.h>
#include <seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ALL_CAPABILITIES ((UINT64_C(1) << DV_CAPABILITIES) - 1)

static struct dv_json *filter_for(uint64_t capabilities)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1U << 20);
    struct dv_json_writer w;
    struct dv_json *root = NULL;
    struct dv_error err = DV_ERROR_INIT;
    dv_jw_init(&w, &text);
    dv_oci_seccomp_write(&w, capabilities);
    cr_assert_eq(dv_jw_done(&w, &err), 0, "%s", err.text);
    cr_assert_eq(dv_json_parse(text.data, text.len, &root, &err), 0, "%s", err.text);
    return root;
}

static uint64_t usual(void)
{
    struct dv_container_spec spec = {.tty = false};
    uint64_t set = 0;
    cr_assert_eq(dv_oci_capabilities(&spec, ALL_CAPABILITIES, &set, NULL), 0);
    return set;
}

enum answer {
    UNKNOWN, /* no row: ENOSYS */
    ALLOWED,
    REFUSED, /* EPERM */
    BY_ARGUMENT,
};

/* What the filter says to a call whose arguments are not looked at. */
static enum answer answer_to(const struct dv_json *filter, const char *call)
{
    const struct dv_json *row = dv_json_first(dv_json_get(filter, "syscalls"));
    for (; row; row = dv_json_next(row)) {
        if (!has_item(dv_json_get(row, "names"), call))
            continue;
        if (dv_json_get(row, "args"))
            return BY_ARGUMENT;
        if (strcmp(text_at(row, "action"), "SCMP_ACT_ALLOW") == 0)
            return ALLOWED;
        cr_expect_str_eq(text_at(row, "action"), "SCMP_ACT_ERRNO");
        cr_expect_eq(number_at(row, "errnoRet"), EPERM);
        return REFUSED;
    }
    return UNKNOWN;
}

Test(oci_seccomp, unknown_calls_are_answered_as_by_an_older_kernel)
{
    DV_AUTO(dv_json) filter = filter_for(usual());
    cr_expect_str_eq(text_at(filter, "defaultAction"), "SCMP_ACT_ERRNO");
    cr_expect_eq(number_at(filter, "defaultErrnoRet"), ENOSYS);
    cr_expect_eq(answer_to(filter, "clone3"), UNKNOWN, "its flags cannot be looked at");
}

Test(oci_seccomp, foreign_system_calls_of_this_processor_are_filtered_too)
{
    DV_AUTO(dv_json) filter = filter_for(usual());
    dv_autofree char *architectures = list_at(filter, "architectures");
#if defined(__x86_64__)
    cr_expect_str_eq(architectures, "SCMP_ARCH_X86_64 SCMP_ARCH_X86 SCMP_ARCH_X32");
#elif defined(__aarch64__)
    cr_expect_str_eq(architectures, "SCMP_ARCH_AARCH64 SCMP_ARCH_ARM");
#elif defined(__arm__)
    cr_expect_str_eq(architectures, "SCMP_ARCH_ARM");
#else
    (void)architectures;
#endif
}

/* As with Docker and Podman. */
Test(oci_seccomp, calls_that_reach_past_a_container_are_refused)
{
    static const char *const calls[] = {
        "acct",
        "add_key",
        "bpf",
        "clock_settime",
        "create_module",
        "delete_module",
        "finit_module",
        "fsmount",
        "fsopen",
        "fspick",
        "get_kernel_syms",
        "init_module",
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
        "ioperm",
        "iopl",
        "kcmp",
        "kexec_file_load",
        "kexec_load",
        "keyctl",
        "lookup_dcookie",
        "mount",
        "mount_setattr",
        "move_mount",
        "move_pages",
        "nfsservctl",
        "open_by_handle_at",
        "open_tree",
        "perf_event_open",
        "pidfd_getfd",
        "pivot_root",
        "query_module",
        "quotactl",
        "reboot",
        "request_key",
        "setdomainname",
        "sethostname",
        "setns",
        "settimeofday",
        "stime",
        "swapoff",
        "swapon",
        "syslog",
        "umount",
        "umount2",
        "unshare",
        "userfaultfd",
        "uselib",
        "ustat",
        "vhangup",
        "vm86",
        "vm86old",
    };
    DV_AUTO(dv_json) filter = filter_for(usual());
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        cr_expect_eq(answer_to(filter, calls[i]), REFUSED, "%s", calls[i]);
}

Test(oci_seccomp, calls_of_everyday_programs_are_allowed)
{
    static const char *const calls[] = {
        "accept4",     "bind",           "brk",
        "chown",       "chroot",         "clock_gettime",
        "close_range", "connect",        "copy_file_range",
        "dup3",        "epoll_pwait2",   "execve",
        "execveat",    "exit_group",     "faccessat2",
        "fallocate",   "fchmodat2",      "fork",
        "fsync",       "futex",          "futex_waitv",
        "getdents64",  "getrandom",      "inotify_init1",
        "ioctl",       "kill",           "listen",
        "madvise",     "membarrier",     "memfd_create",
        "mknodat",     "mmap",           "mprotect",
        "nanosleep",   "newfstatat",     "openat",
        "openat2",     "pidfd_open",     "pidfd_send_signal",
        "pipe2",       "poll",           "prctl",
        "prlimit64",   "ptrace",         "read",
        "renameat2",   "rseq",           "rt_sigaction",
        "sched_yield", "seccomp",        "sendmmsg",
        "setresuid",   "setsid",         "shmget",
        "signalfd4",   "socketpair",     "splice",
        "statx",       "timerfd_create", "tgkill",
        "unlinkat",    "utimensat",      "vfork",
        "wait4",       "write",
    };
    DV_AUTO(dv_json) filter = filter_for(usual());
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        cr_expect_eq(answer_to(filter, calls[i]), ALLOWED, "%s", calls[i]);
}

Test(oci_seccomp, no_capability_means_no_call_of_one)
{
    DV_AUTO(dv_json) filter = filter_for(0);
    cr_expect_eq(answer_to(filter, "chroot"), REFUSED);
    cr_expect_eq(answer_to(filter, "mount"), REFUSED);
    cr_expect_eq(answer_to(filter, "read"), ALLOWED);
}

Test(oci_seccomp, some_calls_stay_refused_with_every_capability)
{
    static const char *const calls[] = {"io_uring_setup", "kexec_load", "keyctl", "swapon",
                                        "userfaultfd"};
    DV_AUTO(dv_json) filter = filter_for(ALL_CAPABILITIES);
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
        cr_expect_eq(answer_to(filter, calls[i]), REFUSED, "%s", calls[i]);
    cr_expect_eq(answer_to(filter, "mount"), ALLOWED);
    cr_expect_eq(answer_to(filter, "unshare"), ALLOWED);
    cr_expect_eq(answer_to(filter, "clone"), ALLOWED);
    cr_expect_eq(answer_to(filter, "clone3"), ALLOWED);
}

/* CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET. */
Test(oci_seccomp, clone_makes_no_namespace)
{
    DV_AUTO(dv_json) filter = filter_for(usual());
    size_t found = 0;
    const struct dv_json *row = dv_json_first(dv_json_get(filter, "syscalls"));
    for (; row; row = dv_json_next(row)) {
        if (!has_item(dv_json_get(row, "names"), "clone"))
            continue;
        found++;
        cr_expect_str_eq(text_at(row, "action"), "SCMP_ACT_ALLOW");
        cr_expect_eq(dv_json_count(dv_json_get(row, "args")), 1U);
        cr_expect_eq(number_at(row, "args[0].value"), 0x7E020000);
        cr_expect_eq(number_at(row, "args[0].valueTwo"), 0);
        cr_expect_str_eq(text_at(row, "args[0].op"), "SCMP_CMP_MASKED_EQ");
    }
    cr_expect_eq(found, 1U);
}

Test(oci_seccomp, sockets_to_the_hypervisor_are_refused)
{
    DV_AUTO(dv_json) filter = filter_for(usual());
    bool has_allowed = false;
    bool has_refused = false;
    const struct dv_json *row = dv_json_first(dv_json_get(filter, "syscalls"));
    for (; row; row = dv_json_next(row)) {
        if (!has_item(dv_json_get(row, "names"), "socket"))
            continue;
        bool is_allowed = strcmp(text_at(row, "action"), "SCMP_ACT_ALLOW") == 0;
        cr_expect_eq(number_at(row, "args[0].value"), AF_VSOCK);
        cr_expect_str_eq(text_at(row, "args[0].op"), is_allowed ? "SCMP_CMP_NE" : "SCMP_CMP_EQ");
        has_allowed |= is_allowed;
        has_refused |= !is_allowed;
    }
    cr_expect(has_allowed && has_refused);
}

Test(oci_seccomp, personalities_are_those_that_harden_nothing_less)
{
    static const int64_t wanted[] = {0x0, 0x8, 0x20000, 0x20008, 0xffffffff};
    DV_AUTO(dv_json) filter = filter_for(usual());
    size_t found = 0;
    const struct dv_json *row = dv_json_first(dv_json_get(filter, "syscalls"));
    for (; row; row = dv_json_next(row)) {
        if (!has_item(dv_json_get(row, "names"), "personality"))
            continue;
        cr_assert_lt(found, sizeof(wanted) / sizeof(wanted[0]));
        cr_expect_eq(number_at(row, "args[0].value"), wanted[found++]);
        cr_expect_str_eq(text_at(row, "args[0].op"), "SCMP_CMP_EQ");
    }
    cr_expect_eq(found, sizeof(wanted) / sizeof(wanted[0]));
}

/* The runtimes pass over a name that their libseccomp does not know, so a misspelt one would open
 * or close nothing in silence. Those that are newer than the library are listed here. */
Test(oci_seccomp, names_are_those_of_system_calls)
{
    static const char *const newer[] = {
        "cachestat",  "fchmodat2",        "futex_requeue",          "futex_wait",
        "futex_wake", "map_shadow_stack", "set_mempolicy_home_node"};
    DV_AUTO(dv_json) filter = filter_for(usual());
    const struct dv_json *row = dv_json_first(dv_json_get(filter, "syscalls"));
    for (; row; row = dv_json_next(row)) {
        const struct dv_json *name = dv_json_first(dv_json_get(row, "names"));
        for (; name; name = dv_json_next(name)) {
            const char *text = dv_json_text(name);
            bool is_known = seccomp_syscall_resolve_name(text) != __NR_SCMP_ERROR;
            for (size_t i = 0; i < sizeof(newer) / sizeof(newer[0]); i++)
                is_known |= strcmp(text, newer[i]) == 0;
            cr_expect(is_known, "'%s'", text);
        }
    }
}

Test(oci_seccomp, call_is_named_once_without_conditions)
{
    static const uint64_t sets[] = {0, ALL_CAPABILITIES, UINT64_C(1) << CAP_SYS_ADMIN};
    for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
        DV_AUTO(dv_json) filter = filter_for(sets[i]);
        DV_AUTO_IN_PLACE(dv_buf) seen = DV_BUF_INIT(1U << 20);
        const struct dv_json *row = dv_json_first(dv_json_get(filter, "syscalls"));
        for (; row; row = dv_json_next(row)) {
            if (dv_json_get(row, "args"))
                continue;
            const struct dv_json *name = dv_json_first(dv_json_get(row, "names"));
            for (; name; name = dv_json_next(name)) {
                char marked[80];
                snprintf(marked, sizeof(marked), " %s ", dv_json_text(name));
                cr_expect(!seen.data || !strstr(seen.data, marked), "'%s'", marked);
                cr_assert_eq(dv_buf_append_str(&seen, marked, NULL), 0);
            }
        }
    }
}
