/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fake_runtime SCRIPT PIDFILE [CONSOLE]: what davit-monitor sees of an OCI runtime. A child stays
 * behind with the streams, its pid is written, and the program ends without waiting for it. With
 * CONSOLE the child has a terminal, whose other side is passed over the socket of that name.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

extern char **environ;

static int pass(const char *path, int terminal)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {(char *)"tty", 3};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    control.header.cmsg_level = SOL_SOCKET;
    control.header.cmsg_type = SCM_RIGHTS;
    control.header.cmsg_len = CMSG_LEN(sizeof(terminal));
    memcpy(CMSG_DATA(&control.header), &terminal, sizeof(terminal));
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int r = connect(fd, (const struct sockaddr *)&address, sizeof(address));
    if (r == 0)
        r = sendmsg(fd, &message, 0) < 0 ? -1 : 0;
    close(fd);
    return r;
}

static int spawn(pid_t *pid, char **child, const char *console)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    char name[64];
    if (!console)
        return posix_spawn(pid, child[0], NULL, NULL, child, environ);
    int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (terminal < 0 || unlockpt(terminal) != 0 || ptsname_r(terminal, name, sizeof(name)) != 0)
        return -1;
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, name, O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, 0, 1);
    posix_spawn_file_actions_adddup2(&actions, 0, 2);
    int r = posix_spawn(pid, child[0], &actions, &attributes, child, environ);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return r == 0 ? pass(console, terminal) : r;
}

int main(int argc, char **argv)
{
    pid_t pid;
    if (argc != 3 && argc != 4)
        return 2;
    char *child[] = {(char *)"/bin/sh", (char *)"-c", argv[1], NULL};
    if (spawn(&pid, child, argc == 4 ? argv[3] : NULL) != 0)
        return 3;
    FILE *file = fopen(argv[2], "we");
    if (!file || fprintf(file, "%d", (int)pid) < 0 || fclose(file) != 0)
        return 4;
    return 0;
}
