/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/store.h"

#include "base/durable.h"
#include "runtime/image/digest.h"
#include "runtime/image/index.h"
#include "runtime/image/store_state.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIR_MODE  0700
#define FILE_MODE 0600
#define LAYOUT    "{\"imageLayoutVersion\":\"1.0.0\"}"

#define LAYOUT_BYTES_MAX 4096

/* ---- open ---- */

__attribute__((format(printf, 2, 3))) static int make_text(char **ret, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int r = vasprintf(ret, format, args);
    va_end(args);
    if (r < 0)
        *ret = NULL;
    return r < 0 ? -1 : 0;
}

static int make_paths(struct dv_image_store *store,
                      const struct dv_image_store_options *options,
                      struct dv_error *err)
{
    const char *home = options->home_dir;
    if (make_text(&store->images_dir, "%s/images", home) < 0 ||
        make_text(&store->ingest_dir, "%s/images/ingest", home) < 0 ||
        make_text(&store->index_path, "%s/images/index.json", home) < 0 ||
        make_text(&store->layers_dir, "%s/layers", home) < 0 ||
        make_text(&store->ids_dir, "%s/layers/ids", home) < 0 ||
        make_text(&store->staging_dir, "%s/layers/staging", home) < 0 ||
        (options->unpack_program &&
         make_text(&store->unpack_program, "%s", options->unpack_program) < 0))
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
    store->layer_bytes_max = options->layer_bytes_max;
    store->layer_entries_max = options->layer_entries_max;
    store->takes_absolute_names = options->takes_absolute_names;
    store->clock = options->clock ? options->clock : dv_clock_real();
    return 0;
}

static int make_dirs(struct dv_image_store *store, struct dv_error *err)
{
    static const char *const below[] = {"ingest", "blobs/sha256", "blobs/sha512"};
    for (size_t i = 0; i < sizeof(below) / sizeof(below[0]); i++) {
        dv_autofree char *path = NULL;
        if (make_text(&path, "%s/%s", store->images_dir, below[i]) < 0)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
        int r = dv_dir_make(path, DIR_MODE, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int check_layout(struct dv_image_store *store, struct dv_error *err)
{
    dv_autofree char *path = NULL;
    if (make_text(&path, "%s/oci-layout", store->images_dir) < 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
    struct dv_error cause = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(LAYOUT_BYTES_MAX);
    int r = dv_file_read(path, &text, &cause);
    if (r < 0 && cause.class != DV_ERR_NOT_FOUND && cause.class != DV_ERR_LIMIT) {
        if (err)
            *err = cause;
        return r;
    }
    DV_AUTO(dv_json) root = NULL;
    const char *version = NULL;
    if (r == 0 && dv_json_parse_cased(text.data ? text.data : "", text.len, &root, NULL) == 0)
        version = dv_json_text(dv_json_get(root, "imageLayoutVersion"));
    if (version && strcmp(version, "1.0.0") != 0)
        return dv_error_set(err, DV_ERR_FAILED,
                            "'%s': image layout version '%.64s' is not supported, 1.0.0 is", path,
                            version);
    return version ? 0 : dv_durable_replace(path, LAYOUT, strlen(LAYOUT), FILE_MODE, err);
}

static int read_index(struct dv_image_store *store, struct dv_json **ret, struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_IMAGE_INDEX_BYTES_MAX);
    int r = dv_file_read(store->index_path, &text, &cause);
    if (r == 0)
        r = dv_layout_index_parse(text.data ? text.data : "", text.len, ret, &cause);
    else if (cause.class == DV_ERR_NOT_FOUND)
        return dv_layout_index_parse(DV_INDEX_EMPTY, strlen(DV_INDEX_EMPTY), ret, err);
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_LIMIT ? DV_ERR_CORRUPT : cause.class,
                            "'%s': %s", store->index_path, cause.text);
    return 0;
}

/* An unreadable index costs downloads, not the start of the daemon. */
static int check_index(struct dv_image_store *store, struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    DV_AUTO(dv_json) index = NULL;
    int r = read_index(store, &index, &cause);
    if (r < 0 && cause.class != DV_ERR_CORRUPT) {
        if (err)
            *err = cause;
        return r;
    }
    if (r < 0) {
        dv_autofree char *aside = NULL;
        if (make_text(&aside, "%s.corrupt", store->index_path) < 0 ||
            make_text(&store->note,
                      "%s; it was set aside as '%s', images are pulled again when needed",
                      cause.text, aside) < 0)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
        if (rename(store->index_path, aside) < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "set aside '%s'", store->index_path);
    }
    struct stat info;
    if (stat(store->index_path, &info) == 0)
        return 0;
    return dv_durable_replace(store->index_path, DV_INDEX_EMPTY, strlen(DV_INDEX_EMPTY), FILE_MODE,
                              err);
}

static int make_locks(struct dv_image_store *store, struct dv_error *err)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
    int r = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    if (r == 0)
        r = pthread_cond_init(&store->layers_cond, &attributes);
    pthread_condattr_destroy(&attributes);
    if (r == 0)
        r = pthread_mutex_init(&store->index_lock, NULL);
    if (r == 0)
        r = pthread_mutex_init(&store->layers_lock, NULL);
    if (r == 0)
        r = pthread_mutex_init(&store->blobs_lock, NULL);
    return r == 0 ? 0 : dv_error_sys(err, DV_ERR_NO_MEMORY, r, "image store: locks");
}

int dv_image_store_open(const struct dv_image_store_options *options,
                        struct dv_image_store **ret,
                        struct dv_error *err)
{
    DV_AUTO(dv_image_store) store = calloc(1, sizeof(*store));
    if (!store)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
    if (options->home_dir[0] != '/')
        return dv_error_set(err, DV_ERR_INVALID, "image store: home '%s' is not absolute",
                            options->home_dir);
    int r = make_locks(store, err);
    if (r == 0)
        r = make_paths(store, options, err);
    if (r == 0)
        r = make_dirs(store, err);
    if (r == 0)
        r = check_layout(store, err);
    if (r == 0)
        r = check_index(store, err);
    if (r == 0)
        r = dv_layers_prepare(store, err);
    if (r < 0)
        return r;
    *ret = dv_steal(&store);
    return 0;
}

void dv_image_store_free(struct dv_image_store *store)
{
    if (!store)
        return;
    pthread_cond_destroy(&store->layers_cond);
    pthread_mutex_destroy(&store->index_lock);
    pthread_mutex_destroy(&store->layers_lock);
    pthread_mutex_destroy(&store->blobs_lock);
    free(store->images_dir);
    free(store->ingest_dir);
    free(store->index_path);
    free(store->layers_dir);
    free(store->ids_dir);
    free(store->staging_dir);
    free(store->unpack_program);
    free(store->note);
    free(store);
}

const char *dv_image_store_note(const struct dv_image_store *store)
{
    return store->note;
}

/* ---- blobs ---- */

const char *dv_image_store_ingest_dir(const struct dv_image_store *store)
{
    return store->ingest_dir;
}

/* Digests reach here from messages, too: only a valid one may become a path. */
static int make_blob_path(const struct dv_image_store *store,
                          const char *digest,
                          char **ret,
                          struct dv_error *err)
{
    if (!digest || !dv_digest_is_valid(dv_str_of(digest)))
        return dv_error_set(err, DV_ERR_INVALID, "image store: '%.140s' is no digest",
                            digest ? digest : "");
    struct dv_str algorithm = dv_digest_algorithm(digest), hex = dv_digest_hex(digest);
    if (make_text(ret, "%s/blobs/%.*s/%.*s", store->images_dir, DV_STR_ARG(algorithm),
                  DV_STR_ARG(hex)) < 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
    return 0;
}

char *dv_image_store_blob_path(const struct dv_image_store *store,
                               const char *digest,
                               struct dv_arena *arena)
{
    dv_autofree char *path = NULL;
    if (make_blob_path(store, digest, &path, NULL) < 0)
        return NULL;
    return dv_arena_strdup(arena, path);
}

int dv_image_store_has(struct dv_image_store *store,
                       const char *digest,
                       int64_t size,
                       struct dv_error *err)
{
    dv_autofree char *path = NULL;
    int r = make_blob_path(store, digest, &path, err);
    if (r < 0)
        return r;
    struct stat info;
    if (lstat(path, &info) < 0 && errno != ENOENT)
        return dv_error_sys(err, DV_ERR_IO, errno, "'%s'", path);
    if (lstat(path, &info) < 0 || !S_ISREG(info.st_mode))
        return dv_error_set(err, DV_ERR_NOT_FOUND, "blob %s is not stored", digest);
    if (size > 0 && info.st_size != size)
        return dv_error_set(err, DV_ERR_NOT_FOUND,
                            "blob %s is stored with %lld bytes, expected are %lld", digest,
                            (long long)info.st_size, (long long)size);
    return 0;
}

int dv_image_store_put(struct dv_image_store *store,
                       const char *digest,
                       const void *bytes,
                       size_t len,
                       struct dv_error *err)
{
    dv_autofree char *path = NULL;
    int r = make_blob_path(store, digest, &path, err);
    if (r == 0)
        r = dv_digest_verify(digest, bytes, len, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&store->blobs_lock);
    r = dv_durable_replace(path, bytes, len, FILE_MODE, err);
    pthread_mutex_unlock(&store->blobs_lock);
    return r;
}

/* The last component, if the path is of a file right in the ingest directory. */
static const char *ingest_name(const struct dv_image_store *store, const char *file)
{
    size_t len = strlen(store->ingest_dir);
    if (strncmp(file, store->ingest_dir, len) != 0 || file[len] != '/')
        return NULL;
    const char *name = file + len + 1;
    return *name && !strchr(name, '/') && name[0] != '.' ? name : NULL;
}

static int sync_file(const char *file, struct dv_error *err)
{
    dv_autoclose int fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    struct stat info;
    if (fd < 0 && errno == ENOENT)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "'%s' does not exist", file);
    if (fd < 0 || fstat(fd, &info) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "'%s'", file);
    if (!S_ISREG(info.st_mode))
        return dv_error_set(err, DV_ERR_CORRUPT, "'%s' is no file", file);
    if (fsync(fd) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "sync '%s'", file);
    return 0;
}

/* A file that is not there is for sync_file to judge. */
static int verify_file(const char *digest, const char *file, struct dv_error *err)
{
    dv_autoclose int fd = open(file, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    int r = fd < 0 ? 0 : dv_digest_verify_fd(digest, fd, err);
    if (r == -DV_ERR_CORRUPT)
        (void)unlink(file);
    return r;
}

static int sync_blob_dir(const char *blob_path, struct dv_error *err)
{
    dv_autofree char *dir = strndup(blob_path, (size_t)(strrchr(blob_path, '/') - blob_path));
    if (!dir)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
    return dv_dir_sync(dir, err);
}

int dv_image_store_adopt(struct dv_image_store *store,
                         const char *digest,
                         const char *file,
                         bool is_unverified,
                         struct dv_error *err)
{
    dv_autofree char *path = NULL;
    int r = make_blob_path(store, digest, &path, err);
    if (r < 0)
        return r;
    if (!ingest_name(store, file))
        return dv_error_set(err, DV_ERR_INVALID, "'%.512s' is not a file of '%s'", file,
                            store->ingest_dir);
    struct dv_error cause = DV_ERROR_INIT;
    r = is_unverified ? verify_file(digest, file, &cause) : 0;
    if (r == 0)
        r = sync_file(file, &cause);
    if (r < 0 && cause.class == DV_ERR_NOT_FOUND && dv_image_store_has(store, digest, 0, NULL) == 0)
        return 0;
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_NOT_FOUND ? DV_ERR_STATE : cause.class,
                            "adopt blob %s: %s", digest, cause.text);
    if (rename(file, path) < 0) {
        /* Two pulls share a download: the other worker was faster. */
        int saved = errno;
        if (saved == ENOENT && dv_image_store_has(store, digest, 0, NULL) == 0)
            return 0;
        return dv_error_sys(err, DV_ERR_IO, saved, "rename '%s' to '%s'", file, path);
    }
    return sync_blob_dir(path, err);
}

int dv_image_store_read(struct dv_image_store *store,
                        const char *digest,
                        size_t max,
                        struct dv_arena *arena,
                        const char **ret_bytes,
                        size_t *ret_len,
                        struct dv_error *err)
{
    dv_autofree char *path = NULL;
    int r = make_blob_path(store, digest, &path, err);
    if (r < 0)
        return r;
    struct dv_error cause = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(max);
    r = dv_file_read(path, &text, &cause);
    if (r == 0)
        r = dv_digest_verify(digest, text.data, text.len, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_LIMIT ? DV_ERR_CORRUPT : cause.class,
                            "blob %s: %s", digest, cause.text);
    char *copy = dv_arena_strndup(arena, text.data ? text.data : "", text.len);
    if (!copy)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "blob %s: out of memory", digest);
    *ret_bytes = copy;
    *ret_len = text.len;
    return 0;
}

/* ---- images ---- */

int dv_image_store_list(struct dv_image_store *store,
                        struct dv_arena *arena,
                        struct dv_stored_image **ret,
                        size_t *ret_count,
                        struct dv_error *err)
{
    DV_AUTO(dv_json) index = NULL;
    int r = read_index(store, &index, err);
    return r < 0 ? r : dv_layout_index_images(index, arena, ret, ret_count, err);
}

int dv_image_store_find(struct dv_image_store *store,
                        const char *reference,
                        struct dv_arena *arena,
                        struct dv_stored_image *ret,
                        struct dv_error *err)
{
    struct dv_stored_image *images = NULL;
    size_t count = 0;
    int r = dv_image_store_list(store, arena, &images, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        if (strcmp(images[i].reference, reference) == 0) {
            *ret = images[i];
            return 0;
        }
    return r < 0 ? r : dv_error_set(err, DV_ERR_NOT_FOUND, "image '%s' is not stored", reference);
}

int dv_image_store_roots(struct dv_image_store *store,
                         struct dv_arena *arena,
                         char ***ret,
                         size_t *ret_count,
                         struct dv_error *err)
{
    DV_AUTO(dv_json) index = NULL;
    int r = read_index(store, &index, err);
    if (r < 0)
        return r;
    const struct dv_json *entries = dv_json_get(index, "manifests");
    char **digests = dv_arena_array(arena, dv_json_count(entries) + 1, sizeof(*digests));
    size_t count = 0;
    for (const struct dv_json *e = dv_json_first(entries); digests && e; e = dv_json_next(e)) {
        const char *digest = dv_json_text(dv_json_get(e, "digest"));
        if (!digest || !dv_digest_is_valid(dv_str_of(digest)))
            continue;
        digests[count] = dv_arena_strdup(arena, digest);
        if (!digests[count++])
            digests = NULL;
    }
    if (!digests)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image store: out of memory");
    *ret = digests;
    *ret_count = count;
    return 0;
}

static int read_document(struct dv_image_store *store,
                         const struct dv_descriptor *what,
                         struct dv_arena *arena,
                         struct dv_document *ret,
                         struct dv_error *err)
{
    const char *bytes = NULL;
    size_t len = 0;
    struct dv_platform platform = dv_platform_host();
    struct dv_error cause = DV_ERROR_INIT;
    int r = dv_image_store_read(store, what->digest, DV_MANIFEST_BYTES_MAX, arena, &bytes, &len,
                                &cause);
    if (r == 0)
        r = dv_document_parse(what->media_type, bytes, len, &platform, arena, ret, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class, "manifest %s: %s", what->digest, cause.text);
    return 0;
}

int dv_image_store_manifest(struct dv_image_store *store,
                            const struct dv_descriptor *manifest,
                            struct dv_arena *arena,
                            struct dv_document *ret,
                            struct dv_error *err)
{
    struct dv_document document = {.chosen = *manifest};
    for (int depth = 0; depth <= DV_INDEX_DEPTH_MAX; depth++) {
        struct dv_descriptor next = document.chosen;
        int r = read_document(store, &next, arena, &document, err);
        if (r < 0)
            return r;
        if (document.kind == DV_DOCUMENT_MANIFEST) {
            *ret = document;
            return 0;
        }
    }
    return dv_error_set(err, DV_ERR_CORRUPT, "more than %d indexes lead to manifest %s",
                        DV_INDEX_DEPTH_MAX, manifest->digest);
}

static int check_complete(struct dv_image_store *store,
                          const struct dv_document *document,
                          struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    int r = dv_image_store_has(store, document->config.digest, document->config.size, &cause);
    for (size_t i = 0; r == 0 && i < document->layer_count; i++)
        r = dv_image_store_has(store, document->layers[i].digest, document->layers[i].size, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_NOT_FOUND ? DV_ERR_STATE : cause.class, "%s",
                            cause.text);
    return 0;
}

/* Stores a Docker manifest in OCI's words as well, which is the one to be named. */
static int convert(struct dv_image_store *store,
                   const struct dv_document *document,
                   struct dv_arena *arena,
                   struct dv_descriptor *ret,
                   struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_MANIFEST_BYTES_MAX);
    char digest[DV_DIGEST_SIZE];
    int r = dv_manifest_write_oci(document, &text, err);
    if (r == 0)
        r = dv_image_store_put(store, dv_digest_of(text.data, text.len, digest), text.data,
                               text.len, err);
    if (r < 0)
        return r;
    struct dv_descriptor converted = {.media_type = dv_arena_strdup(arena, DV_MEDIA_OCI_MANIFEST),
                                      .digest = dv_arena_strdup(arena, digest),
                                      .size = (int64_t)text.len};
    if (!converted.media_type || !converted.digest)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    *ret = converted;
    return 0;
}

static int prepare_commit(struct dv_image_store *store,
                          struct dv_descriptor *manifest,
                          struct dv_arena *arena,
                          struct dv_error *err)
{
    struct dv_document document;
    struct dv_error cause = DV_ERROR_INIT;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    int r = dv_image_store_manifest(store, manifest, arena, &document, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_NOT_FOUND ? DV_ERR_STATE : cause.class, "%s",
                            cause.text);
    r = check_complete(store, &document, err);
    if (r == 0 && strcmp(document.media_type, DV_MEDIA_DOCKER_MANIFEST) == 0)
        r = convert(store, &document, arena, manifest, err);
    return r;
}

/* Rewrites index.json under its lock. `image` NULL: remove. */
static int rewrite(struct dv_image_store *store,
                   const char *reference,
                   const struct dv_stored_image *image,
                   struct dv_error *err)
{
    DV_AUTO(dv_json) index = NULL;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_IMAGE_INDEX_BYTES_MAX);
    bool is_found = false;
    int r = read_index(store, &index, err);
    if (r == 0)
        r = dv_layout_index_write(index, reference, image, &text, &is_found, err);
    if (r < 0)
        return r;
    if (!image && !is_found)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "image '%s' is not stored", reference);
    return dv_durable_replace(store->index_path, text.data, text.len, FILE_MODE, err);
}

int dv_image_store_commit(struct dv_image_store *store,
                          const char *reference,
                          const struct dv_descriptor *manifest,
                          struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 * (size_t)DV_MANIFEST_BYTES_MAX);
    struct dv_descriptor named = *manifest;
    struct dv_error cause = DV_ERROR_INIT;
    int r = prepare_commit(store, &named, arena, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class, "image '%s' cannot be stored: %s", reference,
                            cause.text);
    struct dv_stored_image image = {.reference = (char *)(uintptr_t)reference,
                                    .manifest = named,
                                    .stored_ns = dv_clock_wall_ns(store->clock)};
    pthread_mutex_lock(&store->index_lock);
    r = rewrite(store, reference, &image, err);
    pthread_mutex_unlock(&store->index_lock);
    return r;
}

int dv_image_store_remove(struct dv_image_store *store, const char *reference, struct dv_error *err)
{
    pthread_mutex_lock(&store->index_lock);
    int r = rewrite(store, reference, NULL, err);
    pthread_mutex_unlock(&store->index_lock);
    return r;
}

int dv_image_store_restamp(struct dv_image_store *store,
                           const char *reference,
                           int64_t stored_ns,
                           struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(DV_IMAGE_INDEX_BYTES_MAX);
    struct dv_stored_image image;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    pthread_mutex_lock(&store->index_lock);
    int r = dv_image_store_find(store, reference, arena, &image, err);
    image.stored_ns = stored_ns;
    r = r < 0 ? r : rewrite(store, reference, &image, err);
    pthread_mutex_unlock(&store->index_lock);
    return r;
}
