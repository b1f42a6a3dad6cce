/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/tree.h"

#include "base/buf.h"
#include "unpack/name.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#define OPAQUE_XATTR "trusted.overlay.opaque"

struct dv_unpack_tree {
    int root_fd;
    struct dv_unpack_sink sink;
    struct dv_buf deferred;      /* struct stamp, then the path with its NUL, again and again */
    uint64_t written;            /* end of the data in file_fd */
    struct dv_unpack_entry file; /* of file_fd; borrows until its end */
    int file_fd;
    int parent_fd; /* of parent_path, kept for entries beside each other; -1 none */
    char parent_path[DV_UNPACK_NAME_SIZE];
};

struct stamp {
    struct timespec mtime;
    size_t path_len;
};

/* glibc has no wrapper. */
static int open_in_root(const struct dv_unpack_tree *tree, const char *path, unsigned flags)
{
    struct open_how how = {.flags = flags | O_CLOEXEC,
                           .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
    return (int)syscall(SYS_openat2, tree->root_fd, *path ? path : ".", &how, sizeof(how));
}

static int open_directory(const struct dv_unpack_tree *tree, const char *path)
{
    return open_in_root(tree, path, O_RDONLY | O_DIRECTORY);
}

static bool is_whiteout(const struct stat *st)
{
    return S_ISCHR(st->st_mode) && st->st_rdev == 0;
}

static int set_opaque(int dir_fd, const char *path, struct dv_error *err)
{
    if (fsetxattr(dir_fd, OPAQUE_XATTR, "y", 1, 0) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set %s on '%s'", OPAQUE_XATTR, path);
    return 0;
}

/* Makes one directory below `parent_fd`. Where the layer has already hidden that name, the new
 * directory must not show what lower layers have in theirs. */
static int make_directory(int parent_fd, const char *name, mode_t mode, struct dv_error *err)
{
    struct stat st;
    bool was_whiteout = fstatat(parent_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && is_whiteout(&st);
    if (was_whiteout && unlinkat(parent_fd, name, 0) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "replace the whiteout of '%s'", name);
    if (mkdirat(parent_fd, name, mode) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make directory '%s'", name);
    if (!was_whiteout)
        return 0;
    dv_autoclose int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open directory '%s'", name);
    return set_opaque(fd, name, err);
}

/* Opens the directory `path`, making what is missing of it (tars may leave parents out). */
static int
make_parents(struct dv_unpack_tree *tree, const char *path, int *ret_fd, struct dv_error *err)
{
    char part[DV_UNPACK_NAME_SIZE];
    dv_autoclose int above = open_directory(tree, "");
    if (above < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open the layer's root");
    for (const char *end = path; *end;) {
        const char *start = *end == '/' ? end + 1 : end;
        end = start + strcspn(start, "/");
        memcpy(part, path, (size_t)(end - path));
        part[end - path] = '\0';
        int fd = open_directory(tree, part);
        if (fd < 0 && (errno == ENOENT || errno == ENOTDIR)) {
            struct dv_error cause = DV_ERROR_INIT;
            int r = make_directory(above, part + (start - path), 0755, &cause);
            if (r < 0)
                return dv_error_set(err, cause.class,
                                    "parent '%.256s' is not a directory and cannot be made: %s",
                                    part, cause.text);
            fd = open_directory(tree, part);
        }
        if (fd < 0)
            return dv_error_sys(err, DV_ERR_INVALID, errno, "open parent directory '%.256s'", part);
        dv_close(&above);
        above = fd;
    }
    *ret_fd = dv_steal_fd(&above);
    return 0;
}

/* Leaves in tree->parent_fd the directory that holds `path`. */
static int enter_parent(struct dv_unpack_tree *tree,
                        const char *path,
                        const char **ret_base,
                        struct dv_error *err)
{
    size_t len = 0;
    *ret_base = dv_unpack_name_base(path, &len);
    if (tree->parent_fd >= 0 && strncmp(tree->parent_path, path, len) == 0 &&
        tree->parent_path[len] == '\0')
        return 0;
    dv_close(&tree->parent_fd);
    memcpy(tree->parent_path, path, len);
    tree->parent_path[len] = '\0';
    tree->parent_fd = open_directory(tree, tree->parent_path);
    if (tree->parent_fd >= 0)
        return 0;
    return make_parents(tree, tree->parent_path, &tree->parent_fd, err);
}

/* Removes what has the name of an entry to come. */
static int clear_name(struct dv_unpack_tree *tree, const char *base, struct dv_error *err)
{
    struct stat st;
    if (fstatat(tree->parent_fd, base, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno == ENOENT)
            return 0;
        return dv_error_sys(err, DV_ERR_IO, errno, "look at '%.256s'", base);
    }
    if (unlinkat(tree->parent_fd, base, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0) < 0) {
        if (errno == ENOTEMPTY || errno == EEXIST)
            return dv_error_set(err, DV_ERR_INVALID,
                                "it would replace a directory of this layer that is not empty");
        return dv_error_sys(err, DV_ERR_IO, errno, "replace '%.256s'", base);
    }
    return 0;
}

static int set_xattrs(int fd, const struct dv_unpack_entry *entry, struct dv_error *err)
{
    for (size_t i = 0; i < entry->xattr_count; i++) {
        const struct dv_unpack_xattr *xattr = &entry->xattrs[i];
        if (fsetxattr(fd, xattr->name, xattr->value, xattr->len, 0) < 0)
            return dv_error_sys(err, DV_ERR_FAILED, errno, "set attribute '%.128s'", xattr->name);
    }
    return 0;
}

/* Owner first: chown clears setuid bits and capabilities. */
static int set_attributes(int fd, const struct dv_unpack_entry *entry, struct dv_error *err)
{
    if (fchown(fd, entry->uid, entry->gid) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set owner %u:%u", entry->uid, entry->gid);
    if (fchmod(fd, entry->mode & 07777U) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set mode 0%o", (unsigned)entry->mode);
    return set_xattrs(fd, entry, err);
}

static int add_file(struct dv_unpack_tree *tree,
                    const struct dv_unpack_entry *entry,
                    const char *base,
                    struct dv_error *err)
{
    int r = clear_name(tree, base, err);
    if (r < 0)
        return r;
    dv_autoclose int fd =
        openat(tree->parent_fd, base, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make file");
    tree->file = *entry;
    tree->written = 0;
    tree->file_fd = dv_steal_fd(&fd);
    return 0;
}

static int put_off_stamp(struct dv_unpack_tree *tree,
                         const struct dv_unpack_entry *entry,
                         struct dv_error *err)
{
    struct stamp stamp = {entry->mtime, strlen(entry->path)};
    int r = dv_buf_append(&tree->deferred, &stamp, sizeof(stamp), err);
    if (r == 0)
        r = dv_buf_append(&tree->deferred, entry->path, stamp.path_len + 1, err);
    return r;
}

static int add_directory(struct dv_unpack_tree *tree,
                         const struct dv_unpack_entry *entry,
                         struct dv_error *err)
{
    dv_autoclose int fd = -1;
    if (*entry->path == '\0') {
        fd = open_directory(tree, "");
    } else {
        const char *base = NULL;
        int r = enter_parent(tree, entry->path, &base, err);
        if (r < 0)
            return r;
        struct stat st;
        bool is_there = fstatat(tree->parent_fd, base, &st, AT_SYMLINK_NOFOLLOW) == 0;
        if (is_there && !S_ISDIR(st.st_mode) && !is_whiteout(&st)) {
            r = clear_name(tree, base, err);
            is_there = false;
        }
        if (r == 0 && !(is_there && S_ISDIR(st.st_mode)))
            r = make_directory(tree->parent_fd, base, 0700, err);
        if (r < 0)
            return r;
        fd = openat(tree->parent_fd, base, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    }
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open directory");
    int r = set_attributes(fd, entry, err);
    return r < 0 ? r : put_off_stamp(tree, entry, err);
}

static int stamp_link(struct dv_unpack_tree *tree,
                      const struct dv_unpack_entry *entry,
                      const char *base,
                      struct dv_error *err)
{
    const struct timespec times[] = {entry->mtime, entry->mtime};
    if (fchownat(tree->parent_fd, base, entry->uid, entry->gid, AT_SYMLINK_NOFOLLOW) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set owner %u:%u", entry->uid, entry->gid);
    if (utimensat(tree->parent_fd, base, times, AT_SYMLINK_NOFOLLOW) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set time stamp");
    return 0;
}

static int add_symlink(struct dv_unpack_tree *tree,
                       const struct dv_unpack_entry *entry,
                       const char *base,
                       struct dv_error *err)
{
    if (symlinkat(entry->target, tree->parent_fd, base) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make symbolic link");
    return stamp_link(tree, entry, base, err);
}

static int add_node(struct dv_unpack_tree *tree,
                    const struct dv_unpack_entry *entry,
                    const char *base,
                    struct dv_error *err)
{
    if (mknodat(tree->parent_fd, base, (entry->mode & S_IFMT) | 0600, entry->device) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make device node or fifo");
    int r = stamp_link(tree, entry, base, err);
    if (r < 0)
        return r;
    /* Nothing but this process writes here, and it has just made the node: no link is followed. */
    if (fchmodat(tree->parent_fd, base, entry->mode & 07777U, 0) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set mode 0%o", (unsigned)entry->mode);
    return 0;
}

static int add_hardlink(struct dv_unpack_tree *tree,
                        const struct dv_unpack_entry *entry,
                        const char *base,
                        struct dv_error *err)
{
    char parent[DV_UNPACK_NAME_SIZE];
    size_t len = 0;
    const char *target = dv_unpack_name_base(entry->target, &len);
    memcpy(parent, entry->target, len);
    parent[len] = '\0';
    dv_autoclose int parent_fd = open_directory(tree, parent);
    struct stat st;
    if (parent_fd < 0 || !*target || fstatat(parent_fd, target, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "hard link to '%.256s', which this layer does not have before it",
                            entry->target);
    if (S_ISDIR(st.st_mode) || is_whiteout(&st))
        return dv_error_set(err, DV_ERR_INVALID,
                            "hard link to '%.256s', which is a directory or a whiteout",
                            entry->target);
    struct stat here;
    if (fstatat(tree->parent_fd, base, &here, AT_SYMLINK_NOFOLLOW) == 0 &&
        here.st_ino == st.st_ino && here.st_dev == st.st_dev)
        return 0;
    int r = clear_name(tree, base, err);
    if (r < 0)
        return r;
    if (linkat(parent_fd, target, tree->parent_fd, base, 0) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make hard link to '%.256s'", entry->target);
    return 0;
}

/* Lower layers lose `hidden`. If this layer has already brought a directory of that name, the
 * directory hides them; anything else it brought hides them anyway. */
static int add_whiteout(struct dv_unpack_tree *tree, const char *hidden, struct dv_error *err)
{
    struct stat st;
    if (fstatat(tree->parent_fd, hidden, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        if (errno != ENOENT)
            return dv_error_sys(err, DV_ERR_IO, errno, "look at '%.256s'", hidden);
        if (mknodat(tree->parent_fd, hidden, S_IFCHR, 0) < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "make the whiteout of '%.256s'", hidden);
        return 0;
    }
    if (!S_ISDIR(st.st_mode))
        return 0;
    dv_autoclose int fd =
        openat(tree->parent_fd, hidden, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open directory '%.256s'", hidden);
    return set_opaque(fd, hidden, err);
}

static int add_other(struct dv_unpack_tree *tree,
                     const struct dv_unpack_entry *entry,
                     const char *base,
                     struct dv_error *err)
{
    if (entry->kind == DV_UNPACK_FILE)
        return add_file(tree, entry, base, err);
    if (entry->kind == DV_UNPACK_HARDLINK)
        return add_hardlink(tree, entry, base, err);
    int r = clear_name(tree, base, err);
    if (r < 0)
        return r;
    return entry->kind == DV_UNPACK_SYMLINK ? add_symlink(tree, entry, base, err)
                                            : add_node(tree, entry, base, err);
}

static int on_entry(void *ctx, const struct dv_unpack_entry *entry, struct dv_error *err)
{
    struct dv_unpack_tree *tree = ctx;
    enum dv_unpack_whiteout whiteout = DV_UNPACK_PLAIN;
    const char *hidden = NULL;
    size_t parent_len = 0;
    int r = dv_unpack_name_whiteout(dv_unpack_name_base(entry->path, &parent_len), &whiteout,
                                    &hidden, err);
    if (r < 0)
        return r;
    if (whiteout == DV_UNPACK_AUFS)
        return 0;
    if (whiteout == DV_UNPACK_PLAIN && entry->kind == DV_UNPACK_DIRECTORY)
        return add_directory(tree, entry, err);
    const char *base = NULL;
    r = enter_parent(tree, entry->path, &base, err);
    if (r < 0)
        return r;
    if (whiteout == DV_UNPACK_OPAQUE)
        return set_opaque(tree->parent_fd, tree->parent_path, err);
    if (whiteout == DV_UNPACK_WHITEOUT)
        return add_whiteout(tree, hidden, err);
    return add_other(tree, entry, base, err);
}

static int on_data(void *ctx, uint64_t offset, const void *bytes, size_t len, struct dv_error *err)
{
    struct dv_unpack_tree *tree = ctx;
    const char *from = bytes;
    /* A whiteout entry may carry a body; it goes nowhere. */
    while (tree->file_fd >= 0 && len > 0) {
        ssize_t put = pwrite(tree->file_fd, from, len, (off_t)offset);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "write");
        from += put;
        offset += (uint64_t)put;
        len -= (size_t)put;
        tree->written = offset;
    }
    return 0;
}

static int on_file_end(void *ctx, struct dv_error *err)
{
    struct dv_unpack_tree *tree = ctx;
    dv_autoclose int fd = dv_steal_fd(&tree->file_fd);
    if (fd < 0)
        return 0;
    const struct timespec times[] = {tree->file.mtime, tree->file.mtime};
    /* A sparse file may end with a hole. */
    if (tree->written != tree->file.size && ftruncate(fd, (off_t)tree->file.size) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "set size %llu",
                            (unsigned long long)tree->file.size);
    /* Last, because a write clears setuid bits and capabilities. */
    int r = set_attributes(fd, &tree->file, err);
    if (r < 0)
        return r;
    if (futimens(fd, times) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set time stamp");
    return 0;
}

int dv_unpack_tree_new(int root_fd, struct dv_unpack_tree **ret, struct dv_error *err)
{
    if (fchmod(root_fd, 0755) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set the mode of the layer's root");
    DV_AUTO(dv_unpack_tree) tree = calloc(1, sizeof(*tree));
    if (!tree)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "layer: out of memory");
    tree->root_fd = root_fd;
    tree->file_fd = -1;
    tree->parent_fd = -1;
    tree->deferred = DV_BUF_INIT(DV_UNPACK_DEFERRED_BYTES_MAX);
    tree->sink = (struct dv_unpack_sink){
        .entry = on_entry, .data = on_data, .file_end = on_file_end, .ctx = tree};
    *ret = dv_steal(&tree);
    return 0;
}

void dv_unpack_tree_free(struct dv_unpack_tree *tree)
{
    if (!tree)
        return;
    dv_close(&tree->file_fd);
    dv_close(&tree->parent_fd);
    dv_buf_done(&tree->deferred);
    free(tree);
}

const struct dv_unpack_sink *dv_unpack_tree_sink(struct dv_unpack_tree *tree)
{
    return &tree->sink;
}

/* A later entry may have replaced the directory; then the stamp has no object any more. */
static int set_stamp(struct dv_unpack_tree *tree,
                     const char *path,
                     struct timespec mtime,
                     struct dv_error *err)
{
    dv_autoclose int fd = open_in_root(tree, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == ELOOP))
        return 0;
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open directory '%.256s'", path);
    const struct timespec times[] = {mtime, mtime};
    if (futimens(fd, times) < 0)
        return dv_error_sys(err, DV_ERR_FAILED, errno, "set time stamp of '%.256s'", path);
    return 0;
}

int dv_unpack_tree_finish(struct dv_unpack_tree *tree, struct dv_error *err)
{
    for (size_t at = 0; at < tree->deferred.len;) {
        struct stamp stamp;
        memcpy(&stamp, tree->deferred.data + at, sizeof(stamp));
        const char *path = tree->deferred.data + at + sizeof(stamp);
        int r = set_stamp(tree, path, stamp.mtime, err);
        if (r < 0)
            return r;
        at += sizeof(stamp) + stamp.path_len + 1;
    }
    if (syncfs(tree->root_fd) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "sync the layer to the disk");
    return 0;
}
