/* SPDX-License-Identifier: Apache-2.0 */
#include "monitor/fdstore.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define FIRST_FD       3 /* of those that are handed over */
#define FDS_MAX        65536
#define NAME_MAX_BYTES 256
#define STATUS_BYTES   1024

/* "tty.<pid>.<id>"; false for an id that cannot be part of such a name. */
static bool name_of(const char *id, pid_t pid, char ret[static NAME_MAX_BYTES])
{
    for (const char *c = id; *c; c++)
        if (*c <= ' ' || *c >= 0x7F || *c == ':')
            return false;
    return snprintf(ret, NAME_MAX_BYTES, "tty.%d.%s", (int)pid, id) < NAME_MAX_BYTES;
}

static void notify(const char *text, int passed)
{
    const char *path = getenv("NOTIFY_SOCKET");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } control = {.bytes = {0}};
    struct iovec part = {(char *)text, strlen(text)};
    struct msghdr message = {.msg_name = &address, .msg_iov = &part, .msg_iovlen = 1};
    if (!path || (path[0] != '/' && path[0] != '@') || strlen(path) >= sizeof(address.sun_path))
        return;
    memcpy(address.sun_path, path, strlen(path));
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    message.msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
    if (passed >= 0) {
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(sizeof(passed));
        memcpy(CMSG_DATA(&control.header), &passed, sizeof(passed));
        message.msg_control = control.bytes;
        message.msg_controllen = sizeof(control.bytes);
    }
    dv_autoclose int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && sendmsg(fd, &message, MSG_NOSIGNAL) < 0)
        dv_log(DV_LOG_WARN, "the service manager is not told '%.40s': %s", text, strerror(errno));
}

void mon_fdstore_put(const char *id, pid_t pid, int terminal)
{
    char name[NAME_MAX_BYTES];
    char text[NAME_MAX_BYTES + 32];
    if (!name_of(id, pid, name))
        return;
    snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s", name);
    notify(text, terminal);
}

void mon_fdstore_remove(const char *id, pid_t pid)
{
    char name[NAME_MAX_BYTES];
    char text[NAME_MAX_BYTES + 32];
    if (!name_of(id, pid, name))
        return;
    snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=%s", name);
    notify(text, -1);
}

/* False if the name is none of ours. */
static bool read_name(struct dv_str name, char id[static 129], int64_t *ret_pid)
{
    struct dv_str kind;
    struct dv_str pid;
    struct dv_str rest;
    if (!dv_str_cut(name, '.', &kind, &rest) || !dv_str_eq(kind, "tty") ||
        !dv_str_cut(rest, '.', &pid, &rest) ||
        dv_str_to_i64(pid, 1, INT32_MAX, ret_pid, NULL) < 0 || !rest.len || rest.len > 128)
        return false;
    snprintf(id, 129, "%.*s", DV_STR_ARG(rest));
    return true;
}

static int64_t number_of(const char *variable, int64_t max)
{
    const char *text = getenv(variable);
    int64_t number;
    return text && dv_str_to_i64(dv_str_of(text), 0, max, &number, NULL) == 0 ? number : 0;
}

void mon_fdstore_take(void (*fn)(void *ctx, const struct dv_monitor_console *what, int terminal),
                      void *ctx)
{
    const char *names = getenv("LISTEN_FDNAMES");
    struct dv_str rest = dv_str_of(names ? names : "");
    if (number_of("LISTEN_PID", INT32_MAX) != getpid())
        return;
    int end = FIRST_FD + (int)number_of("LISTEN_FDS", FDS_MAX);
    for (int fd = FIRST_FD; fd < end; fd++) {
        struct dv_str name;
        char id[129];
        struct dv_monitor_console what = {.id = id};
        dv_str_cut(rest, ':', &name, &rest);
        (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
        if (read_name(name, id, &what.pid))
            fn(ctx, &what, fd);
        else
            close(fd);
    }
}

void mon_fdstore_status(const char *text)
{
    char line[STATUS_BYTES];
    snprintf(line, sizeof(line), "STATUS=%s", text);
    for (char *c = line; *c; c++)
        *c = *c == '\n' ? ' ' : *c;
    notify(line, -1);
}
