/* SPDX-License-Identifier: Apache-2.0 */
#include "layout.h"

#include "base/durable.h"
#include "base/spawn.h"
#include "runtime/image/digest.h"
#include "runtime/image/index.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define PROGRAM_TIMEOUT_MS 60000
#define OUTPUT_MAX         (1U << 20)

void scratch_init(char path[SCRATCH_PATH_MAX])
{
    const char *base = getenv("TMPDIR");
    (void)snprintf(path, SCRATCH_PATH_MAX, "%s/davit-image-XXXXXX", base ? base : "/tmp");
    cr_assert_not_null(mkdtemp(path));
}

void scratch_done(const char *path)
{
    cr_assert_eq(dv_tree_remove(path, NULL), 0);
}

bool file_exists(const char *format, ...)
{
    char path[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(path, sizeof(path), format, args);
    va_end(args);
    struct stat info;
    return lstat(path, &info) == 0;
}

void file_write(const char *path, const char *text)
{
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_durable_replace(path, text, strlen(text), 0644, &err), 0, "%s", err.text);
}

int run_program(char **ret_output, const char *const *argv)
{
    dv_autoclose int out = memfd_create("output", MFD_CLOEXEC);
    dv_autoclose int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    static const char *const env[] = {"PATH=/usr/bin:/bin", "HOME=/nonexistent", "TMPDIR=/tmp",
                                      NULL};
    struct dv_spawn_fd fds[] = {{null, 0}, {out, 1}, {out, 2}};
    struct dv_spawn spawn = {.path = argv[0], .argv = argv, .envp = env, .fds = fds, .fd_count = 3};
    struct dv_error err = DV_ERROR_INIT;
    pid_t pid = 0;
    cr_assert_eq(dv_spawn_start(&spawn, &pid, &err), 0, "%s", err.text);
    dv_autoclose int pidfd = dv_pidfd_open(pid, 0);
    struct pollfd ended = {.fd = pidfd, .events = POLLIN};
    bool is_late = poll(&ended, 1, PROGRAM_TIMEOUT_MS) != 1;
    if (is_late)
        (void)dv_pidfd_signal(pidfd, SIGKILL);
    int status = 0;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_not(is_late, "%s does not end", argv[0]);
    char *output = calloc(1, OUTPUT_MAX + 1);
    ssize_t len = pread(out, output, OUTPUT_MAX, 0);
    cr_assert_geq(len, 0);
    *ret_output = output;
    return dv_exit_code_of(status);
}

struct dv_image_store *open_store(const char *home, const char *unpack_program)
{
    struct dv_image_store_options options = {.home_dir = home, .unpack_program = unpack_program};
    struct dv_image_store *store = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_store_open(&options, &store, &err), 0, "%s", err.text);
    return store;
}

static void umoci(const char *const *argv)
{
    dv_autofree char *output = NULL;
    int code = run_program(&output, argv);
    cr_assert_eq(code, 0, "%s %s: %d %s", argv[0], argv[1], code, output);
}

void make_layout(const char *dir, bool twice)
{
    dv_need_program("/usr/bin/umoci");
    char layout[1024], image[1024], file[1024];
    (void)snprintf(layout, sizeof(layout), "%s/layout", dir);
    (void)snprintf(image, sizeof(image), "%s/layout:made", dir);
    (void)snprintf(file, sizeof(file), "%s/content", dir);
    file_write(file, "content\n");
    umoci((const char *[]){"/usr/bin/umoci", "init", "--layout", layout, NULL});
    umoci((const char *[]){"/usr/bin/umoci", "new", "--image", image, NULL});
    umoci((const char *[]){"/usr/bin/umoci", "insert", "--image", image, file, "/one", NULL});
    umoci((const char *[]){"/usr/bin/umoci", "insert", "--image", image, file, "/two", NULL});
    if (twice)
        umoci((const char *[]){"/usr/bin/umoci", "insert", "--image", image, file, "/two", NULL});
    umoci((const char *[]){"/usr/bin/umoci", "config", "--image", image, "--config.entrypoint",
                           "/one", "--config.env", "A=b", NULL});
}

static char *read_file(const char *path, size_t *ret_len)
{
    struct dv_buf text = DV_BUF_INIT(DV_MANIFEST_BYTES_MAX);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_file_read(path, &text, &err), 0, "%s", err.text);
    return dv_buf_take(&text, ret_len);
}

static char *read_blob(const char *dir, const char *digest, size_t *ret_len)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/layout/blobs/sha256/%s", dir, digest + 7);
    return read_file(path, ret_len);
}

static void put(const char *dir, struct dv_image_store *store, const char *digest)
{
    size_t len = 0;
    struct dv_error err = DV_ERROR_INIT;
    dv_autofree char *bytes = read_blob(dir, digest, &len);
    cr_assert_eq(dv_image_store_put(store, digest, bytes, len, &err), 0, "%s", err.text);
}

static void adopt(const char *dir, struct dv_image_store *store, const char *digest)
{
    char path[1024];
    size_t len = 0;
    struct dv_error err = DV_ERROR_INIT;
    dv_autofree char *bytes = read_blob(dir, digest, &len);
    (void)snprintf(path, sizeof(path), "%s/sha256-%s", dv_image_store_ingest_dir(store),
                   digest + 7);
    cr_assert_eq(dv_durable_replace(path, bytes, len, 0600, &err), 0, "%s", err.text);
    cr_assert_eq(dv_image_store_adopt(store, digest, path, false, &err), 0, "%s", err.text);
    cr_assert_not(file_exists("%s", path));
}

void bring_blobs(const char *dir,
                 struct dv_image_store *store,
                 struct dv_arena *arena,
                 struct made_image *ret)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/layout/index.json", dir);
    size_t len = 0, count = 0;
    struct dv_error err = DV_ERROR_INIT;
    dv_autofree char *text = read_file(path, &len);
    DV_AUTO(dv_json) index = NULL;
    struct dv_stored_image *images = NULL;
    cr_assert_eq(dv_layout_index_parse(text, len, &index, &err), 0, "%s", err.text);
    cr_assert_eq(dv_layout_index_images(index, arena, &images, &count, &err), 0);
    cr_assert_eq(count, 1);
    cr_assert_str_eq(images[0].reference, "made");
    ret->manifest = images[0].manifest;
    dv_autofree char *manifest = read_blob(dir, ret->manifest.digest, &len);
    struct dv_platform platform = dv_platform_host();
    cr_assert_eq(dv_document_parse(ret->manifest.media_type, manifest, len, &platform, arena,
                                   &ret->document, &err),
                 0, "%s", err.text);
    put(dir, store, ret->manifest.digest);
    put(dir, store, ret->document.config.digest);
    for (size_t i = 0; i < ret->document.layer_count; i++)
        adopt(dir, store, ret->document.layers[i].digest);
}
