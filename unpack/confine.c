/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order matters. Descriptors first, so that none leads back; then namespaces and pivot_root,
 * which need CAP_SYS_ADMIN; then Landlock, which forbids mounting from then on; then limits,
 * capabilities and at last the filter, which forbids all of the above.
 *
 * CAP_SYS_ADMIN stays: trusted.overlay.opaque cannot be set without it. The filter leaves no other
 * system call that would use it.
 */
#include "unpack/confine.h"

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static int check_empty(int dir_fd, const char *directory, struct dv_error *err)
{
    int fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    dv_autoclosedir DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        dv_close(&fd);
        return dv_error_sys(err, DV_ERR_IO, errno, "read directory '%s'", directory);
    }
    for (const struct dirent *entry; (entry = readdir(dir));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            return dv_error_set(err, DV_ERR_INVALID, "directory '%s' is not empty", directory);
    return 0;
}

/* Random numbers of the kernel: they lead nowhere, and the library that decrypts OpenPGP reads them
 * from a descriptor that it has opened before. */
static bool is_random(int fd)
{
    struct stat info;
    return fstat(fd, &info) == 0 && S_ISCHR(info.st_mode) &&
           (info.st_rdev == makedev(1, 8) || info.st_rdev == makedev(1, 9));
}

static int close_others(struct dv_error *err)
{
    unsigned from = 3;
    int r = 0;
    for (unsigned fd = from; r == 0 && fd < DV_UNPACK_DESCRIPTORS_MAX; fd++) {
        if (!is_random((int)fd))
            continue;
        if (fd > from)
            r = close_range(from, fd - 1, 0);
        from = fd + 1;
    }
    if (r == 0)
        r = close_range(from, ~0U, 0);
    return r < 0 ? dv_error_sys(err, DV_ERR_IO, errno, "close inherited descriptors") : 0;
}

/* Enters the directory, leaves the blob as descriptor 0 and nothing else above 2. */
static int reduce_descriptors(const struct dv_unpack_confine_options *options, struct dv_error *err)
{
    dv_autoclose int dir_fd = open(options->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir_fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open directory '%s'", options->directory);
    int r = check_empty(dir_fd, options->directory, err);
    if (r < 0)
        return r;
    if (fchdir(dir_fd) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "enter directory '%s'", options->directory);
    if (dup2(options->blob_fd, STDIN_FILENO) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "move the blob's descriptor");
    dv_close(&dir_fd);
    return close_others(err);
}

/* The working directory becomes the root of a mount namespace that holds nothing else. */
static int change_root(const char *directory, struct dv_error *err)
{
    if (unshare(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
        return dv_error_sys(err, DV_ERR_DENIED, errno, "make namespaces (root is needed)");
    if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "make mounts private");
    if (mount(".", ".", NULL, MS_BIND, NULL) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "bind '%s'", directory);
    /* Enter the new mount on top of the directory just bound. */
    if (chdir(directory) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "enter '%s'", directory);
    if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "remount '%s'", directory);
    if (syscall(SYS_pivot_root, ".", ".") < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "make '%s' the root", directory);
    if (umount2(".", MNT_DETACH) < 0 || chdir("/") < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "leave the old root");
    return 0;
}

#define FS_WRITING                                                                                 \
    (LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_REMOVE_DIR | \
     LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR | LANDLOCK_ACCESS_FS_MAKE_DIR | \
     LANDLOCK_ACCESS_FS_MAKE_REG | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_BLOCK |  \
     LANDLOCK_ACCESS_FS_MAKE_SYM | LANDLOCK_ACCESS_FS_REFER)

/* Below the root: make and write, but neither execute nor read back. Version 1 of Landlock cannot
 * allow a hard link between directories, so it is left off there. */
static int restrict_paths(int root_fd, struct dv_error *err)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < 2)
        return 0;
    const struct landlock_ruleset_attr rules = {
        .handled_access_fs = FS_WRITING | LANDLOCK_ACCESS_FS_EXECUTE |
                             LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_MAKE_SOCK};
    dv_autoclose int fd = (int)syscall(SYS_landlock_create_ruleset, &rules, sizeof(rules), 0);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "make Landlock rules");
    const struct landlock_path_beneath_attr beneath = {.allowed_access = FS_WRITING,
                                                       .parent_fd = root_fd};
    if (syscall(SYS_landlock_add_rule, fd, LANDLOCK_RULE_PATH_BENEATH, &beneath, 0) < 0 ||
        syscall(SYS_landlock_restrict_self, fd, 0) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "apply Landlock rules");
    return 0;
}

static int limit_resources(uint64_t file_bytes_max, struct dv_error *err)
{
    const struct {
        int resource;
        rlim_t value;
        const char *name;
    } limits[] = {
        {RLIMIT_CORE, 0, "core"},
        {RLIMIT_FSIZE, file_bytes_max, "fsize"},
        {RLIMIT_NOFILE, DV_UNPACK_DESCRIPTORS_MAX, "nofile"},
        /* A sanitizer's shadow memory alone is beyond any useful bound. */
        {RLIMIT_AS, IS_SANITIZED ? RLIM_INFINITY : (rlim_t)DV_UNPACK_MEMORY_BYTES_MAX, "as"},
    };
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        const struct rlimit limit = {limits[i].value, limits[i].value};
        if (setrlimit((__rlimit_resource_t)limits[i].resource, &limit) < 0)
            return dv_error_sys(err, DV_ERR_FAILED, errno, "set limit %s", limits[i].name);
    }
    /* A file over its limit is then an error of write(), told like the others. */
    if (signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "ignore SIGXFSZ");
    return 0;
}

static int drop_capabilities(struct dv_error *err)
{
    static const unsigned kept[] = {CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,   CAP_FSETID,
                                    CAP_MKNOD, CAP_SETFCAP,      CAP_SYS_ADMIN};
    uint64_t mask = 0;
    for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
        mask |= 1ULL << kept[i];
    for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap) >= 0; cap++)
        if (!(mask >> cap & 1U) && prctl(PR_CAPBSET_DROP, cap) < 0)
            return dv_error_sys(err, DV_ERR_DENIED, errno, "drop capability %u", cap);
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    const struct __user_cap_data_struct data[] = {
        {(uint32_t)mask, (uint32_t)mask, 0},
        {(uint32_t)(mask >> 32), (uint32_t)(mask >> 32), 0},
    };
    if (syscall(SYS_capset, &header, data) < 0)
        return dv_error_sys(err, DV_ERR_DENIED, errno, "keep only needed capabilities");
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set no_new_privs");
    return 0;
}

static void free_filter(scmp_filter_ctx *filter)
{
    if (*filter)
        seccomp_release(*filter);
}

static int allow(scmp_filter_ctx filter)
{
    static const int calls[] = {
        /* files below the root */
        SCMP_SYS(openat), SCMP_SYS(openat2), SCMP_SYS(close), SCMP_SYS(read), SCMP_SYS(write),
        SCMP_SYS(pwrite64), SCMP_SYS(ftruncate), SCMP_SYS(fstat), SCMP_SYS(newfstatat),
        SCMP_SYS(fstatat64), SCMP_SYS(statx), SCMP_SYS(mkdirat), SCMP_SYS(mknodat),
        SCMP_SYS(symlinkat), SCMP_SYS(linkat), SCMP_SYS(unlinkat), SCMP_SYS(fchown),
        SCMP_SYS(fchownat), SCMP_SYS(fchmod), SCMP_SYS(fchmodat), SCMP_SYS(fsetxattr),
        SCMP_SYS(utimensat), SCMP_SYS(syncfs), SCMP_SYS(lseek),
        /* memory, time, the end */
        SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise), SCMP_SYS(futex),
        SCMP_SYS(getrandom), SCMP_SYS(clock_gettime), SCMP_SYS(gettimeofday), SCMP_SYS(getpid),
        SCMP_SYS(gettid), SCMP_SYS(tgkill), SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask),
        SCMP_SYS(rt_sigreturn), SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(exit),
        SCMP_SYS(exit_group)};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        int r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, calls[i], 0);
        /* A call that this architecture does not have needs no rule. */
        if (r < 0 && r != -EDOM)
            return r;
    }
    /* Memory may be mapped, but never to execute what is in it. */
    const struct scmp_arg_cmp no_exec = SCMP_A2(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0);
    static const int mapping[] = {SCMP_SYS(mmap), SCMP_SYS(mmap2), SCMP_SYS(mprotect)};
    for (size_t i = 0; i < sizeof(mapping) / sizeof(mapping[0]); i++) {
        int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, mapping[i], 1, &no_exec);
        if (r < 0 && r != -EDOM)
            return r;
    }
    return 0;
}

/* Threads are as confined as what makes them, if they are made afterwards. clone3() hides its flags
 * behind a pointer; without it the C library takes clone(). */
static int allow_threads(scmp_filter_ctx filter)
{
    const scmp_datum_t namespaces = CLONE_NEWCGROUP | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS |
                                    CLONE_NEWPID | CLONE_NEWUSER | CLONE_NEWUTS;
    const struct scmp_arg_cmp is_thread =
        SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD | namespaces, CLONE_THREAD);
    int r = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1, &is_thread);
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(set_robust_list), 0);
    if (r == 0)
        r = seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(rseq), 0);
    return r;
}

static int filter_calls(bool may_make_threads, struct dv_error *err)
{
    __attribute__((cleanup(free_filter))) scmp_filter_ctx filter =
        seccomp_init(SCMP_ACT_KILL_PROCESS);
    if (!filter)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "seccomp: out of memory");
    int r = allow(filter);
    if (r == 0 && may_make_threads)
        r = allow_threads(filter);
    if (r == 0)
        r = seccomp_load(filter);
    if (r < 0)
        return dv_error_sys(err, DV_ERR_FAILED, -r, "load the seccomp filter");
    return 0;
}

int dv_unpack_confine(const struct dv_unpack_confine_options *options,
                      int *ret_root_fd,
                      struct dv_error *err)
{
    umask(0);
    int r = reduce_descriptors(options, err);
    if (r < 0)
        return r;
    r = change_root(options->directory, err);
    if (r < 0)
        return r;
    dv_autoclose int root_fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open the new root");
    r = limit_resources(options->file_bytes_max, err);
    if (r == 0)
        r = drop_capabilities(err);
    if (r == 0)
        r = restrict_paths(root_fd, err);
    if (r == 0)
        r = filter_calls(options->may_make_threads, err);
    if (r == 0)
        *ret_root_fd = dv_steal_fd(&root_fd);
    return r;
}
