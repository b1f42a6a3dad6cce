/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/tar.h"

#include "base/cleanup.h"
#include "unpack/name.h"
#include "unpack/source.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

struct reader {
    struct dv_unpack_source *source;
    const struct dv_unpack_sink *sink;
    const struct dv_unpack_limits *limits;
    struct archive *archive;
    struct dv_error source_error; /* libarchive cannot carry it */
    struct dv_unpack_totals totals;
    char path[DV_UNPACK_NAME_SIZE];
    char target[DV_UNPACK_NAME_SIZE];
};

static void free_archive(struct archive **archive)
{
    if (*archive)
        archive_read_free(*archive);
}

static la_ssize_t read_source(struct archive *archive, void *ctx, const void **ret_bytes)
{
    struct reader *reader = ctx;
    size_t len = 0;
    if (dv_unpack_source_read(reader->source, ret_bytes, &len, &reader->source_error) < 0) {
        archive_set_error(archive, EIO, "%s", reader->source_error.text);
        return ARCHIVE_FATAL;
    }
    return (la_ssize_t)len;
}

/* The source's own failure explains more than what libarchive makes of it. */
static int archive_failure(struct reader *reader, const char *what, struct dv_error *err)
{
    if (reader->source_error.class != DV_ERR_NONE) {
        if (err)
            *err = reader->source_error;
        return -(int)reader->source_error.class;
    }
    const char *text = archive_error_string(reader->archive);
    return dv_error_set(err, DV_ERR_CORRUPT, "%s: %s", what, text ? text : "damaged tar");
}

static int open_archive(struct reader *reader, struct dv_error *err)
{
    struct archive *archive = reader->archive;
    if (archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_support_format_empty(archive) != ARCHIVE_OK ||
        archive_read_open(archive, reader, NULL, read_source, NULL) != ARCHIVE_OK)
        return archive_failure(reader, "layer", err);
    return 0;
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Overlay would obey its own attributes when it mounts the layer, so a layer may not bring them.
 * security.capability and user.* belong to the file; others (labels, ACLs of another host) have
 * no meaning here and are left out. */
static int
take_xattrs(struct archive_entry *from, struct dv_unpack_entry *entry, struct dv_error *err)
{
    archive_entry_xattr_reset(from);
    const char *name = NULL;
    const void *value = NULL;
    size_t len = 0;
    while (archive_entry_xattr_next(from, &name, &value, &len) == ARCHIVE_OK) {
        if (!name)
            continue;
        if (starts_with(name, "trusted.overlay.") || starts_with(name, "user.overlay."))
            return dv_error_set(err, DV_ERR_INVALID,
                                "attribute '%.128s' of the overlay file system is refused", name);
        if (strcmp(name, "security.capability") != 0 && !starts_with(name, "user."))
            continue;
        if (entry->xattr_count == DV_UNPACK_XATTRS_MAX)
            return dv_error_set(err, DV_ERR_LIMIT, "more than %u extended attributes",
                                DV_UNPACK_XATTRS_MAX);
        if (len > DV_UNPACK_XATTR_BYTES_MAX)
            return dv_error_set(err, DV_ERR_LIMIT,
                                "attribute '%.128s': %zu bytes, at most %u allowed", name, len,
                                DV_UNPACK_XATTR_BYTES_MAX);
        entry->xattrs[entry->xattr_count++] =
            (struct dv_unpack_xattr){.name = name, .value = value, .len = len};
    }
    return 0;
}

static int
take_owner(struct archive_entry *from, struct dv_unpack_entry *entry, struct dv_error *err)
{
    la_int64_t uid = archive_entry_uid(from);
    la_int64_t gid = archive_entry_gid(from);
    /* The largest number means "no change" to chown. */
    if (uid < 0 || uid >= UINT32_MAX || gid < 0 || gid >= UINT32_MAX)
        return dv_error_set(err, DV_ERR_INVALID, "owner %lld:%lld is not in 0..%u", (long long)uid,
                            (long long)gid, UINT32_MAX - 1);
    entry->uid = (uid_t)uid;
    entry->gid = (gid_t)gid;
    return 0;
}

static int
take_node(struct archive_entry *from, struct dv_unpack_entry *entry, struct dv_error *err)
{
    mode_t type = archive_entry_filetype(from);
    entry->kind = DV_UNPACK_NODE;
    entry->mode |= type;
    if (type == AE_IFIFO)
        return 0;
    entry->device =
        makedev((unsigned)archive_entry_rdevmajor(from), (unsigned)archive_entry_rdevminor(from));
    if (type == AE_IFCHR && entry->device == 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "character device 0:0 is the mark of a deleted file and is refused");
    return 0;
}

static int take_file(struct reader *reader,
                     struct archive_entry *from,
                     struct dv_unpack_entry *entry,
                     struct dv_error *err)
{
    la_int64_t size = archive_entry_size(from);
    entry->kind = DV_UNPACK_FILE;
    if (size < 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "size %lld", (long long)size);
    if ((uint64_t)size > reader->limits->bytes_max - reader->totals.bytes)
        return dv_error_set(err, DV_ERR_LIMIT, "files of the layer exceed %llu bytes",
                            (unsigned long long)reader->limits->bytes_max);
    entry->size = (uint64_t)size;
    reader->totals.bytes += entry->size;
    return 0;
}

static int take_link(struct reader *reader,
                     const char *target,
                     struct dv_unpack_entry *entry,
                     struct dv_error *err)
{
    /* Some builders write it with a slash in front; it is looked up below the root in any case. */
    int r = dv_unpack_name_clean(target, reader->limits->name_max, true, "hard link target",
                                 reader->target, err);
    if (r < 0)
        return r;
    entry->kind = DV_UNPACK_HARDLINK;
    entry->target = reader->target;
    return 0;
}

static int take_symlink(struct reader *reader,
                        struct archive_entry *from,
                        struct dv_unpack_entry *entry,
                        struct dv_error *err)
{
    const char *text = archive_entry_symlink(from);
    if (!text || !*text)
        return dv_error_set(err, DV_ERR_INVALID, "symbolic link without a target");
    if (strlen(text) > reader->limits->name_max || strlen(text) > DV_UNPACK_NAME_MAX)
        return dv_error_set(err, DV_ERR_LIMIT,
                            "symbolic link target of %zu bytes, at most %zu allowed", strlen(text),
                            reader->limits->name_max);
    entry->kind = DV_UNPACK_SYMLINK;
    entry->target = text;
    return 0;
}

static int take_kind(struct reader *reader,
                     struct archive_entry *from,
                     struct dv_unpack_entry *entry,
                     struct dv_error *err)
{
    const char *hardlink = archive_entry_hardlink(from);
    if (hardlink)
        return take_link(reader, hardlink, entry, err);
    switch (archive_entry_filetype(from)) {
    case AE_IFREG:
        return take_file(reader, from, entry, err);
    case AE_IFDIR:
        entry->kind = DV_UNPACK_DIRECTORY;
        return 0;
    case AE_IFLNK:
        return take_symlink(reader, from, entry, err);
    case AE_IFCHR:
    case AE_IFBLK:
    case AE_IFIFO:
        return take_node(from, entry, err);
    default:
        return dv_error_set(err, DV_ERR_INVALID, "file type 0%o is refused",
                            (unsigned)archive_entry_filetype(from));
    }
}

static int fill_entry(struct reader *reader,
                      struct archive_entry *from,
                      struct dv_unpack_entry *entry,
                      struct dv_error *err)
{
    entry->path = reader->path;
    entry->mode = archive_entry_perm(from) & 07777U;
    if (archive_entry_mtime_is_set(from))
        entry->mtime = (struct timespec){archive_entry_mtime(from), archive_entry_mtime_nsec(from)};
    int r = take_owner(from, entry, err);
    if (r == 0)
        r = take_xattrs(from, entry, err);
    if (r == 0)
        r = take_kind(reader, from, entry, err);
    if (r == 0 && *entry->path == '\0' && entry->kind != DV_UNPACK_DIRECTORY)
        r = dv_error_set(err, DV_ERR_INVALID, "the layer's root must be a directory");
    return r;
}

static int
copy_data(struct reader *reader, const struct dv_unpack_entry *entry, struct dv_error *err)
{
    const void *bytes = NULL;
    size_t len = 0;
    la_int64_t offset = 0;
    for (;;) {
        int code = archive_read_data_block(reader->archive, &bytes, &len, &offset);
        if (code == ARCHIVE_EOF)
            break;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return archive_failure(reader, "data", err);
        if (offset < 0 || (uint64_t)offset > entry->size || len > entry->size - (uint64_t)offset)
            return dv_error_set(err, DV_ERR_CORRUPT, "data beyond its size of %llu bytes",
                                (unsigned long long)entry->size);
        if (len == 0)
            continue;
        int r = reader->sink->data(reader->sink->ctx, (uint64_t)offset, bytes, len, err);
        if (r < 0)
            return r;
    }
    return reader->sink->file_end(reader->sink->ctx, err);
}

static int take_entry(struct reader *reader, struct archive_entry *from, struct dv_error *err)
{
    if (reader->totals.entries == reader->limits->entries_max)
        return dv_error_set(err, DV_ERR_LIMIT, "layer: more than %llu entries",
                            (unsigned long long)reader->limits->entries_max);
    reader->totals.entries++;
    const char *name = archive_entry_pathname(from);
    if (!name)
        return dv_error_set(err, DV_ERR_CORRUPT, "entry %llu has no name",
                            (unsigned long long)reader->totals.entries);
    int r = dv_unpack_name_clean(name, reader->limits->name_max,
                                 reader->limits->takes_absolute_names, "entry", reader->path, err);
    if (r < 0)
        return r;
    struct dv_unpack_entry entry = {0};
    r = fill_entry(reader, from, &entry, err);
    if (r == 0)
        r = reader->sink->entry(reader->sink->ctx, &entry, err);
    if (r == 0 && entry.kind == DV_UNPACK_FILE)
        r = copy_data(reader, &entry, err);
    if (r < 0 && err)
        (void)dv_error_prefix(err, "entry '%.256s': ", name);
    return r;
}

int dv_unpack_tar_read(struct dv_unpack_source *source,
                       const struct dv_unpack_sink *sink,
                       const struct dv_unpack_limits *limits,
                       struct dv_unpack_totals *ret,
                       struct dv_error *err)
{
    struct reader reader = {
        .source = source, .sink = sink, .limits = limits, .source_error = DV_ERROR_INIT};
    __attribute__((cleanup(free_archive))) struct archive *archive = archive_read_new();
    if (!archive)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "layer: out of memory");
    reader.archive = archive;
    int r = open_archive(&reader, err);
    while (r == 0) {
        struct archive_entry *from = NULL;
        int code = archive_read_next_header(archive, &from);
        if (code == ARCHIVE_EOF)
            break;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return archive_failure(&reader, "layer", err);
        r = take_entry(&reader, from, err);
    }
    if (r == 0)
        *ret = reader.totals;
    return r;
}
