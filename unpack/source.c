/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/source.h"

#include "unpack/digest.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define IN_SIZE  (64U << 10)
#define OUT_SIZE (256U << 10)

enum form {
    FORM_UNKNOWN, /* nothing read yet */
    FORM_NONE,
    FORM_GZIP,
    FORM_ZSTD,
};

struct dv_unpack_source {
    int fd;
    enum form form;
    bool is_blob_end; /* read() said so */
    bool is_between;  /* at a boundary of gzip members or zstd frames: the blob may end here */
    uint64_t bytes_max;
    uint64_t bytes; /* of the tar so far */
    struct dv_unpack_digest *digest;
    struct dv_unpack_digest *diff_id;
    bool is_encrypted;
    struct dv_layer_cipher *cipher; /* borrowed */
    z_stream gzip;
    bool has_gzip;
    ZSTD_DStream *zstd;
    size_t in_pos; /* first byte of `in` that was not decompressed */
    size_t in_len;
    unsigned char in[IN_SIZE];
    unsigned char out[OUT_SIZE];
};

static const char *const media_types[] = {
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.oci.image.layer.v1.tar+zstd",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
    "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.diff.tar.gzip",
    "application/vnd.docker.image.rootfs.diff.tar.zstd",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
};

/* An encrypted layer has the type of what it decrypts to, with a suffix. */
static bool is_known_media_type(const char *media_type, bool is_encrypted)
{
    static const char suffix[] = "+encrypted";
    size_t len = strlen(media_type);
    if (is_encrypted) {
        size_t cut = sizeof(suffix) - 1;
        if (len < cut || strcmp(media_type + len - cut, suffix) != 0)
            return false;
        len -= cut;
    }
    for (size_t i = 0; i < sizeof(media_types) / sizeof(media_types[0]); i++)
        if (strlen(media_types[i]) == len && memcmp(media_type, media_types[i], len) == 0)
            return true;
    return false;
}

int dv_unpack_source_new(const struct dv_unpack_source_options *options,
                         struct dv_unpack_source **ret,
                         struct dv_error *err)
{
    if (!is_known_media_type(options->media_type, options->is_encrypted))
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "media type '%.160s' is not a layer that can be unpacked (tar, "
                            "tar+gzip or tar+zstd)",
                            options->media_type);
    DV_AUTO(dv_unpack_source) source = calloc(1, sizeof(*source));
    if (!source)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "blob: out of memory");
    source->fd = options->fd;
    source->bytes_max = options->bytes_max;
    source->is_encrypted = options->is_encrypted;
    int r = 0;
    if (options->digest)
        r = dv_unpack_digest_new(options->digest, "blob digest", &source->digest, err);
    if (r == 0 && options->diff_id)
        r = dv_unpack_digest_new(options->diff_id, "diff id", &source->diff_id, err);
    if (r < 0)
        return r;
    *ret = dv_steal(&source);
    return 0;
}

void dv_unpack_source_set_cipher(struct dv_unpack_source *source, struct dv_layer_cipher *cipher)
{
    source->cipher = cipher;
}

void dv_unpack_source_free(struct dv_unpack_source *source)
{
    if (!source)
        return;
    if (source->has_gzip)
        inflateEnd(&source->gzip);
    ZSTD_freeDStream(source->zstd);
    dv_unpack_digest_free(source->digest);
    dv_unpack_digest_free(source->diff_id);
    free(source);
}

static int add(struct dv_unpack_digest *digest, const void *bytes, size_t len, struct dv_error *err)
{
    return digest ? dv_unpack_digest_add(digest, bytes, len, err) : 0;
}

static int decrypt(struct dv_unpack_source *source, void *bytes, size_t len, struct dv_error *err)
{
    if (!source->cipher)
        return dv_error_set(err, DV_ERR_DENIED, "the blob is encrypted and has no key");
    return dv_layer_cipher_decrypt(source->cipher, bytes, len, err);
}

/* Appends blob bytes behind those left in `in`; at the end only is_blob_end changes. */
static int fill(struct dv_unpack_source *source, struct dv_error *err)
{
    memmove(source->in, source->in + source->in_pos, source->in_len - source->in_pos);
    source->in_len -= source->in_pos;
    source->in_pos = 0;
    while (!source->is_blob_end && source->in_len < IN_SIZE) {
        ssize_t got = read(source->fd, source->in + source->in_len, IN_SIZE - source->in_len);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "read the blob");
        if (got == 0) {
            source->is_blob_end = true;
            return 0;
        }
        int r = add(source->digest, source->in + source->in_len, (size_t)got, err);
        if (r == 0 && source->is_encrypted)
            r = decrypt(source, source->in + source->in_len, (size_t)got, err);
        if (r < 0)
            return r;
        source->in_len += (size_t)got;
    }
    return 0;
}

/* Decides by the first bytes and makes the decompressor. */
static int detect(struct dv_unpack_source *source, struct dv_error *err)
{
    static const unsigned char gzip_magic[] = {0x1f, 0x8b};
    static const unsigned char zstd_magic[] = {0x28, 0xb5, 0x2f, 0xfd};
    /* A zstd file may begin with a skippable frame: 0x184D2A50 to 0x184D2A5F, little endian. */
    static const unsigned char skippable_magic[] = {0x2a, 0x4d, 0x18};
    source->is_between = true;
    source->form = FORM_NONE;
    if (source->in_len >= sizeof(gzip_magic) &&
        memcmp(source->in, gzip_magic, sizeof(gzip_magic)) == 0)
        source->form = FORM_GZIP;
    else if (source->in_len >= sizeof(zstd_magic) &&
             (memcmp(source->in, zstd_magic, sizeof(zstd_magic)) == 0 ||
              ((source->in[0] & 0xf0U) == 0x50U &&
               memcmp(source->in + 1, skippable_magic, sizeof(skippable_magic)) == 0)))
        source->form = FORM_ZSTD;
    if (source->form == FORM_GZIP) {
        if (inflateInit2(&source->gzip, MAX_WBITS + 16) != Z_OK)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "gzip: out of memory");
        source->has_gzip = true;
    }
    if (source->form == FORM_ZSTD) {
        source->zstd = ZSTD_createDStream();
        if (!source->zstd || ZSTD_isError(ZSTD_DCtx_setParameter(source->zstd, ZSTD_d_windowLogMax,
                                                                 DV_UNPACK_ZSTD_WINDOW_LOG_MAX)))
            return dv_error_set(err, DV_ERR_NO_MEMORY, "zstd: out of memory");
    }
    return 0;
}

/* One step of a decompressor: consumes from `in`, writes up to OUT_SIZE bytes to `out`. */
static int inflate_step(struct dv_unpack_source *source, size_t *ret_len, struct dv_error *err)
{
    z_stream *gzip = &source->gzip;
    if (source->is_between && inflateReset(gzip) != Z_OK)
        return dv_error_set(err, DV_ERR_INTERNAL, "gzip: the decompressor cannot be reset");
    gzip->next_in = source->in + source->in_pos;
    gzip->avail_in = (uInt)(source->in_len - source->in_pos);
    gzip->next_out = source->out;
    gzip->avail_out = OUT_SIZE;
    int code = inflate(gzip, Z_NO_FLUSH);
    if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
        return dv_error_set(err, DV_ERR_CORRUPT, "blob: damaged gzip data (%s)",
                            gzip->msg ? gzip->msg : "no detail");
    source->in_pos = source->in_len - gzip->avail_in;
    source->is_between = code == Z_STREAM_END;
    *ret_len = OUT_SIZE - gzip->avail_out;
    return 0;
}

static int zstd_step(struct dv_unpack_source *source, size_t *ret_len, struct dv_error *err)
{
    ZSTD_inBuffer in = {source->in, source->in_len, source->in_pos};
    ZSTD_outBuffer out = {source->out, OUT_SIZE, 0};
    size_t code = ZSTD_decompressStream(source->zstd, &out, &in);
    if (ZSTD_isError(code))
        return dv_error_set(err, DV_ERR_CORRUPT, "blob: damaged zstd data (%s)",
                            ZSTD_getErrorName(code));
    source->in_pos = in.pos;
    source->is_between = code == 0;
    *ret_len = out.pos;
    return 0;
}

static int step(struct dv_unpack_source *source, size_t *ret_len, struct dv_error *err)
{
    if (source->form == FORM_GZIP)
        return inflate_step(source, ret_len, err);
    if (source->form == FORM_ZSTD)
        return zstd_step(source, ret_len, err);
    size_t len = source->in_len - source->in_pos;
    memcpy(source->out, source->in + source->in_pos, len);
    source->in_pos = source->in_len;
    *ret_len = len;
    return 0;
}

/* The next bytes in `out`, without counting them. */
static int produce(struct dv_unpack_source *source, size_t *ret_len, struct dv_error *err)
{
    for (;;) {
        if (source->in_pos == source->in_len) {
            int r = fill(source, err);
            if (r < 0)
                return r;
            if (source->form == FORM_UNKNOWN && (r = detect(source, err)) < 0)
                return r;
        }
        bool has_input = source->in_pos < source->in_len;
        if (!has_input && source->is_between) {
            *ret_len = 0;
            return 0;
        }
        size_t len = 0;
        int r = step(source, &len, err);
        if (r < 0)
            return r;
        if (len > 0) {
            *ret_len = len;
            return 0;
        }
        if (!has_input && !source->is_between)
            return dv_error_set(err, DV_ERR_CORRUPT, "blob: the compressed data ends too early");
    }
}

int dv_unpack_source_read(struct dv_unpack_source *source,
                          const void **ret_bytes,
                          size_t *ret_len,
                          struct dv_error *err)
{
    size_t len = 0;
    int r = produce(source, &len, err);
    if (r < 0)
        return r;
    if (len > source->bytes_max - source->bytes)
        return dv_error_set(err, DV_ERR_LIMIT, "layer: more than %llu bytes when decompressed",
                            (unsigned long long)source->bytes_max);
    source->bytes += len;
    r = add(source->diff_id, source->out, len, err);
    if (r < 0)
        return r;
    *ret_bytes = source->out;
    *ret_len = len;
    return 0;
}

int dv_unpack_source_finish(struct dv_unpack_source *source, struct dv_error *err)
{
    const void *bytes = NULL;
    size_t len = 0;
    do {
        int r = dv_unpack_source_read(source, &bytes, &len, err);
        if (r < 0)
            return r;
    } while (len > 0);
    int r = source->digest ? dv_unpack_digest_verify(source->digest, err) : 0;
    if (r == 0 && source->cipher)
        r = dv_layer_cipher_finish(source->cipher, err);
    return r < 0 || !source->diff_id ? r : dv_unpack_digest_verify(source->diff_id, err);
}
