/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/load.h"

#include "base/durable.h"
#include "runtime/image/archive.h"
#include "runtime/image/config.h"
#include "runtime/image/digest.h"
#include "runtime/image/layers.h"
#include "runtime/image/reference.h"

#include "json/json.h"
#include <stdio.h>
#include <string.h>

#define IMAGES_MAX     256
#define CONTAINERD_KEY "io.containerd.image.name"
#define NAME_KEY       "org.opencontainers.image.ref.name"

struct loading {
    struct dv_image_store *store;
    const struct dv_image_load_cmd *job;
    const struct dv_image_unpacker *unpacker;
    struct dv_archive *archive;
    struct dv_arena *arena; /* of the answer */
    struct dv_texts names;  /* loaded */
    bool is_name_used;
};

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "load images: out of memory");
}

/* ---- names ---- */

/* Docker leaves out its own host: "busybox:1" and "team/app:1" are names there. */
static bool complete_name(const char *name, struct dv_reference *ret)
{
    char text[DV_REFERENCE_TEXT_MAX + 16];
    const char *slash = strchr(name, '/');
    size_t first = slash ? (size_t)(slash - name) : 0;
    bool has_host = slash && (memchr(name, '.', first) || memchr(name, ':', first) ||
                              (first == 9 && memcmp(name, "localhost", 9) == 0));
    int n = snprintf(text, sizeof(text), "%s%s", has_host ? "" : "docker.io/", name);
    return n > 0 && (size_t)n < sizeof(text) && dv_reference_parse(dv_str_of(text), ret, NULL) == 0;
}

/* The name that the archive gives, else the one of the job, which is for one image only. */
static int
choose_name(struct loading *l, const char *given, struct dv_reference *ret, struct dv_error *err)
{
    if (given && complete_name(given, ret))
        return 0;
    if (!l->job->name)
        return dv_error_set(err, DV_ERR_INVALID,
                            "load '%.256s': an image in it has no full name%s%.128s%s; give one "
                            "(host/path:tag)",
                            l->job->path, given ? " ('" : "", given ? given : "",
                            given ? "')" : "");
    if (l->is_name_used)
        return dv_error_set(err, DV_ERR_INVALID,
                            "load '%.256s': several images in it have no full name, one name was "
                            "given",
                            l->job->path);
    l->is_name_used = true;
    return dv_reference_parse(dv_str_of(l->job->name), ret, err);
}

/* Names and unpacks an image whose blobs are stored. */
static int finish_image(struct loading *l,
                        const struct dv_descriptor *manifest,
                        const char *given,
                        struct dv_error *err)
{
    struct dv_reference ref;
    if (l->names.count == IMAGES_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "load '%.256s': more than %d images", l->job->path,
                            IMAGES_MAX);
    int r = choose_name(l, given, &ref, err);
    if (r < 0)
        return r;
    struct dv_image_commit_job job = {.ref = ref.text,
                                      .digest = manifest->digest,
                                      .media_type = manifest->media_type,
                                      .size = manifest->size};
    struct dv_image_ready ready;
    r = dv_image_commit(l->store, &job, l->unpacker, l->arena, &ready, err);
    if (r < 0)
        return r;
    char *name = dv_arena_strdup(l->arena, ref.text);
    if (!name)
        return no_memory(err);
    l->names.items[l->names.count++] = name;
    return 0;
}

/* ---- OCI layout ---- */

static int load_blob(struct loading *l, const struct dv_descriptor *what, struct dv_error *err)
{
    char path[DV_DIGEST_SIZE + 16];
    struct dv_str algorithm = dv_digest_algorithm(what->digest), hex = dv_digest_hex(what->digest);
    (void)snprintf(path, sizeof(path), "blobs/%.*s/%.*s", DV_STR_ARG(algorithm), DV_STR_ARG(hex));
    return dv_archive_import(l->archive, l->store, path, what->digest, what->size, err);
}

static int read_document(struct loading *l,
                         const struct dv_descriptor *what,
                         struct dv_arena *arena,
                         struct dv_document *ret,
                         struct dv_error *err)
{
    char path[DV_DIGEST_SIZE + 16];
    const char *bytes = NULL;
    size_t len = 0;
    struct dv_platform platform = dv_platform_host();
    struct dv_str algorithm = dv_digest_algorithm(what->digest), hex = dv_digest_hex(what->digest);
    (void)snprintf(path, sizeof(path), "blobs/%.*s/%.*s", DV_STR_ARG(algorithm), DV_STR_ARG(hex));
    int r = dv_archive_read(l->archive, path, DV_MANIFEST_BYTES_MAX, arena, &bytes, &len, err);
    if (r == 0)
        r = dv_digest_verify(what->digest, bytes, len, err);
    if (r == 0)
        r = dv_document_parse(what->media_type, bytes, len, &platform, arena, ret, err);
    return r;
}

/* From an entry of the layout's index to the manifest for this platform. */
static int find_manifest(struct loading *l,
                         struct dv_descriptor *what,
                         struct dv_arena *arena,
                         struct dv_document *ret,
                         struct dv_error *err)
{
    for (int depth = 0; depth <= DV_INDEX_DEPTH_MAX; depth++) {
        int r = read_document(l, what, arena, ret, err);
        if (r < 0 || ret->kind == DV_DOCUMENT_MANIFEST)
            return r;
        *what = ret->chosen;
    }
    return dv_error_set(err, DV_ERR_CORRUPT, "more than %d indexes lead to a manifest",
                        DV_INDEX_DEPTH_MAX);
}

static int load_entry(struct loading *l, const struct dv_json *entry, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct dv_document document;
    const struct dv_json *notes = dv_json_get(entry, "annotations");
    const char *given = dv_json_text(dv_json_get(notes, CONTAINERD_KEY));
    const char *type = dv_json_text(dv_json_get(entry, "mediaType"));
    const char *digest = dv_json_text(dv_json_get(entry, "digest"));
    int64_t size = 0;
    if (!arena)
        return no_memory(err);
    if (!digest || !dv_digest_is_valid(dv_str_of(digest)) ||
        !dv_json_to_i64(dv_json_get(entry, "size"), &size))
        return dv_error_set(err, DV_ERR_CORRUPT, "load '%.256s': index.json has a bad entry",
                            l->job->path);
    struct dv_descriptor what = {.media_type = dv_arena_strdup(arena, type ? type : ""),
                                 .digest = dv_arena_strdup(arena, digest),
                                 .size = size};
    if (!what.media_type || !what.digest)
        return no_memory(err);
    int r = find_manifest(l, &what, arena, &document, err);
    if (r == 0)
        r = load_blob(l, &what, err);
    if (r == 0)
        r = load_blob(l, &document.config, err);
    for (size_t i = 0; r == 0 && i < document.layer_count; i++)
        r = load_blob(l, &document.layers[i], err);
    if (r < 0)
        return dv_error_prefix(err, "load '%.256s': ", l->job->path);
    what.media_type = document.media_type;
    return finish_image(l, &what, given ? given : dv_json_text(dv_json_get(notes, NAME_KEY)), err);
}

static int load_layout(struct loading *l, const struct dv_json *index, struct dv_error *err)
{
    const struct dv_json *entries = dv_json_get(index, "manifests");
    int r = 0;
    if (!dv_json_is(entries, DV_JSON_ARRAY) || dv_json_count(entries) == 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "load '%.256s': index.json names no image",
                            l->job->path);
    for (const struct dv_json *e = dv_json_first(entries); r == 0 && e; e = dv_json_next(e))
        r = load_entry(l, e, err);
    return r;
}

/* ---- docker save ---- */

/* A layer is a file whose digest is told by nobody but the tar inside it; the one that was
 * uncompressed in the archive is its own diff id. */
static int take_docker_layer(struct loading *l,
                             const char *path,
                             const char *diff_id,
                             struct dv_arena *arena,
                             struct dv_descriptor *ret,
                             struct dv_error *err)
{
    char digest[DV_DIGEST_SIZE];
    bool is_compressed = false;
    int r = dv_archive_measure(l->archive, path, digest, &ret->size, &is_compressed, err);
    if (r < 0)
        return r;
    if (!is_compressed && strcmp(digest, diff_id) != 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "layer '%.200s' has digest %s, expected is %s",
                            path, digest, diff_id);
    ret->digest = dv_arena_strdup(arena, digest);
    ret->media_type =
        dv_arena_strdup(arena, is_compressed ? "application/vnd.oci.image.layer.v1.tar+gzip"
                                             : "application/vnd.oci.image.layer.v1.tar");
    if (!ret->digest || !ret->media_type)
        return no_memory(err);
    return dv_archive_import(l->archive, l->store, path, digest, ret->size, err);
}

static int take_docker_config(struct loading *l,
                              const char *path,
                              struct dv_arena *arena,
                              struct dv_document *document,
                              struct dv_image_config *config,
                              struct dv_error *err)
{
    const char *bytes = NULL;
    size_t len = 0;
    char digest[DV_DIGEST_SIZE];
    int r = dv_archive_read(l->archive, path, DV_IMAGE_CONFIG_BYTES_MAX, arena, &bytes, &len, err);
    if (r == 0)
        r = dv_image_config_parse(bytes, len, arena, config, err);
    if (r == 0)
        r = dv_image_store_put(l->store, dv_digest_of(bytes, len, digest), bytes, len, err);
    if (r < 0)
        return r;
    document->config =
        (struct dv_descriptor){.digest = dv_arena_strdup(arena, digest), .size = (int64_t)len};
    return document->config.digest ? 0 : no_memory(err);
}

static int store_manifest(struct loading *l,
                          const struct dv_document *document,
                          struct dv_arena *arena,
                          struct dv_descriptor *ret,
                          struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_MANIFEST_BYTES_MAX);
    char digest[DV_DIGEST_SIZE];
    int r = dv_manifest_write_oci(document, &text, err);
    if (r == 0)
        r = dv_image_store_put(l->store, dv_digest_of(text.data, text.len, digest), text.data,
                               text.len, err);
    if (r < 0)
        return r;
    *ret = (struct dv_descriptor){.media_type = dv_arena_strdup(arena, DV_MEDIA_OCI_MANIFEST),
                                  .digest = dv_arena_strdup(arena, digest),
                                  .size = (int64_t)text.len};
    return ret->media_type && ret->digest ? 0 : no_memory(err);
}

static int load_docker_image(struct loading *l, const struct dv_json *entry, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct dv_document document = {.kind = DV_DOCUMENT_MANIFEST};
    struct dv_image_config config = {0};
    struct dv_descriptor manifest;
    const char *config_path = dv_json_text(dv_json_get(entry, "Config"));
    const struct dv_json *layers = dv_json_get(entry, "Layers");
    const struct dv_json *tags = dv_json_get(entry, "RepoTags");
    size_t count = dv_json_is(layers, DV_JSON_ARRAY) ? dv_json_count(layers) : 0;
    if (!arena)
        return no_memory(err);
    if (!config_path || count > DV_LAYERS_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "load '%.256s': manifest.json has an entry without Config, or with "
                            "more than %d layers",
                            l->job->path, DV_LAYERS_MAX);
    int r = take_docker_config(l, config_path, arena, &document, &config, err);
    if (r == 0 && config.diff_id_count != count)
        r = dv_error_set(err, DV_ERR_CORRUPT,
                         "the configuration has %zu diff_ids, there are %zu "
                         "layers",
                         config.diff_id_count, count);
    if (r == 0 && !(document.layers = dv_arena_array(arena, count + 1, sizeof(*document.layers))))
        r = no_memory(err);
    for (const struct dv_json *n = dv_json_first(layers); r == 0 && n; n = dv_json_next(n)) {
        const char *path = dv_json_text(n);
        size_t i = document.layer_count++;
        r = path ? take_docker_layer(l, path, config.diff_ids[i], arena, &document.layers[i], err)
                 : dv_error_set(err, DV_ERR_CORRUPT, "a layer has no name");
    }
    if (r == 0)
        r = store_manifest(l, &document, arena, &manifest, err);
    if (r < 0)
        return dv_error_prefix(err, "load '%.256s': ", l->job->path);
    const struct dv_json *tag = dv_json_is(tags, DV_JSON_ARRAY) ? dv_json_first(tags) : NULL;
    do {
        r = finish_image(l, &manifest, dv_json_text(tag), err);
        tag = tag ? dv_json_next(tag) : NULL;
    } while (r == 0 && tag);
    return r;
}

static int load_docker(struct loading *l, const struct dv_json *list, struct dv_error *err)
{
    int r = 0;
    if (!dv_json_is(list, DV_JSON_ARRAY) || dv_json_count(list) == 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "load '%.256s': manifest.json names no image",
                            l->job->path);
    for (const struct dv_json *e = dv_json_first(list); r == 0 && e; e = dv_json_next(e))
        r = load_docker_image(l, e, err);
    return r;
}

/* ---- both ---- */

/* 1 and the tree of a JSON file of the archive, 0 when there is no such file. */
static int
read_json(struct loading *l, const char *name, struct dv_json **ret, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(16U << 20);
    struct dv_error cause = DV_ERROR_INIT;
    const char *bytes = NULL;
    size_t len = 0;
    if (!arena)
        return no_memory(err);
    int r =
        dv_archive_read(l->archive, name, DV_IMAGE_INDEX_BYTES_MAX, arena, &bytes, &len, &cause);
    if (r == -DV_ERR_NOT_FOUND)
        return 0;
    if (r == 0)
        r = dv_json_parse_cased(bytes, len, ret, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_INVALID ? DV_ERR_CORRUPT : cause.class,
                            "load '%.256s': %s: %s", l->job->path, name, cause.text);
    return 1;
}

int dv_image_load(struct dv_image_store *store,
                  const struct dv_image_load_cmd *job,
                  const struct dv_image_unpacker *unpacker,
                  struct dv_arena *arena,
                  struct dv_image_loaded *ret,
                  struct dv_error *err)
{
    struct loading l = {.store = store, .job = job, .unpacker = unpacker, .arena = arena};
    DV_AUTO(dv_archive) archive = NULL;
    DV_AUTO(dv_json) root = NULL;
    l.names.items = dv_arena_array(arena, IMAGES_MAX, sizeof(char *));
    if (!l.names.items)
        return no_memory(err);
    int r = dv_archive_open(store, job->path, unpacker, &archive, err);
    if (r < 0)
        return r;
    l.archive = archive;
    /* Newer versions of docker write both; manifest.json has the names that its user knows. */
    r = read_json(&l, "manifest.json", &root, err);
    if (r > 0)
        r = load_docker(&l, root, err);
    else if (r == 0 && (r = read_json(&l, "index.json", &root, err)) > 0)
        r = load_layout(&l, root, err);
    else if (r == 0)
        r = dv_error_set(err, DV_ERR_INVALID,
                         "load '%.256s': it is neither an OCI image layout (index.json) nor what "
                         "docker save writes (manifest.json)",
                         job->path);
    if (r < 0)
        return r;
    *ret = (struct dv_image_loaded){.images = l.names};
    return 0;
}
