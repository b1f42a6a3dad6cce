/* SPDX-License-Identifier: Apache-2.0 */
/*
 * davit-unpack: one run unpacks one layer. Everything that loads files of this machine (locale,
 * OpenSSL) happens before confinement; every byte of the blob is read after it.
 */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/durable.h"
#include "base/str.h"
#include "unpack/confine.h"
#include "unpack/decrypt/keys.h"
#include "unpack/options.h"
#include "unpack/source.h"
#include "unpack/tar.h"
#include "unpack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <openssl/crypto.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define EXIT_DONE   0
#define EXIT_FAILED 1
#define EXIT_USAGE  2

#define MANIFEST_MAX (4U << 20)

/* Error texts quote names from the archive; a terminal or a log must not obey them. */
static void print_error(const struct dv_error *err)
{
    char line[DV_ERROR_TEXT_MAX + 32];
    int len = snprintf(line, sizeof(line), "davit-unpack: %s\n", err->text);
    for (int i = 0; i < len - 1; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    (void)!write(STDERR_FILENO, line, (size_t)len);
}

static void warn_exposed(const char *spec)
{
    fprintf(stderr, "davit-unpack: key file '%.*s' can be read by others than its owner\n",
            (int)strcspn(spec, ":"), spec);
}

/* All keys of the environment, which is wiped: it would stay as long as the process. */
static int take_keys(struct dv_decrypt_keys *keys, struct dv_error *err)
{
    int r = 0;
    for (char **variable = environ; r == 0 && *variable; variable++) {
        char *value = strchr(*variable, '=');
        bool is_exposed = false;
        if (!value++)
            continue;
        if (dv_str_starts_with(dv_str_of(*variable), DV_UNPACK_KEY_VARIABLE)) {
            r = dv_decrypt_keys_add(keys, value, &is_exposed, err);
            if (is_exposed)
                warn_exposed(value);
            OPENSSL_cleanse(value, strlen(value));
        } else if (dv_str_starts_with(dv_str_of(*variable), DV_UNPACK_RECIPIENT_VARIABLE)) {
            r = dv_decrypt_keys_add_recipient(keys, value, err);
        }
    }
    return r;
}

/* What an encrypted image needs; read before the process is shut in, looked at afterwards. */
struct sealed {
    struct dv_decrypt_keys *keys;
    struct dv_buf manifest;
    struct dv_layer_cipher *cipher;
};

static void sealed_done(struct sealed *sealed)
{
    dv_layer_cipher_free(sealed->cipher);
    dv_decrypt_keys_free(sealed->keys);
    dv_buf_done(&sealed->manifest);
}
DV_DEFINE_CLEANUP_IN_PLACE(sealed, sealed_done)

static int read_sealed(const char *manifest, struct sealed *sealed, struct dv_error *err)
{
    /* Nobody may look into a process that holds keys, and nothing is dumped. */
    (void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    sealed->manifest = DV_BUF_INIT(MANIFEST_MAX);
    int r = dv_decrypt_keys_new(&sealed->keys, err);
    if (r == 0)
        r = take_keys(sealed->keys, err);
    if (r == 0)
        r = dv_file_read(manifest, &sealed->manifest, err);
    if (r < 0)
        return r;
    /* OpenSSL loads what it needs for the cipher as long as it can. */
    static const struct dv_layer_secret nothing;
    DV_AUTO(dv_layer_cipher) unused = NULL;
    return dv_layer_cipher_new(&nothing, &unused, err);
}

static struct dv_str manifest_of(const struct sealed *sealed)
{
    return (struct dv_str){sealed->manifest.data ? sealed->manifest.data : "",
                           sealed->manifest.len};
}

static int open_sealed(struct sealed *sealed,
                       size_t layer,
                       struct dv_unpack_source *source,
                       struct dv_error *err)
{
    struct dv_layer_secret secret;
    bool is_encrypted = false;
    int r = dv_decrypt_layer(sealed->keys, manifest_of(sealed), layer, &is_encrypted, &secret, err);
    if (r == 0 && is_encrypted)
        r = dv_layer_cipher_new(&secret, &sealed->cipher, err);
    OPENSSL_cleanse(&secret, sizeof(secret));
    if (r == 0)
        dv_unpack_source_set_cipher(source, sealed->cipher);
    return r;
}

static int check(const struct dv_unpack_options *options, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(sealed) sealed = {0};
    dv_autoclose int root_fd = -1;
    int r = read_sealed(options->manifest, &sealed, err);
    if (r < 0)
        return r;
    const struct dv_unpack_confine_options confine = {
        .directory = options->directory,
        .blob_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
        .file_bytes_max = options->limits.bytes_max,
        .may_make_threads = dv_decrypt_keys_have_rings(sealed.keys),
    };
    r = dv_unpack_confine(&confine, &root_fd, err);
    return r < 0 ? r : dv_decrypt_check(sealed.keys, manifest_of(&sealed), err);
}

static int
unpack(const struct dv_unpack_options *options, struct dv_unpack_totals *ret, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(sealed) sealed = {0};
    dv_autoclose int blob_fd = open(options->blob, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (blob_fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open blob '%s'", options->blob);
    if (options->manifest) {
        int sealed_r = read_sealed(options->manifest, &sealed, err);
        if (sealed_r < 0)
            return sealed_r;
    }
    /* Confinement moves the blob to standard input. */
    const struct dv_unpack_source_options source_options = {.fd = STDIN_FILENO,
                                                            .media_type = options->media_type,
                                                            .digest = options->digest,
                                                            .diff_id = options->diff_id,
                                                            .bytes_max = options->limits.bytes_max,
                                                            .is_encrypted =
                                                                options->manifest != NULL};
    DV_AUTO(dv_unpack_source) source = NULL;
    int r = dv_unpack_source_new(&source_options, &source, err);
    if (r < 0)
        return r;
    const struct dv_unpack_confine_options confine = {
        .directory = options->directory,
        .blob_fd = blob_fd,
        .file_bytes_max = options->limits.bytes_max,
        .may_make_threads = sealed.keys && dv_decrypt_keys_have_rings(sealed.keys),
    };
    dv_autoclose int root_fd = -1;
    r = dv_unpack_confine(&confine, &root_fd, err);
    blob_fd = -1; /* closed by confinement */
    if (r < 0)
        return r;
    if (options->manifest)
        r = open_sealed(&sealed, options->layer, source, err);
    if (r < 0)
        return r;
    DV_AUTO(dv_unpack_tree) tree = NULL;
    r = dv_unpack_tree_new(root_fd, &tree, err);
    if (r == 0)
        r = dv_unpack_tar_read(source, dv_unpack_tree_sink(tree), &options->limits, ret, err);
    if (r == 0)
        r = dv_unpack_source_finish(source, err);
    if (r == 0)
        r = dv_unpack_tree_finish(tree, err);
    return r;
}

int main(int argc, char *argv[])
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_unpack_options options;
    if (dv_unpack_options_parse(argc, argv, &options, &err) < 0) {
        print_error(&err);
        (void)!write(STDERR_FILENO, dv_unpack_usage, strlen(dv_unpack_usage));
        _exit(EXIT_USAGE);
    }
    if (options.is_help) {
        (void)!write(STDOUT_FILENO, dv_unpack_usage, strlen(dv_unpack_usage));
        _exit(EXIT_DONE);
    }
    if (options.is_check) {
        if (check(&options, &err) == 0)
            _exit(EXIT_DONE);
        print_error(&err);
        _exit(EXIT_FAILED);
    }
    /* libarchive turns the UTF-8 of PAX headers into the locale's characters. */
    (void)setlocale(LC_CTYPE, "C.UTF-8");
    struct dv_unpack_totals totals;
    if (unpack(&options, &totals, &err) < 0) {
        print_error(&err);
        _exit(EXIT_FAILED);
    }
    char line[96];
    int len = snprintf(line, sizeof(line), "{\"entries\":%llu,\"bytes\":%llu}\n",
                       (unsigned long long)totals.entries, (unsigned long long)totals.bytes);
    /* _exit throughout: exit handlers of the libraries make system calls that end the process. */
    _exit(write(STDOUT_FILENO, line, (size_t)len) == len ? EXIT_DONE : EXIT_FAILED);
}
