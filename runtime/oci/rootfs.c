/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#define OPAQUE_XATTR "trusted.overlay.opaque"
#define READ_STEP    4096U
#define NAME_MAX_LEN 255U
#define LOOKUPS_MAX  16U

/* Opens below `layer` as if it were the root directory; -errno. The kernel gives up a lookup with
 * ".." when anything was renamed meanwhile. */
static int open_below(int layer, const char *path, uint64_t flags)
{
    struct open_how how = {
        .flags = flags | O_CLOEXEC,
        .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS,
    };
    int fd = -1;
    for (unsigned i = 0; i < LOOKUPS_MAX; i++) {
        fd = (int)syscall(SYS_openat2, layer, path, &how, sizeof(how));
        if (fd >= 0 || errno != EAGAIN)
            break;
    }
    return fd < 0 ? -errno : fd;
}

/* Nothing is there, or a link that leads nowhere. Any other failure is one of this machine. */
static bool is_absent(int negative_errno)
{
    return negative_errno == -ENOENT || negative_errno == -ENOTDIR || negative_errno == -ELOOP ||
           negative_errno == -ENAMETOOLONG;
}

enum found {
    FOUND_NOTHING, /* look in the next layer */
    FOUND_FILE,
    FOUND_END,   /* it is hidden from here on */
    FOUND_ERROR, /* errno */
};

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == makedev(0, 0);
}

/* Whether this layer hides what lower ones have of `path`: a whiteout of it or of a parent, or an
 * opaque parent. */
static bool hides_lower(int layer, const char *path)
{
    char part[NAME_MAX_LEN + 1];
    for (const char *end = strchr(path, '/'); end; end = strchr(end + 1, '/')) {
        size_t len = (size_t)(end - path);
        if (len > NAME_MAX_LEN)
            return true;
        memcpy(part, path, len);
        part[len] = '\0';
        dv_autoclose int fd = open_below(layer, part, O_PATH | O_NOFOLLOW);
        struct stat st;
        if (fd < 0 || fstat(fd, &st) < 0)
            return false;
        if (!S_ISDIR(st.st_mode))
            return true;
        dv_autoclose int dir = open_below(layer, part, O_RDONLY | O_DIRECTORY);
        char value = 0;
        if (dir >= 0 && fgetxattr(dir, OPAQUE_XATTR, &value, 1) == 1 && value == 'y')
            return true;
    }
    return false;
}

/* What is at `path` was chosen by the image or by a program in the container, and opening a device
 * already acts on it (a watchdog starts), a FIFO waits: only what was seen to be a regular file is
 * opened for reading, by its descriptor. */
static enum found look(int layer, const char *path, int *ret_fd)
{
    char self[32];
    struct stat st;
    dv_autoclose int seen = open_below(layer, path, O_PATH);
    if (seen < 0 && !is_absent(seen)) {
        errno = -seen;
        return FOUND_ERROR;
    }
    if (seen >= 0 && fstat(seen, &st) == 0 && S_ISREG(st.st_mode)) {
        snprintf(self, sizeof(self), "/proc/self/fd/%d", seen);
        *ret_fd = open(self, O_RDONLY | O_CLOEXEC);
        return *ret_fd < 0 ? FOUND_ERROR : FOUND_FILE;
    }
    dv_autoclose int entry = open_below(layer, path, O_PATH | O_NOFOLLOW);
    if (entry >= 0 && fstat(entry, &st) == 0)
        return is_whiteout(&st) || !S_ISDIR(st.st_mode) ? FOUND_END : FOUND_NOTHING;
    return hides_lower(layer, path) ? FOUND_END : FOUND_NOTHING;
}

static int read_all(int fd, const char *path, struct dv_buf *out, struct dv_error *err)
{
    for (;;) {
        char *room;
        size_t want = out->max - out->len < READ_STEP ? out->max - out->len + 1 : READ_STEP;
        char spill[READ_STEP + 1];
        ssize_t n = read(fd, spill, want);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "cannot read /%s of the image", path);
        if (n == 0)
            return 1;
        if ((size_t)n > out->max - out->len)
            return dv_error_set(err, DV_ERR_LIMIT, "/%s of the image is larger than %zu bytes",
                                path, out->max);
        int r = dv_buf_reserve(out, (size_t)n, &room, err);
        if (r < 0)
            return r;
        memcpy(room, spill, (size_t)n);
        out->len += (size_t)n;
        dv_buf_terminate(out);
    }
}

int dv_oci_rootfs_read(const struct dv_launch_rootfs *rootfs,
                       const char *path,
                       struct dv_buf *out,
                       struct dv_error *err)
{
    dv_autoclose int layers = open(rootfs->layers_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (layers < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "cannot open the layer directory %s",
                            rootfs->layers_dir);
    bool is_upper = rootfs->upper != NULL;
    for (size_t i = 0; is_upper || rootfs->lower[i];) {
        const char *name = is_upper ? rootfs->upper : rootfs->lower[i];
        dv_autoclose int layer = openat(layers, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (layer < 0 && !(is_upper && errno == ENOENT))
            return dv_error_sys(err, DV_ERR_IO, errno, "cannot open the layer %s", name);
        int found_fd = -1;
        enum found found = layer < 0 ? FOUND_NOTHING : look(layer, path, &found_fd);
        dv_autoclose int fd = found_fd;
        if (found == FOUND_ERROR)
            return dv_error_sys(err, DV_ERR_IO, errno, "cannot open /%s in the layer %s", path,
                                name);
        if (found == FOUND_FILE)
            return read_all(fd, path, out, err);
        if (found == FOUND_END)
            return 0;
        if (is_upper)
            is_upper = false;
        else
            i++;
    }
    return 0;
}
