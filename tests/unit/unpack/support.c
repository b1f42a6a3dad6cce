/* SPDX-License-Identifier: Apache-2.0 */
#include "support.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <openssl/evp.h>
#include <poll.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define BLOCK          512
#define ARGUMENTS_MAX  32
#define RUN_TIMEOUT_MS 30000
#define CANARY         "canary"

extern char **environ;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static void write_file(const char *path, const void *bytes, size_t len)
{
    dv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    cr_assert(fd >= 0, "%s: %s", path, strerror(errno));
    cr_assert_eq(write(fd, bytes, len), (ssize_t)len);
}

void place_init(struct place *place)
{
    snprintf(place->base, sizeof(place->base), "/tmp/davit-test-unpack-XXXXXX");
    cr_assert(mkdtemp(place->base) != NULL);
    snprintf(place->dir, sizeof(place->dir), "%s/dir", place->base);
    cr_assert_eq(mkdir(place->dir, 0700), 0);
    char path[128];
    snprintf(path, sizeof(path), "%s/" CANARY, place->base);
    write_file(path, CANARY, strlen(CANARY));
}

void place_done(struct place *place)
{
    if (place->base[0])
        nftw(place->base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void place_renew(struct place *place)
{
    nftw(place->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    cr_assert_eq(mkdir(place->dir, 0700), 0);
}

static void append(struct dv_buf *buf, const void *bytes, size_t len)
{
    cr_assert_eq(dv_buf_append(buf, bytes, len, NULL), 0);
}

static void pad(struct dv_buf *tar)
{
    static const char zeros[BLOCK];
    append(tar, zeros, (BLOCK - tar->len % BLOCK) % BLOCK);
}

/* Octal digits without a NUL behind them are allowed in every numeric field. */
static void put_number(char *field, size_t size, unsigned long long value)
{
    char text[32];
    snprintf(text, sizeof(text), "%0*llo", (int)size - 1, value);
    memcpy(field, text, size - 1);
}

static void put_header(struct dv_buf *tar, const struct header *h, size_t size)
{
    char block[BLOCK] = {0};
    memcpy(block, h->name, strnlen(h->name, 100));
    put_number(block + 100, 8, h->mode ? h->mode : 0644);
    put_number(block + 108, 8, h->uid);
    put_number(block + 116, 8, h->gid);
    put_number(block + 124, 12, size);
    put_number(block + 136, 12, (unsigned long long)h->mtime);
    memset(block + 148, ' ', 8);
    block[156] = h->type;
    if (h->link)
        memcpy(block + 157, h->link, strnlen(h->link, 100));
    memcpy(block + 257, "ustar\00000", 8);
    put_number(block + 329, 8, h->major);
    put_number(block + 337, 8, h->minor);
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += (unsigned char)block[i];
    put_number(block + 148, 7, sum);
    append(tar, block, BLOCK);
}

void tar_add(struct dv_buf *tar, const struct header *header)
{
    size_t len = header->body ? strlen(header->body) : 0;
    put_header(tar, header, header->size ? (size_t)header->size : len);
    append(tar, header->body ? header->body : "", len);
    pad(tar);
}

void tar_pax(struct dv_buf *tar, const char *key, const void *value, size_t len)
{
    size_t rest = strlen(key) + len + 3; /* blank, '=', line feed */
    size_t total = rest + 1;
    for (size_t before = 0; before != total;) {
        char digits[24];
        before = total;
        total = rest + (size_t)snprintf(digits, sizeof(digits), "%zu", before);
    }
    put_header(tar, &(struct header){.name = "PaxHeaders/x", .type = 'x'}, total);
    cr_assert_eq(dv_buf_printf(tar, NULL, "%zu %s=", total, key), 0);
    append(tar, value, len);
    append(tar, "\n", 1);
    pad(tar);
}

void tar_gnu_long(struct dv_buf *tar, char type, const char *text)
{
    put_header(tar, &(struct header){.name = "././@LongLink", .type = type}, strlen(text) + 1);
    append(tar, text, strlen(text) + 1);
    pad(tar);
}

void tar_end(struct dv_buf *tar)
{
    static const char zeros[2 * BLOCK];
    append(tar, zeros, sizeof(zeros));
}

void gzip_bytes(struct dv_buf *out, const void *bytes, size_t len)
{
    z_stream stream = {0};
    cr_assert_eq(deflateInit2(&stream, 6, Z_DEFLATED, MAX_WBITS + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    size_t bound = deflateBound(&stream, len) + 64;
    char *room = NULL;
    cr_assert_eq(dv_buf_reserve(out, bound, &room, NULL), 0);
    stream.next_in = (unsigned char *)(uintptr_t)bytes;
    stream.avail_in = (uInt)len;
    stream.next_out = (unsigned char *)room;
    stream.avail_out = (uInt)bound;
    cr_assert_eq(deflate(&stream, Z_FINISH), Z_STREAM_END);
    out->len += stream.total_out;
    dv_buf_terminate(out);
    deflateEnd(&stream);
}

void zstd_bytes(struct dv_buf *out, const void *bytes, size_t len)
{
    size_t bound = ZSTD_compressBound(len);
    char *room = NULL;
    cr_assert_eq(dv_buf_reserve(out, bound, &room, NULL), 0);
    size_t got = ZSTD_compress(room, bound, bytes, len, 3);
    cr_assert(!ZSTD_isError(got));
    out->len += got;
    dv_buf_terminate(out);
}

void digest_of(const struct dv_buf *bytes, char ret[80])
{
    unsigned char value[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    cr_assert_eq(EVP_Digest(bytes->data, bytes->len, value, &len, EVP_sha256(), NULL), 1);
    int used = snprintf(ret, 80, "sha256:");
    for (unsigned i = 0; i < len; i++)
        used += snprintf(ret + used, (size_t)(80 - used), "%02x", value[i]);
}

static void read_pipe(int fd, char text[TEXT_SIZE])
{
    size_t len = 0;
    for (;;) {
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        cr_assert(poll(&wait, 1, RUN_TIMEOUT_MS) > 0, "davit-unpack does not end");
        ssize_t got = read(fd, text + len, TEXT_SIZE - 1 - len);
        if (got <= 0)
            break;
        len += (size_t)got;
    }
    text[len] = '\0';
}

struct run run_program(const char *const arguments[])
{
    return run_other_program(DV_UNPACK_PROGRAM, arguments);
}

struct run run_other_program(const char *path, const char *const arguments[])
{
    struct run run = {0};
    int out[2];
    int err[2];
    cr_assert_eq(pipe2(out, O_CLOEXEC), 0);
    cr_assert_eq(pipe2(err, O_CLOEXEC), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, out[1], STDOUT_FILENO);
    posix_spawn_file_actions_adddup2(&actions, err[1], STDERR_FILENO);
    pid_t pid = 0;
    int r = posix_spawn(&pid, path, &actions, NULL, (char *const *)(uintptr_t)arguments, environ);
    cr_assert_eq(r, 0, "%s: %s", path, strerror(r));
    posix_spawn_file_actions_destroy(&actions);
    close(out[1]);
    close(err[1]);
    read_pipe(out[0], run.out);
    read_pipe(err[0], run.err);
    close(out[0]);
    close(err[0]);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    run.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return run;
}

struct run unpack_blob(const struct place *place,
                       const struct dv_buf *blob,
                       const struct dv_buf *tar,
                       const char *const extra[])
{
    char path[128];
    char digest[80];
    char diff_id[80];
    snprintf(path, sizeof(path), "%s/blob", place->base);
    write_file(path, blob->data, blob->len);
    digest_of(blob, digest);
    digest_of(tar, diff_id);
    const char *arguments[ARGUMENTS_MAX] = {
        "davit-unpack", "--blob",       path,
        "--digest",     digest,         "--diff-id",
        diff_id,        "--media-type", "application/vnd.oci.image.layer.v1.tar+gzip",
        "--dir",        place->dir};
    for (size_t i = 0; extra && extra[i]; i++)
        arguments[11 + i] = extra[i];
    return run_program(arguments);
}

struct run unpack_tar(const struct place *place, const struct dv_buf *tar)
{
    return unpack_blob(place, tar, tar, NULL);
}

static void path_of(const struct place *place, const char *name, char ret[TEXT_SIZE])
{
    snprintf(ret, TEXT_SIZE, "%s/%s", place->dir, name);
}

bool lookup(const struct place *place, const char *name, struct stat *ret)
{
    char path[TEXT_SIZE];
    path_of(place, name, path);
    return lstat(path, ret) == 0;
}

bool content_is(const struct place *place, const char *name, const char *expected)
{
    char path[TEXT_SIZE];
    char text[TEXT_SIZE];
    path_of(place, name, path);
    dv_autoclose int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    ssize_t got = fd < 0 ? -1 : read(fd, text, sizeof(text));
    return got == (ssize_t)strlen(expected) && memcmp(text, expected, (size_t)got) == 0;
}

bool has_xattr(const struct place *place, const char *name, const char *xattr, const char *value)
{
    char path[TEXT_SIZE];
    char text[256];
    path_of(place, name, path);
    ssize_t got = lgetxattr(path, xattr, text, sizeof(text));
    return got == (ssize_t)strlen(value) && memcmp(text, value, (size_t)got) == 0;
}

bool is_whiteout(const struct place *place, const char *name)
{
    struct stat st;
    return lookup(place, name, &st) && S_ISCHR(st.st_mode) && st.st_rdev == makedev(0, 0);
}

bool is_outside_untouched(const struct place *place)
{
    dv_autoclosedir DIR *dir = opendir(place->base);
    cr_assert(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir));) {
        const char *name = entry->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && strcmp(name, "dir") != 0 &&
            strcmp(name, "blob") != 0 && strcmp(name, CANARY) != 0)
            return false;
    }
    struct stat st;
    return content_is(place, "../" CANARY, CANARY) && lookup(place, "../" CANARY, &st) &&
           st.st_nlink == 1 && (st.st_mode & 07777) == 0600 && st.st_uid == 0;
}
