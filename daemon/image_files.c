/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/image_files.h"

#include "base/cleanup.h"
#include "runtime/image/auth_file.h"
#include "runtime/image/collect.h"
#include "runtime/image/image.h"
#include "runtime/image/layers.h"
#include "runtime/image/load.h"

#include <stdlib.h>

struct files {
    struct dv_image_files base;
    struct dv_image_store *store;
    struct dv_image_unpacker unpacker;
    const char *auth_file; /* "": none */
};

static int lookup(struct dv_image_files *base,
                  const struct dv_image_lookup_job *job,
                  struct dv_arena *arena,
                  struct dv_image_ready *ret,
                  struct dv_error *err)
{
    struct files *files = (struct files *)base;
    return dv_image_lookup(files->store, job, &files->unpacker, arena, ret, err);
}

static int commit(struct dv_image_files *base,
                  const struct dv_image_commit_job *job,
                  struct dv_arena *arena,
                  struct dv_image_ready *ret,
                  struct dv_error *err)
{
    struct files *files = (struct files *)base;
    return dv_image_commit(files->store, job, &files->unpacker, arena, ret, err);
}

static int
store_blob(struct dv_image_files *base, const struct dv_blob_store_job *job, struct dv_error *err)
{
    return dv_image_store_blob(((struct files *)base)->store, job, err);
}

static int
adopt_blob(struct dv_image_files *base, const struct dv_blob_adopt_job *job, struct dv_error *err)
{
    return dv_image_store_adopt(((struct files *)base)->store, job->digest, job->file,
                                job->is_unverified, err);
}

static int
room(struct dv_image_files *base, const struct dv_image_room_job *job, struct dv_error *err)
{
    return dv_image_room(((struct files *)base)->store, job, err);
}

static int unpack(struct dv_image_files *base,
                  const struct dv_unpack_job *job,
                  struct dv_arena *arena,
                  struct dv_unpacked *ret,
                  struct dv_error *err)
{
    struct files *files = (struct files *)base;
    char id[DV_LAYER_ID_SIZE];
    int r = dv_layers_unpack(files->store, job, files->unpacker.launcher, id, err);
    if (r < 0)
        return r;
    ret->layer = dv_arena_strdup(arena, id);
    return ret->layer ? 0 : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a job");
}

static int login(struct dv_image_files *base,
                 const struct dv_registry_login_query *query,
                 struct dv_arena *arena,
                 struct dv_registry_login *ret,
                 struct dv_error *err)
{
    struct files *files = (struct files *)base;
    if (files->auth_file[0])
        return dv_auth_file_find(files->auth_file, query->ref, arena, ret, err);
    *ret = (struct dv_registry_login){0};
    return 0;
}

static int list(struct dv_image_files *base,
                const struct dv_image_list_job *job,
                struct dv_arena *arena,
                struct dv_image_list *ret,
                struct dv_error *err)
{
    (void)job;
    return dv_image_inventory(((struct files *)base)->store, arena, ret, err);
}

static int collect(struct dv_image_files *base,
                   const struct dv_image_collect_job *job,
                   struct dv_arena *arena,
                   struct dv_image_collected *ret,
                   struct dv_error *err)
{
    return dv_image_collect(((struct files *)base)->store, job, arena, ret, err);
}

static int
sweep(struct dv_image_files *base, const struct dv_image_sweep_job *job, struct dv_error *err)
{
    (void)job;
    return dv_image_sweep(((struct files *)base)->store, err);
}

static int load(struct dv_image_files *base,
                const struct dv_image_load_cmd *job,
                struct dv_arena *arena,
                struct dv_image_loaded *ret,
                struct dv_error *err)
{
    struct files *files = (struct files *)base;
    return dv_image_load(files->store, job, &files->unpacker, arena, ret, err);
}

static void free_files(struct dv_image_files *base)
{
    struct files *files = (struct files *)base;
    files->unpacker.launcher->free(files->unpacker.launcher);
    free(files);
}

int daemon_image_files_new(struct dv_image_store *store,
                           struct dv_launcher **launcher,
                           int64_t unpack_timeout_ms,
                           const char *auth_file,
                           struct dv_image_files **ret,
                           struct dv_error *err)
{
    struct files *files = calloc(1, sizeof(*files));
    if (!files)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a worker");
    files->base = (struct dv_image_files){lookup, commit, store_blob, adopt_blob, room, unpack,
                                          login,  list,   collect,    sweep,      load, free_files};
    files->store = store;
    files->unpacker = (struct dv_image_unpacker){dv_steal(launcher), unpack_timeout_ms};
    files->auth_file = auth_file;
    *ret = &files->base;
    return 0;
}
