/* SPDX-License-Identifier: Apache-2.0 */
/* One worker: each job is one call of a port, and its answer. */
#include "actors/worker/worker.h"

#include "actors/env.h"
#include "runtime/image_files.h"
#include "runtime/runtime.h"

#define ANSWER_BYTES_MAX (4U << 20)

struct state {
    struct dv_runtime *runtime;
    struct dv_image_files *images;
};

static int
answer(struct dv_cell *cell, struct dv_request **request, uint16_t kind, const void *body, int r)
{
    if (r == 0 && *request)
        dv_answer(cell, request, kind, body);
    return r;
}

/* Jobs that have nothing to say but done. */
#define DONE_JOB(name, port, call)                                                                 \
    static int on_##name(struct dv_cell *cell, const void *body, struct dv_request **request,      \
                         struct dv_error *err)                                                     \
    {                                                                                              \
        struct state *s = dv_cell_state(cell);                                                     \
        static const struct dv_done done;                                                          \
        return answer(cell, request, DV_KIND_done, &done, call(s->port, body, err));               \
    }
DONE_JOB(runtime_start_job, runtime, s->runtime->ops->start)
DONE_JOB(runtime_signal_job, runtime, s->runtime->ops->signal)
DONE_JOB(runtime_pause_job, runtime, s->runtime->ops->pause)
DONE_JOB(runtime_update_job, runtime, s->runtime->ops->update)
DONE_JOB(runtime_release_job, runtime, s->runtime->ops->release)
DONE_JOB(runtime_remove_job, runtime, s->runtime->ops->remove)
DONE_JOB(blob_store_job, images, s->images->store_blob)
DONE_JOB(blob_adopt_job, images, s->images->adopt_blob)
DONE_JOB(image_room_job, images, s->images->room)
DONE_JOB(image_sweep_job, images, s->images->sweep)
#undef DONE_JOB

/* Jobs whose answer has texts: they live until it is encoded. */
#define ANSWER_JOB(name, port, call, reply)                                                        \
    static int on_##name(struct dv_cell *cell, const void *body, struct dv_request **request,      \
                         struct dv_error *err)                                                     \
    {                                                                                              \
        struct state *s = dv_cell_state(cell);                                                     \
        DV_AUTO(dv_arena) arena = dv_arena_new(ANSWER_BYTES_MAX);                                  \
        if (!arena)                                                                                \
            return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a job");                     \
        struct dv_##reply result = {0};                                                            \
        return answer(cell, request, DV_KIND_##reply, &result,                                     \
                      call(s->port, body, arena, &result, err));                                   \
    }
ANSWER_JOB(runtime_create_job, runtime, s->runtime->ops->create, runtime_created)
ANSWER_JOB(image_lookup_job, images, s->images->lookup, image_ready)
ANSWER_JOB(image_commit_job, images, s->images->commit, image_ready)
ANSWER_JOB(unpack_job, images, s->images->unpack, unpacked)
ANSWER_JOB(registry_login_query, images, s->images->login, registry_login)
ANSWER_JOB(image_list_job, images, s->images->list, image_list)
ANSWER_JOB(image_collect_job, images, s->images->collect, image_collected)
ANSWER_JOB(image_load_cmd, images, s->images->load, image_loaded)
#undef ANSWER_JOB

static int on_runtime_state_query(struct dv_cell *cell,
                                  const void *body,
                                  struct dv_request **request,
                                  struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    struct dv_runtime_state result = {0};
    int r = s->runtime->ops->state(s->runtime, body, &result, err);
    return answer(cell, request, DV_KIND_runtime_state, &result, r);
}

static int on_runtime_leftovers_query(struct dv_cell *cell,
                                      const void *body,
                                      struct dv_request **request,
                                      struct dv_error *err)
{
    (void)body;
    struct state *s = dv_cell_state(cell);
    DV_AUTO(dv_arena) arena = dv_arena_new(ANSWER_BYTES_MAX);
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a job");
    struct dv_runtime_leftovers result = {0};
    int r = s->runtime->ops->leftovers(s->runtime, arena, &result, err);
    return answer(cell, request, DV_KIND_runtime_leftovers, &result, r);
}

static int on_runtime_describe_query(struct dv_cell *cell,
                                     const void *body,
                                     struct dv_request **request,
                                     struct dv_error *err)
{
    (void)body;
    (void)err;
    struct state *s = dv_cell_state(cell);
    struct dv_runtime_description result = {
        .text = (char *)s->runtime->ops->describe(s->runtime),
    };
    return answer(cell, request, DV_KIND_runtime_description, &result, 0);
}

static const struct dv_handler handlers[] = {
#define JOB(name) {DV_KIND_##name, on_##name},
#include "actors/worker/jobs.def"
#undef JOB
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    const struct dv_worker_start_args *args = start;
    const struct dv_actor_env *env = dv_cell_env(cell);
    struct state *s = dv_cell_state(cell);
    unsigned number = (unsigned)args->number;
    int r = env->runtime_open(env->ports, number, &s->runtime, err);
    return r < 0 ? r : env->image_files_open(env->ports, number, &s->images, err);
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    if (s->runtime)
        s->runtime->ops->free(s->runtime);
    if (s->images)
        s->images->free(s->images);
}

const struct dv_cell_type dv_worker_cell = {
    .name = "worker",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .start_kind = DV_KIND_worker_start_args,
    .may_block = true,
    .start = start_cell,
    .stop = stop_cell,
};
