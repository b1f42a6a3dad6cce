/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/collect.h"

#include "base/durable.h"
#include "runtime/image/config.h"
#include "runtime/image/digest.h"
#include "runtime/image/image.h"
#include "runtime/image/layer_seal.h"
#include "runtime/image/layers.h"
#include "runtime/image/names.h"
#include "runtime/image/store_state.h"
#include "runtime/image/watch.h"

#include "json/json.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define IMAGE_MEMORY_MAX (64U << 20) /* one image's documents */
#define NAMES_MEMORY_MAX (64U << 20) /* references, ids and digests */
#define STAMP_LAG_NS     20000000LL  /* how far time stamps of files are behind, at most */
#define PARTIAL_DAYS     7           /* how long the beginning of a blob waits to be continued */

struct collection {
    struct dv_image_store *store;
    const struct dv_image_collect_job *job;
    struct dv_arena *arena; /* of the caller: the answer */
    struct dv_names used_refs;
    struct dv_names used_images;
    struct dv_names layers; /* ids that stay */
    struct dv_names blobs;  /* digests that stay */
    int64_t begin_ns;       /* blobs that came since are of commits that run meanwhile */
    struct dv_image_collected result;
};

static int64_t time_ns(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000LL + time->tv_nsec;
}

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "collect images: out of memory");
}

static int add_all(struct dv_names *names, const struct dv_texts *texts, struct dv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < texts->count; i++)
        r = dv_names_add(names, texts->items[i], err);
    return r;
}

/* ---- which names go ---- */

/* What an image is made of; false when a document is missing or damaged: it is pulled again when it
 * is wanted. */
static bool read_image(struct dv_image_store *store,
                       const struct dv_descriptor *manifest,
                       struct dv_arena *arena,
                       struct dv_document *document,
                       struct dv_image_config *config,
                       struct dv_error *err)
{
    return dv_image_store_manifest(store, manifest, arena, document, err) == 0 &&
           dv_image_config_load(store, document->config.digest, arena, config, err) == 0;
}

static int is_used(const struct collection *c,
                   const struct dv_stored_image *image,
                   bool *ret,
                   struct dv_error *err)
{
    *ret = dv_names_has(&c->used_refs, image->reference);
    if (*ret)
        return 0;
    DV_AUTO(dv_arena) arena = dv_arena_new(IMAGE_MEMORY_MAX);
    struct dv_document document;
    if (!arena)
        return no_memory(err);
    *ret = dv_image_store_manifest(c->store, &image->manifest, arena, &document, NULL) == 0 &&
           dv_names_has(&c->used_images, document.config.digest);
    return 0;
}

static int take_name(struct collection *c, const char *reference, struct dv_error *err)
{
    int r = dv_image_store_remove(c->store, reference, err);
    if (r < 0)
        return r;
    char *copy = dv_arena_strdup(c->arena, reference);
    if (!copy)
        return no_memory(err);
    c->result.images.items[c->result.images.count++] = copy;
    return 0;
}

static int consider(struct collection *c, const struct dv_stored_image *image, struct dv_error *err)
{
    const struct dv_image_collect_job *job = c->job;
    bool is_named = job->remove_ref && strcmp(job->remove_ref, image->reference) == 0;
    /* Without a time it was stored by another tool, which is left to that. */
    bool is_ours = image->stored_ns > 0;
    bool used = false;
    int r = is_used(c, image, &used, err);
    if (r < 0 || (used && !is_named))
        return r;
    if (used && dv_names_has(&c->used_refs, image->reference))
        return dv_error_set(err, DV_ERR_STATE,
                            "image '%s' is used by a container or a pull; remove these first",
                            image->reference);
    if (is_named || (is_ours && (job->is_all || image->stored_ns < job->before_ns)))
        return take_name(c, image->reference, err);
    if (is_ours && (c->result.oldest_ns == 0 || image->stored_ns < c->result.oldest_ns))
        c->result.oldest_ns = image->stored_ns;
    return 0;
}

static int take_names(struct collection *c, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(NAMES_MEMORY_MAX);
    struct dv_stored_image *images = NULL;
    size_t count = 0;
    if (!arena)
        return no_memory(err);
    int r = dv_image_store_list(c->store, arena, &images, &count, err);
    if (r < 0)
        return r;
    c->result.images.items = dv_arena_array(c->arena, count + 1, sizeof(char *));
    if (!c->result.images.items)
        return no_memory(err);
    bool is_there = false;
    for (size_t i = 0; i < count && r == 0; i++) {
        is_there |= c->job->remove_ref && strcmp(c->job->remove_ref, images[i].reference) == 0;
        r = consider(c, &images[i], err);
    }
    if (r == 0 && c->job->remove_ref && !is_there)
        r = dv_error_set(err, DV_ERR_NOT_FOUND,
                         "image '%s' is not stored; davit images lists those that are",
                         c->job->remove_ref);
    return r;
}

/* ---- what stays ---- */

static int keep_descriptor(struct collection *c, const struct dv_json *node, struct dv_error *err)
{
    const char *digest = dv_json_text(dv_json_get(node, "digest"));
    return digest && dv_digest_is_valid(dv_str_of(digest)) ? dv_names_add(&c->blobs, digest, err)
                                                           : 0;
}

/* The document and all it leads to, of whatever tool: `manifests`, `config` and `layers` are the
 * links of every form. What cannot be read leads nowhere. */
static int keep_document(struct collection *c, const char *digest, int depth, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(IMAGE_MEMORY_MAX);
    DV_AUTO(dv_json) root = NULL;
    const char *bytes = NULL;
    size_t len = 0;
    if (!arena)
        return no_memory(err);
    int r = dv_names_add(&c->blobs, digest, err);
    if (r < 0 || depth > DV_INDEX_DEPTH_MAX ||
        dv_image_store_read(c->store, digest, DV_MANIFEST_BYTES_MAX, arena, &bytes, &len, NULL) <
            0 ||
        dv_json_parse_cased(bytes, len, &root, NULL) < 0)
        return r;
    const struct dv_json *layers = dv_json_get(root, "layers");
    const struct dv_json *manifests = dv_json_get(root, "manifests");
    r = keep_descriptor(c, dv_json_get(root, "config"), err);
    for (const struct dv_json *n = dv_json_first(layers); r == 0 && n; n = dv_json_next(n))
        r = keep_descriptor(c, n, err);
    for (const struct dv_json *n = dv_json_first(manifests); r == 0 && n; n = dv_json_next(n)) {
        const char *next = dv_json_text(dv_json_get(n, "digest"));
        if (next && dv_digest_is_valid(dv_str_of(next)))
            r = keep_document(c, next, depth + 1, err);
    }
    return r;
}

/* Under whatever id it has, or will have when an unpack that runs meanwhile is over. */
static int keep_diff_id(struct collection *c, const char *diff_id, struct dv_error *err)
{
    char id[DV_LAYER_ID_SIZE];
    int r = 0;
    if (!dv_digest_is_valid(dv_str_of(diff_id)))
        return 0;
    struct dv_str hex = dv_digest_hex(diff_id);
    for (size_t len = DV_LAYER_ID_FIRST; r == 0 && len < DV_LAYER_ID_SIZE && len <= hex.len;
         len += DV_LAYER_ID_STEP) {
        (void)snprintf(id, sizeof(id), "%.*s", (int)len, hex.data);
        r = dv_names_add(&c->layers, id, err);
    }
    return r;
}

static int
keep_layers_of(struct collection *c, const struct dv_stored_image *image, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(IMAGE_MEMORY_MAX);
    struct dv_document document;
    struct dv_image_config config = {0};
    struct dv_error cause = DV_ERROR_INIT;
    if (!arena)
        return no_memory(err);
    if (!read_image(c->store, &image->manifest, arena, &document, &config, &cause)) {
        bool is_gone = cause.class == DV_ERR_NOT_FOUND || cause.class == DV_ERR_CORRUPT ||
                       cause.class == DV_ERR_FAILED;
        return is_gone
                   ? 0
                   : dv_error_set(err, cause.class, "image '%s': %s", image->reference, cause.text);
    }
    int r = 0;
    for (size_t i = 0; r == 0 && i < config.diff_id_count; i++)
        r = keep_diff_id(c, config.diff_ids[i], err);
    return r;
}

static int decide(struct collection *c, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(NAMES_MEMORY_MAX);
    struct dv_stored_image *images = NULL;
    char **roots = NULL;
    size_t count = 0, root_count = 0;
    if (!arena)
        return no_memory(err);
    int r = dv_image_store_list(c->store, arena, &images, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = keep_layers_of(c, &images[i], err);
    if (r == 0)
        r = dv_image_store_roots(c->store, arena, &roots, &root_count, err);
    for (size_t i = 0; r == 0 && i < root_count; i++)
        r = keep_document(c, roots[i], 0, err);
    if (r == 0)
        r = add_all(&c->layers, &c->job->used_layers, err);
    for (size_t i = 0; r == 0 && i < c->job->held_diff_ids.count; i++)
        r = keep_diff_id(c, c->job->held_diff_ids.items[i], err);
    if (r == 0)
        r = add_all(&c->blobs, &c->job->used_images, err);
    if (r == 0)
        r = add_all(&c->blobs, &c->job->held_blobs, err);
    dv_names_seal(&c->layers);
    dv_names_seal(&c->blobs);
    return r;
}

/* ---- what goes ---- */

static bool is_hex(const char *name, size_t min)
{
    size_t len = strlen(name);
    return len >= min && strspn(name, "0123456789abcdef") == len;
}

static int
remove_blobs_of(struct collection *c, const char *algorithm, size_t hex_len, struct dv_error *err)
{
    char path[PATH_MAX], digest[DV_DIGEST_SIZE];
    int n = snprintf(path, sizeof(path), "%s/blobs/%s", c->store->images_dir, algorithm);
    dv_autoclosedir DIR *dir = n > 0 && n < PATH_MAX ? opendir(path) : NULL;
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "read '%s'", path);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct stat info;
        if (!is_hex(entry->d_name, hex_len) || strlen(entry->d_name) != hex_len)
            continue;
        (void)snprintf(digest, sizeof(digest), "%s:%.*s", algorithm, (int)hex_len, entry->d_name);
        if (dv_names_has(&c->blobs, digest) ||
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            time_ns(&info.st_mtim) >= c->begin_ns ||
            (c->job->orphans_before_ns && time_ns(&info.st_mtim) >= c->job->orphans_before_ns))
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) < 0)
            return dv_error_sys(err, DV_ERR_IO, errno, "remove '%s/%s'", path, entry->d_name);
        c->result.blobs++;
        c->result.bytes += info.st_size;
    }
    return 0;
}

/* The beginning of a blob (<name>.<something>) or what a load has left; not a whole blob that
 * waits for its name. */
static bool is_beginning(const char *name)
{
    return strchr(name, '.') || strncmp(name, "load-", 5) == 0;
}

/* Downloads that run have theirs locked, however old a clock that was set makes it; one that opens
 * it now looks, once it has the lock, whether the file is still there, so the lock is held until it
 * is not. */
static bool remove_abandoned(int dir, const char *name)
{
    dv_autoclose int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 && unlinkat(dir, name, 0) == 0;
}

/* Beginnings of blobs that nobody came back for, or all when all is to go. */
static int remove_partial(struct collection *c, struct dv_error *err)
{
    dv_autoclosedir DIR *dir = opendir(c->store->ingest_dir);
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "read '%s'", c->store->ingest_dir);
    time_t oldest = time(NULL) - (time_t)PARTIAL_DAYS * 24 * 3600;
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        struct stat info;
        if (fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) < 0 ||
            !S_ISREG(info.st_mode))
            continue;
        bool is_old = info.st_mtime < oldest;
        bool is_gone = (is_old || (!c->job->orphans_before_ns && is_beginning(entry->d_name))) &&
                       remove_abandoned(dirfd(dir), entry->d_name);
        if (is_gone)
            c->result.bytes += info.st_size;
    }
    return 0;
}

/* Renamed away under the lock, so that it is gone for everybody at once; the record goes with it.
 */
static int take_away(struct dv_image_store *store, const char *id, struct dv_error *err)
{
    char path[PATH_MAX], record[PATH_MAX], seal[PATH_MAX], staged[PATH_MAX];
    pthread_mutex_lock(&store->layers_lock);
    unsigned long number = ++store->staged;
    int n = snprintf(staged, sizeof(staged), "%s/out-%lu", store->staging_dir, number);
    int m = snprintf(path, sizeof(path), "%s/%s", store->layers_dir, id);
    int k = snprintf(record, sizeof(record), "%s/%s", store->ids_dir, id);
    int l = snprintf(seal, sizeof(seal), "%s/%s" DV_LAYER_SEAL_SUFFIX, store->ids_dir, id);
    int r = 0;
    if (n < 0 || n >= PATH_MAX || m < 0 || m >= PATH_MAX || k < 0 || k >= PATH_MAX || l < 0 ||
        l >= PATH_MAX)
        r = dv_error_set(err, DV_ERR_LIMIT, "path of layer %s is too long", id);
    else if (rename(path, staged) < 0)
        r = dv_error_sys(err, DV_ERR_IO, errno, "rename '%s' to '%s'", path, staged);
    else {
        (void)unlink(record);
        (void)unlink(seal);
    }
    pthread_mutex_unlock(&store->layers_lock);
    return r;
}

static bool has_container(const struct collection *c, const char *id, size_t len)
{
    const struct dv_texts *used = &c->job->used_layers;
    for (size_t i = 0; i < used->count; i++)
        if (strlen(used->items[i]) == len && memcmp(used->items[i], id, len) == 0)
            return true;
    return false;
}

/* Damaged layers were set aside for containers that ran on them. */
static int remove_damaged(struct collection *c, struct dv_error *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/damaged", c->store->layers_dir);
    dv_autoclosedir DIR *dir = n > 0 && n < PATH_MAX ? opendir(path) : NULL;
    if (!dir)
        return errno == ENOENT ? 0 : dv_error_sys(err, DV_ERR_IO, errno, "read '%s'", path);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        size_t len = strcspn(entry->d_name, ".");
        char damaged[DV_LAYER_ID_SIZE + sizeof("damaged/") + 8];
        n = snprintf(damaged, sizeof(damaged), "damaged/%s", entry->d_name);
        if (len == 0 || n < 0 || (size_t)n >= sizeof(damaged) ||
            has_container(c, entry->d_name, len))
            continue;
        int r = take_away(c->store, damaged, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int remove_layers(struct collection *c, struct dv_error *err)
{
    dv_autoclosedir DIR *dir = opendir(c->store->layers_dir);
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "read '%s'", c->store->layers_dir);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        if (!is_hex(entry->d_name, 12) || strlen(entry->d_name) >= DV_LAYER_ID_SIZE ||
            dv_names_has(&c->layers, entry->d_name))
            continue;
        int r = take_away(c->store, entry->d_name, err);
        if (r < 0)
            return r;
        c->result.layers++;
    }
    return 0;
}

int dv_image_collect(struct dv_image_store *store,
                     const struct dv_image_collect_job *job,
                     struct dv_arena *arena,
                     struct dv_image_collected *ret,
                     struct dv_error *err)
{
    DV_AUTO(dv_arena) names = dv_arena_new(NAMES_MEMORY_MAX);
    if (!names)
        return no_memory(err);
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    struct collection c = {
        .store = store, .job = job, .arena = arena, .begin_ns = time_ns(&now) - STAMP_LAG_NS};
    c.used_refs.arena = c.used_images.arena = c.layers.arena = c.blobs.arena = names;
    int r = 0;
    if (job->now_ns)
        r = dv_image_watch(store, job->now_ns, &c.result.jump_ns, err);
    if (r == 0)
        r = add_all(&c.used_refs, &job->used_refs, err);
    if (r == 0)
        r = add_all(&c.used_images, &job->used_images, err);
    dv_names_seal(&c.used_refs);
    dv_names_seal(&c.used_images);
    if (r == 0)
        r = take_names(&c, err);
    if (r == 0)
        r = decide(&c, err);
    if (r == 0)
        r = remove_layers(&c, err);
    if (r == 0)
        r = remove_damaged(&c, err);
    if (r == 0)
        r = remove_blobs_of(&c, "sha256", 64, err);
    if (r == 0)
        r = remove_blobs_of(&c, "sha512", 128, err);
    if (r == 0)
        r = remove_partial(&c, err);
    if (r == 0)
        *ret = c.result;
    return r;
}

int dv_image_sweep(struct dv_image_store *store, struct dv_error *err)
{
    dv_autoclosedir DIR *dir = opendir(store->staging_dir);
    if (!dir)
        return dv_error_sys(err, DV_ERR_IO, errno, "read '%s'", store->staging_dir);
    const struct dirent *entry;
    while ((entry = readdir(dir))) {
        char path[PATH_MAX];
        int n = snprintf(path, sizeof(path), "%s/%s", store->staging_dir, entry->d_name);
        if (strncmp(entry->d_name, "out-", 4) != 0 || n < 0 || n >= PATH_MAX)
            continue;
        int r = dv_tree_remove(path, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- the list ---- */

static int summarize(struct dv_image_store *store,
                     const struct dv_stored_image *image,
                     struct dv_arena *answer,
                     struct dv_image_summary *ret,
                     struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(IMAGE_MEMORY_MAX);
    struct dv_document document;
    struct dv_image_config config = {0};
    struct dv_error cause = DV_ERROR_INIT;
    if (!arena)
        return no_memory(err);
    *ret = (struct dv_image_summary){
        .ref = image->reference, .digest = image->manifest.digest, .stored_ns = image->stored_ns};
    if (!read_image(store, &image->manifest, arena, &document, &config, &cause)) {
        ret->note = dv_arena_strdup(answer, cause.text);
        return ret->note ? 0 : no_memory(err);
    }
    ret->image_id = dv_arena_strdup(answer, document.config.digest);
    ret->layers = (int64_t)document.layer_count;
    for (size_t i = 0; i < document.layer_count; i++)
        ret->bytes += document.layers[i].size;
    return ret->image_id ? 0 : no_memory(err);
}

int dv_image_inventory(struct dv_image_store *store,
                       struct dv_arena *arena,
                       struct dv_image_list *ret,
                       struct dv_error *err)
{
    struct dv_stored_image *images = NULL;
    size_t count = 0;
    int r = dv_image_store_list(store, arena, &images, &count, err);
    if (r < 0)
        return r;
    struct dv_image_summary *items = dv_arena_array(arena, count + 1, sizeof(*items));
    if (!items)
        return no_memory(err);
    for (size_t i = 0; r == 0 && i < count; i++)
        r = summarize(store, &images[i], arena, &items[i], err);
    if (r == 0)
        *ret = (struct dv_image_list){.images = {items, count}};
    return r;
}
