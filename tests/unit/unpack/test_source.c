/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"
#include "unpack/digest.h"
#include "unpack/source.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define MEDIA_TYPE "application/vnd.oci.image.layer.v1.tar+gzip"
#define BYTES_MAX  (8U << 20)

static int read_all(const struct dv_buf *blob,
                    const struct dv_buf *tar,
                    uint64_t bytes_max,
                    struct dv_buf *out,
                    struct dv_error *err)
{
    char digest[80];
    char diff_id[80];
    digest_of(blob, digest);
    digest_of(tar, diff_id);
    dv_autoclose int fd = memfd_create("blob", MFD_CLOEXEC);
    cr_assert_eq(write(fd, blob->data, blob->len), (ssize_t)blob->len);
    cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
    const struct dv_unpack_source_options options = {.fd = fd,
                                                     .media_type = MEDIA_TYPE,
                                                     .digest = digest,
                                                     .diff_id = diff_id,
                                                     .bytes_max = bytes_max};
    DV_AUTO(dv_unpack_source) source = NULL;
    cr_assert_eq(dv_unpack_source_new(&options, &source, err), 0);
    for (;;) {
        const void *bytes = NULL;
        size_t len = 0;
        int r = dv_unpack_source_read(source, &bytes, &len, err);
        if (r < 0)
            return r;
        if (len == 0)
            return dv_unpack_source_finish(source, err);
        cr_assert_eq(dv_buf_append(out, bytes, len, NULL), 0);
    }
}

/* Pattern that compresses, but not to nothing. */
static void fill(struct dv_buf *buf, size_t len)
{
    unsigned value = 1;
    while (buf->len < len) {
        value = value * 1664525U + 1013904223U;
        char bytes[16];
        memset(bytes, (int)(value >> 24U), sizeof(bytes));
        cr_assert_eq(dv_buf_append(buf, bytes, sizeof(bytes), NULL), 0);
    }
}

static void expect_same(const struct dv_buf *blob, const struct dv_buf *tar)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(BYTES_MAX);
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(read_all(blob, tar, BYTES_MAX, &out, &err), 0, "%s", err.text);
    cr_expect_eq(out.len, tar->len);
    cr_expect(out.len == 0 || memcmp(out.data, tar->data, out.len) == 0);
}

Test(unpack_source, every_compression_gives_the_same_bytes)
{
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) gzip = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) zstd = DV_BUF_INIT(BYTES_MAX);
    fill(&tar, 3000000);
    gzip_bytes(&gzip, tar.data, tar.len);
    zstd_bytes(&zstd, tar.data, tar.len);
    expect_same(&tar, &tar);
    expect_same(&gzip, &tar);
    expect_same(&zstd, &tar);
}

Test(unpack_source, members_and_frames_are_concatenated)
{
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) gzip = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) zstd = DV_BUF_INIT(BYTES_MAX);
    fill(&tar, 400000);
    gzip_bytes(&gzip, tar.data, 100000);
    gzip_bytes(&gzip, tar.data + 100000, 0);
    gzip_bytes(&gzip, tar.data + 100000, 300000);
    cr_assert_eq(dv_buf_append(&zstd, "\x50\x2a\x4d\x18\x04\x00\x00\x00skip", 12, NULL), 0);
    zstd_bytes(&zstd, tar.data, 100000);
    zstd_bytes(&zstd, tar.data + 100000, 300000);
    expect_same(&gzip, &tar);
    expect_same(&zstd, &tar);
}

Test(unpack_source, truncated_data_is_refused_at_every_length)
{
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(BYTES_MAX);
    fill(&tar, 2000);
    for (int form = 0; form < 2; form++) {
        DV_AUTO_IN_PLACE(dv_buf) whole = DV_BUF_INIT(BYTES_MAX);
        if (form == 0)
            gzip_bytes(&whole, tar.data, tar.len);
        else
            zstd_bytes(&whole, tar.data, tar.len);
        for (size_t len = 4; len < whole.len; len++) {
            DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(BYTES_MAX);
            struct dv_buf cut = {.data = whole.data, .len = len};
            cr_expect_eq(read_all(&cut, &tar, BYTES_MAX, &out, NULL), -DV_ERR_CORRUPT,
                         "form %d cut at %zu", form, len);
        }
    }
}

Test(unpack_source, bytes_behind_a_member_are_refused)
{
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) blob = DV_BUF_INIT(BYTES_MAX);
    fill(&tar, 2000);
    gzip_bytes(&blob, tar.data, tar.len);
    cr_assert_eq(dv_buf_append_str(&blob, "garbage", NULL), 0);
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(read_all(&blob, &tar, BYTES_MAX, &out, &err), -DV_ERR_CORRUPT);
    cr_expect(strstr(err.text, "damaged gzip") != NULL, "%s", err.text);
}

Test(unpack_source, bombs_end_at_the_limit)
{
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(BYTES_MAX);
    char *room = NULL;
    cr_assert_eq(dv_buf_reserve(&tar, 4U << 20, &room, NULL), 0);
    memset(room, 0, 4U << 20);
    tar.len = 4U << 20;
    for (int form = 0; form < 2; form++) {
        DV_AUTO_IN_PLACE(dv_buf) blob = DV_BUF_INIT(BYTES_MAX);
        DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(BYTES_MAX);
        if (form == 0)
            gzip_bytes(&blob, tar.data, tar.len);
        else
            zstd_bytes(&blob, tar.data, tar.len);
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(read_all(&blob, &tar, 1U << 20, &out, &err), -DV_ERR_LIMIT);
        cr_expect(out.len <= 1U << 20);
        cr_expect(strstr(err.text, "1048576") != NULL, "%s", err.text);
    }
}

Test(unpack_source, digests_are_told_apart)
{
    DV_AUTO_IN_PLACE(dv_buf) tar = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) other = DV_BUF_INIT(BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(BYTES_MAX);
    fill(&tar, 100);
    fill(&other, 200);
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(read_all(&tar, &other, BYTES_MAX, &out, &err), -DV_ERR_CORRUPT);
    cr_expect(strstr(err.text, "diff id is sha256:") != NULL, "%s", err.text);
}

Test(unpack_source, malformed_digests_and_media_types_are_refused)
{
    static const char *const digests[] = {
        "",
        "sha256",
        "sha256:",
        "sha256:12",
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha256:E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855",
        "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 ",
    };
    for (size_t i = 0; i < sizeof(digests) / sizeof(digests[0]); i++) {
        DV_AUTO(dv_unpack_digest) digest = NULL;
        cr_expect_eq(dv_unpack_digest_new(digests[i], "diff id", &digest, NULL), -DV_ERR_INVALID,
                     "'%s'", digests[i]);
    }
    DV_AUTO(dv_unpack_source) source = NULL;
    const struct dv_unpack_source_options options = {
        .media_type = "application/vnd.oci.image.layer.v1.tar+gzip+encrypted"};
    struct dv_error err = DV_ERROR_INIT;
    cr_expect_eq(dv_unpack_source_new(&options, &source, &err), -DV_ERR_UNSUPPORTED);
    cr_expect(strstr(err.text, "+encrypted") != NULL);
}
