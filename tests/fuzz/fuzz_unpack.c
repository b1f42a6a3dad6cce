/* SPDX-License-Identifier: Apache-2.0 */
/* Blob bytes through decompression and tar reading into a sink that only checks the contract. */
#include "base/cleanup.h"
#include "unpack/name.h"
#include "unpack/source.h"
#include "unpack/tar.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define BYTES_MAX (4U << 20)

static int on_entry(void *ctx, const struct dv_unpack_entry *entry, struct dv_error *err)
{
    (void)ctx;
    (void)err;
    assert(entry->path[0] != '/' && strlen(entry->path) <= DV_UNPACK_NAME_MAX);
    assert(strncmp(entry->path, "../", 3) != 0 && strcmp(entry->path, "..") != 0);
    assert(entry->kind != DV_UNPACK_HARDLINK || entry->target[0] != '/');
    for (size_t i = 0; i < entry->xattr_count; i++)
        assert(strncmp(entry->xattrs[i].name, "trusted.", 8) != 0);
    return 0;
}

static int on_data(void *ctx, uint64_t offset, const void *bytes, size_t len, struct dv_error *err)
{
    (void)ctx;
    (void)bytes;
    (void)err;
    assert(offset + len <= BYTES_MAX);
    return 0;
}

static int on_file_end(void *ctx, struct dv_error *err)
{
    (void)ctx;
    (void)err;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char digest[] =
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    dv_autoclose int fd = memfd_create("blob", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size || lseek(fd, 0, SEEK_SET) != 0)
        return 0;
    const struct dv_unpack_source_options options = {.fd = fd,
                                                     .media_type =
                                                         "application/vnd.oci.image.layer.v1.tar",
                                                     .digest = digest,
                                                     .diff_id = digest,
                                                     .bytes_max = BYTES_MAX};
    DV_AUTO(dv_unpack_source) source = NULL;
    if (dv_unpack_source_new(&options, &source, NULL) < 0)
        return 0;
    const struct dv_unpack_sink sink = {
        .entry = on_entry, .data = on_data, .file_end = on_file_end};
    const struct dv_unpack_limits limits = {.bytes_max = BYTES_MAX,
                                            .entries_max = 10000,
                                            .name_max = DV_UNPACK_NAME_MAX,
                                            .takes_absolute_names = size % 2};
    struct dv_unpack_totals totals;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_unpack_tar_read(source, &sink, &limits, &totals, &err) == 0)
        (void)!dv_unpack_source_finish(source, NULL);
    return 0;
}
