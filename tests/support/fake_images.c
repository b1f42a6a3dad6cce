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

/* Jobs that nothing here depends on succeed without an effect; some answer with an empty message.
 */
#define DOES_NOTHING(name, job_type)                                                               \
    static int name(struct dv_image_files *base, const struct job_type *job, struct dv_error *err) \
    {                                                                                              \
        (void)base;                                                                                \
        (void)job;                                                                                 \
        (void)err;                                                                                 \
        return 0;                                                                                  \
    }
#define ANSWERS_NOTHING(name, job_type, answer)                                                    \
    static int name(struct dv_image_files *base, const struct job_type *job,                       \
                    struct dv_arena *arena, struct answer *ret, struct dv_error *err)              \
    {                                                                                              \
        (void)base;                                                                                \
        (void)job;                                                                                 \
        (void)arena;                                                                               \
        (void)err;                                                                                 \
        *ret = (struct answer){0};                                                                 \
        return 0;                                                                                  \
    }

DOES_NOTHING(adopt_blob, dv_blob_adopt_job)
DOES_NOTHING(room, dv_image_room_job)
DOES_NOTHING(sweep, dv_image_sweep_job)
ANSWERS_NOTHING(login, dv_registry_login_query, dv_registry_login)
ANSWERS_NOTHING(list, dv_image_list_job, dv_image_list)
ANSWERS_NOTHING(collect, dv_image_collect_job, dv_image_collected)
ANSWERS_NOTHING(load, dv_image_load_cmd, dv_image_loaded)

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
