/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/image.h"

#include "runtime/image/collect.h"
#include "runtime/image/layers.h"
#include "runtime/image/reference.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

int dv_image_config_load(struct dv_image_store *store,
                         const char *image_id,
                         struct dv_arena *arena,
                         struct dv_image_config *ret,
                         struct dv_error *err)
{
    const char *bytes = NULL;
    size_t len = 0;
    int r =
        dv_image_store_read(store, image_id, DV_IMAGE_CONFIG_BYTES_MAX, arena, &bytes, &len, err);
    return r < 0 ? r : dv_image_config_parse(bytes, len, arena, ret, err);
}

int dv_image_store_blob(struct dv_image_store *store,
                        const struct dv_blob_store_job *job,
                        struct dv_error *err)
{
    return job->content.len
               ? dv_image_store_put(store, job->digest, job->content.data, job->content.len, err)
               : dv_image_store_has(store, job->digest, job->size, err);
}

int dv_image_room(struct dv_image_store *store,
                  const struct dv_image_room_job *job,
                  struct dv_error *err)
{
    const char *dir = dv_image_store_ingest_dir(store);
    struct statvfs info;
    uint64_t missing = 0;
    for (size_t i = 0; i < job->layers.count; i++)
        if (dv_image_store_has(store, job->layers.items[i].digest, 0, NULL) < 0)
            missing += (uint64_t)job->layers.items[i].size;
    if (statvfs(dir, &info) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "'%s'", dir);
    uint64_t free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    if (missing == 0 || missing < free_bytes / 2)
        return 0;
    return dv_error_set(err, DV_ERR_FAILED,
                        "no room: %llu MB of layers are missing and need at least twice that, "
                        "'%s' has %llu MB free; davit prune -a removes unused images",
                        (unsigned long long)(missing / 1000000), dir,
                        (unsigned long long)(free_bytes / 1000000));
}

static int unpack_missing(struct dv_image_store *store,
                          const char *manifest,
                          const struct dv_bytes *keys,
                          const struct dv_document *document,
                          const struct dv_image_config *config,
                          const struct dv_image_unpacker *unpacker,
                          struct dv_error *err)
{
    for (size_t i = 0; i < document->layer_count; i++) {
        char id[DV_LAYER_ID_SIZE];
        if (dv_layers_find(store, config->diff_ids[i], id, NULL) == 0)
            continue;
        struct dv_unpack_job job = {.digest = document->layers[i].digest,
                                    .media_type = document->layers[i].media_type,
                                    .diff_id = config->diff_ids[i],
                                    .timeout_ms = unpacker->timeout_ms};
        if (dv_layer_is_encrypted(job.media_type)) {
            job.manifest = (char *)manifest;
            job.number = (int64_t)i;
            job.keys = *keys;
        }
        int r = dv_layers_unpack(store, &job, unpacker->launcher, id, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static bool has_encrypted_layer(const struct dv_document *document)
{
    for (size_t i = 0; i < document->layer_count; i++)
        if (dv_layer_is_encrypted(document->layers[i].media_type))
            return true;
    return false;
}

/* From a manifest to what a container needs. */
static int make_ready(struct dv_image_store *store,
                      const struct dv_descriptor *manifest,
                      const struct dv_bytes *keys,
                      const struct dv_image_unpacker *unpacker,
                      struct dv_arena *arena,
                      struct dv_image_ready *ret,
                      struct dv_error *err)
{
    struct dv_document document;
    struct dv_image_config config = {0};
    int r = dv_image_store_manifest(store, manifest, arena, &document, err);
    if (r == 0)
        r = dv_image_config_load(store, document.config.digest, arena, &config, err);
    if (r == 0 && config.diff_id_count != document.layer_count)
        r = dv_error_set(err, DV_ERR_CORRUPT,
                         "the configuration has %zu diff_ids, the manifest %zu layers",
                         config.diff_id_count, document.layer_count);
    if (r == 0 && unpacker)
        r = unpack_missing(store, manifest->digest, keys, &document, &config, unpacker, err);
    if (r < 0)
        return r;
    struct dv_image_ready ready = {.image_id = document.config.digest,
                                   .is_encrypted = has_encrypted_layer(&document)};
    r = dv_layers_chain(store, config.diff_ids, config.diff_id_count, arena, &ready.layers, err);
    if (r == 0)
        *ret = ready;
    return r;
}

/* The stored image of that configuration: its reference may mean another one by now. */
static int find_by_id(struct dv_image_store *store,
                      const char *image_id,
                      struct dv_arena *arena,
                      struct dv_stored_image *ret,
                      struct dv_error *err)
{
    struct dv_image_list list = {0};
    int r = dv_image_inventory(store, arena, &list, err);
    for (size_t i = 0; r == 0 && i < list.images.count; i++) {
        const struct dv_image_summary *image = &list.images.items[i];
        if (image->image_id && strcmp(image->image_id, image_id) == 0)
            return dv_image_store_find(store, image->ref, arena, ret, err);
    }
    return r < 0 ? r
                 : dv_error_set(err, DV_ERR_NOT_FOUND, "image %s is not stored any more", image_id);
}

int dv_image_lookup(struct dv_image_store *store,
                    const struct dv_image_lookup_job *job,
                    const struct dv_image_unpacker *unpacker,
                    struct dv_arena *arena,
                    struct dv_image_ready *ret,
                    struct dv_error *err)
{
    struct dv_reference ref;
    struct dv_stored_image image;
    int r = dv_reference_parse(dv_str_of(job->ref), &ref, err);
    if (r == 0 && job->image_id)
        r = find_by_id(store, job->image_id, arena, &image, err);
    else if (r == 0)
        r = dv_image_store_find(store, ref.text, arena, &image, err);
    if (r < 0)
        return r;
    struct dv_error cause = DV_ERROR_INIT;
    r = make_ready(store, &image.manifest, &job->keys, unpacker, arena, ret, &cause);
    if (r == 0 && unpacker && (ret->is_encrypted || job->is_own))
        r = dv_layers_check_keys(store, image.manifest.digest, &job->keys, unpacker, &cause);
    if (r == 0)
        return 0;
    bool is_to_pull = cause.class == DV_ERR_CORRUPT || (cause.class == DV_ERR_STATE && unpacker);
    return dv_error_set(err, is_to_pull ? DV_ERR_NOT_FOUND : cause.class, "image '%s': %s",
                        ref.text, cause.text);
}

int dv_image_commit(struct dv_image_store *store,
                    const struct dv_image_commit_job *job,
                    const struct dv_image_unpacker *unpacker,
                    struct dv_arena *arena,
                    struct dv_image_ready *ret,
                    struct dv_error *err)
{
    struct dv_descriptor manifest = {
        .media_type = job->media_type, .digest = job->digest, .size = job->size};
    struct dv_image_ready ready;
    struct dv_error cause = DV_ERROR_INIT;
    int r = make_ready(store, &manifest, &job->keys, unpacker, arena, &ready, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_NOT_FOUND ? DV_ERR_STATE : cause.class,
                            "image '%s' cannot be stored: %s", job->ref, cause.text);
    r = dv_image_store_commit(store, job->ref, &manifest, err);
    if (r == 0)
        *ret = ready;
    return r;
}
