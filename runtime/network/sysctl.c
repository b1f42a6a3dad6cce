/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/network/state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A parameter that has the value already is not written: /proc may be read-only. */
int sysctl_write(const char *path, const char *value, struct dv_error *err)
{
    char full[PATH_MAX];
    char now[32] = "";
    snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
    dv_autoclose int reader = open(full, O_RDONLY | O_CLOEXEC);
    ssize_t len = reader < 0 ? -1 : read(reader, now, sizeof(now) - 1);
    if (len > 0 && (size_t)len == strlen(value) + 1 && strncmp(now, value, strlen(value)) == 0)
        return 0;
    dv_autoclose int fd = open(full, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0) {
        int saved = errno;
        return dv_error_sys(err, saved == ENOENT ? DV_ERR_NOT_FOUND : DV_ERR_DENIED, saved,
                            "write %s to %s", value, full);
    }
    return 0;
}

bool sysctl_is(const char *path, const char *value)
{
    char full[PATH_MAX];
    char now[2] = "";
    snprintf(full, sizeof(full), "/proc/sys/net/%s", path);
    dv_autoclose int fd = open(full, O_RDONLY | O_CLOEXEC);
    return fd >= 0 && read(fd, now, 1) == 1 && strcmp(now, value) == 0;
}

int sysctl_write_if_there(const char *path, const char *value, struct dv_error *err)
{
    struct dv_error own = DV_ERROR_INIT;
    int r = sysctl_write(path, value, &own);
    if (r == -DV_ERR_NOT_FOUND)
        return 0;
    if (r < 0 && err)
        *err = own;
    return r;
}
