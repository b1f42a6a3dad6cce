/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a subverted davit-unpack could try: confines itself to the directory argv[1] with the file
 * argv[2] as blob, then does what argv[3] names. Exit code 0: it worked, else the errno. With
 * argv[4] it may make threads.
 */
#include "unpack/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define PROBE_FILE_BYTES_MAX 1000
#define RANDOM_FD            10

static int open_code(const char *path, int flags)
{
    return open(path, flags | O_CLOEXEC, 0600) >= 0 ? 0 : errno;
}

static int write_inside(void)
{
    return open_code("/file", O_WRONLY | O_CREAT);
}

static int read_blob(void)
{
    char byte;
    return read(STDIN_FILENO, &byte, 1) == 1 ? 0 : EIO;
}

static int see_outside(void)
{
    return open_code("/etc/passwd", O_RDONLY);
}

static int climb(void)
{
    return open_code("../../../../../../etc/passwd", O_RDONLY);
}

static int see_processes(void)
{
    return open_code("/proc/self/root", O_RDONLY);
}

static int use_inherited(void)
{
    return fcntl(9, F_GETFD) >= 0 ? 0 : errno;
}

static int read_back(void)
{
    return write_inside() == 0 ? open_code("/file", O_RDONLY) : 0;
}

static int use_device(void)
{
    if (mknod("/null", S_IFCHR | 0600, makedev(1, 3)) < 0)
        return 0;
    return open_code("/null", O_WRONLY);
}

static int write_much(void)
{
    int fd = open("/much", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    char bytes[PROBE_FILE_BYTES_MAX + 1] = {0};
    ssize_t put = write(fd, bytes, sizeof(bytes));
    put = put == PROBE_FILE_BYTES_MAX ? write(fd, bytes, 1) : 0;
    return put < 0 ? errno : 0;
}

static int take_memory(void)
{
    return mmap(NULL, DV_UNPACK_MEMORY_BYTES_MAX, PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
               ? 0
               : errno;
}

static int open_many(void)
{
    for (int i = 0; i < DV_UNPACK_DESCRIPTORS_MAX; i++)
        if (open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC) < 0)
            return errno;
    return 0;
}

/* From here on the filter ends the process. */
static int mount_something(void)
{
    return mount("proc", "/", "proc", 0, NULL) == 0 ? 0 : errno;
}

static int connect_somewhere(void)
{
    return socket(AF_INET, SOCK_STREAM, 0) >= 0 ? 0 : errno;
}

static int run_program(void)
{
    char *argv[] = {(char[]){"/bin/sh"}, NULL};
    return execve(argv[0], argv, NULL) == 0 ? 0 : errno;
}

static int make_process(void)
{
    return syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L) >= 0 ? 0 : errno;
}

static void *touch(void *flag)
{
    *(int *)flag = 1;
    return NULL;
}

static int make_thread(void)
{
    pthread_t thread;
    int flag = 0;
    int r = pthread_create(&thread, NULL, touch, &flag);
    if (r == 0)
        r = pthread_join(thread, NULL);
    return r ? r : flag ? 0 : EIO;
}

static int read_random(void)
{
    char byte;
    return read(RANDOM_FD, &byte, 1) == 1 ? 0 : errno;
}

static int look_into_another(void)
{
    return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) == 0 ? 0 : errno;
}

static int signal_another(void)
{
    return kill(getppid(), 0) == 0 ? 0 : errno;
}

static int map_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED
               ? 0
               : errno;
}

static int change_root(void)
{
    return chroot("/") == 0 ? 0 : errno;
}

static int join_namespace(void)
{
    return setns(0, 0) == 0 ? 0 : errno;
}

static const struct {
    const char *name;
    int (*attempt)(void);
} attempts[] = {
    {"write_inside", write_inside},
    {"read_blob", read_blob},
    {"see_outside", see_outside},
    {"climb", climb},
    {"see_processes", see_processes},
    {"use_inherited", use_inherited},
    {"read_back", read_back},
    {"use_device", use_device},
    {"write_much", write_much},
    {"take_memory", take_memory},
    {"open_many", open_many},
    {"mount_something", mount_something},
    {"connect_somewhere", connect_somewhere},
    {"run_program", run_program},
    {"make_process", make_process},
    {"make_thread", make_thread},
    {"read_random", read_random},
    {"look_into_another", look_into_another},
    {"signal_another", signal_another},
    {"map_code", map_code},
    {"change_root", change_root},
    {"join_namespace", join_namespace},
};

int main(int argc, char *argv[])
{
    if (argc < 4 || dup2(STDOUT_FILENO, 9) < 0 ||
        dup2(open("/dev/urandom", O_RDONLY | O_CLOEXEC), RANDOM_FD) < 0)
        return 255;
    const struct dv_unpack_confine_options options = {.directory = argv[1],
                                                      .blob_fd = open(argv[2], O_RDONLY),
                                                      .file_bytes_max = PROBE_FILE_BYTES_MAX,
                                                      .may_make_threads = argc > 4};
    int root_fd = -1;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_unpack_confine(&options, &root_fd, &err) < 0) {
        fprintf(stderr, "%s\n", err.text);
        return 254;
    }
    for (size_t i = 0; i < sizeof(attempts) / sizeof(attempts[0]); i++)
        if (strcmp(argv[3], attempts[i].name) == 0)
            _exit(attempts[i].attempt());
    _exit(253);
}
