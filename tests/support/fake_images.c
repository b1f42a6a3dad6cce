/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_images.h"

#include <stdlib.h>

#define IMAGE_ID "sha256:00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

struct files {
    struct dv_image_files base; /* first: the port's view of it */
    struct fake_images *images;
};

static int fill(struct dv_arena *arena, struct dv_image_ready *ret, struct dv_error *err)
{
    char **layers = dv_arena_array(arena, 1, sizeof(*layers));
    char *id = dv_arena_strdup(arena, IMAGE_ID);
    if (layers)
        layers[0] = dv_arena_strdup(arena, "layer0");
    if (!layers || !layers[0] || !id)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for an image");
    *ret = (struct dv_image_ready){.image_id = id, .layers = {layers, 1}};
    return 0;
}

static int lookup(struct dv_image_files *base,
                  const struct dv_image_lookup_job *job,
                  struct dv_arena *arena,
                  struct dv_image_ready *ret,
                  struct dv_error *err)
{
    struct fake_images *images = ((struct files *)base)->images;
    if (images->failures) {
        images->failures--;
        return dv_error_set(err, DV_ERR_IO, "look up '%s': the disk does not answer", job->ref);
    }
    return fill(arena, ret, err);
}

static int commit(struct dv_image_files *base,
                  const struct dv_image_commit_job *job,
                  struct dv_arena *arena,
                  struct dv_image_ready *ret,
                  struct dv_error *err)
{
    (void)base;
    (void)job;
    return fill(arena, ret, err);
}

static int
store_blob(struct dv_image_files *base, const struct dv_blob_store_job *job, struct dv_error *err)
{
    (void)base;
    return job->content.len ? 0 : dv_error_set(err, DV_ERR_NOT_FOUND, "no blob %s", job->digest);
}

static int
adopt_blob(struct dv_image_files *base, const struct dv_blob_adopt_job *job, struct dv_error *err)
{
    (void)base;
    (void)job;
    (void)err;
    return 0;
}

static int
room(struct dv_image_files *base, const struct dv_image_room_job *job, struct dv_error *err)
{
    (void)base;
    (void)job;
    (void)err;
    return 0;
}

static int unpack(struct dv_image_files *base,
                  const struct dv_unpack_job *job,
                  struct dv_arena *arena,
                  struct dv_unpacked *ret,
                  struct dv_error *err)
{
    (void)base;
    (void)job;
    ret->layer = dv_arena_strdup(arena, "layer0");
    return ret->layer ? 0 : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a layer");
}

static int login(struct dv_image_files *base,
                 const struct dv_registry_login_query *query,
                 struct dv_arena *arena,
                 struct dv_registry_login *ret,
                 struct dv_error *err)
{
    (void)base;
    (void)query;
    (void)arena;
    (void)err;
    *ret = (struct dv_registry_login){0};
    return 0;
}

static int list(struct dv_image_files *base,
                const struct dv_image_list_job *job,
                struct dv_arena *arena,
                struct dv_image_list *ret,
                struct dv_error *err)
{
    (void)base;
    (void)job;
    (void)arena;
    (void)err;
    *ret = (struct dv_image_list){0};
    return 0;
}

static int collect(struct dv_image_files *base,
                   const struct dv_image_collect_job *job,
                   struct dv_arena *arena,
                   struct dv_image_collected *ret,
                   struct dv_error *err)
{
    (void)base;
    (void)job;
    (void)arena;
    (void)err;
    *ret = (struct dv_image_collected){0};
    return 0;
}

static int
sweep(struct dv_image_files *base, const struct dv_image_sweep_job *job, struct dv_error *err)
{
    (void)base;
    (void)job;
    (void)err;
    return 0;
}

static int load(struct dv_image_files *base,
                const struct dv_image_load_cmd *job,
                struct dv_arena *arena,
                struct dv_image_loaded *ret,
                struct dv_error *err)
{
    (void)base;
    (void)job;
    (void)arena;
    (void)err;
    *ret = (struct dv_image_loaded){0};
    return 0;
}

static void free_files(struct dv_image_files *base)
{
    free(base);
}

int fake_images_open(struct fake_images *images, struct dv_image_files **ret, struct dv_error *err)
{
    struct files *files = calloc(1, sizeof(*files));
    if (!files)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a worker");
    files->base = (struct dv_image_files){lookup, commit, store_blob, adopt_blob, room, unpack,
                                          login,  list,   collect,    sweep,      load, free_files};
    files->images = images;
    *ret = &files->base;
    return 0;
}
