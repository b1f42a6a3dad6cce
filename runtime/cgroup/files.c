/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup/files.h"

#include "base/cleanup.h"

#include <fcntl.h>
#include <string.h>

ssize_t dv_cgroup_read_file(int dir, const char *name, char *text, size_t size)
{
    dv_autoclose int fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    size_t used = 0;
    while (used < size - 1) {
        ssize_t n = read(fd, text + used, size - 1 - used);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0)
            break;
        used += (size_t)n;
    }
    text[used] = '\0';
    return (ssize_t)used;
}

int dv_cgroup_write_file(int dir, const char *name, const char *text)
{
    dv_autoclose int fd = openat(dir, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    ssize_t n;
    do
        n = write(fd, text, strlen(text));
    while (n < 0 && errno == EINTR);
    return n < 0 ? -errno : 0;
}
