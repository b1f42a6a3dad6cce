/* SPDX-License-Identifier: Apache-2.0 */
/*
 * davit-unpack: one run unpacks one layer. Everything that loads files of this machine (locale,
 * OpenSSL) happens before confinement; every byte of the blob is read after it.
 */
#include "base/cleanup.h"
#include "unpack/confine.h"
#include "unpack/options.h"
#include "unpack/source.h"
#include "unpack/tar.h"
#include "unpack/tree.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define EXIT_DONE   0
#define EXIT_FAILED 1
#define EXIT_USAGE  2

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

static int
unpack(const struct dv_unpack_options *options, struct dv_unpack_totals *ret, struct dv_error *err)
{
    dv_autoclose int blob_fd = open(options->blob, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (blob_fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open blob '%s'", options->blob);
    /* Confinement moves the blob to standard input. */
    const struct dv_unpack_source_options source_options = {.fd = STDIN_FILENO,
                                                            .media_type = options->media_type,
                                                            .digest = options->digest,
                                                            .diff_id = options->diff_id,
                                                            .bytes_max = options->limits.bytes_max};
    DV_AUTO(dv_unpack_source) source = NULL;
    int r = dv_unpack_source_new(&source_options, &source, err);
    if (r < 0)
        return r;
    const struct dv_unpack_confine_options confine = {.directory = options->directory,
                                                      .blob_fd = blob_fd,
                                                      .file_bytes_max = options->limits.bytes_max};
    dv_autoclose int root_fd = -1;
    r = dv_unpack_confine(&confine, &root_fd, err);
    blob_fd = -1; /* closed by confinement */
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
