/* SPDX-License-Identifier: Apache-2.0 */
/* From stored blobs to an image that is ready, with a launcher that plays davit-unpack. */
#include "base/durable.h"
#include "layout.h"
#include "runtime/image/image.h"
#include "runtime/image/layers.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REF "localhost:5000/demo/hello:1"

static int exit_code;
static unsigned launches;

static int fake_launch(struct dv_launcher *launcher,
                       const struct dv_launch *what,
                       struct dv_launch_result *ret,
                       struct dv_error *err)
{
    (void)launcher;
    (void)what;
    (void)err;
    launches++;
    memset(ret, 0, sizeof(*ret));
    ret->exit_code = exit_code;
    return 0;
}

static struct dv_launcher launcher = {.launch = fake_launch};
static const struct dv_image_unpacker unpacker = {.launcher = &launcher, .timeout_ms = 60000};

static char dir[SCRATCH_PATH_MAX], home[SCRATCH_PATH_MAX + 16];
static struct dv_image_store *store;
static struct dv_arena *arena;

static void setup(void)
{
    scratch_init(dir);
    (void)snprintf(home, sizeof(home), "%s/home", dir);
    arena = dv_arena_new(32U << 20);
    store = open_store(home, "/opt/davit-unpack");
}

static void teardown(void)
{
    dv_image_store_free(store);
    dv_arena_free(arena);
    scratch_done(dir);
}

TestSuite(image, .init = setup, .fini = teardown);

static struct dv_image_commit_job commit_job(const struct made_image *image, const char *ref)
{
    return (struct dv_image_commit_job){.ref = (char *)(uintptr_t)ref,
                                        .digest = image->manifest.digest,
                                        .media_type = image->manifest.media_type,
                                        .size = image->manifest.size};
}

Test(image, a_committed_image_is_ready)
{
    make_layout(dir, true);
    struct made_image made;
    bring_blobs(dir, store, arena, &made);
    struct dv_image_commit_job job = commit_job(&made, REF);
    struct dv_image_ready ready;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_lookup(store, REF, &unpacker, arena, &ready, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_commit(store, &job, NULL, arena, &ready, &err), -DV_ERR_STATE);
    cr_assert(strstr(err.text, "is not unpacked"), "%s", err.text);
    dv_error_clear(&err);
    cr_assert_eq(dv_image_lookup(store, REF, &unpacker, arena, &ready, NULL), -DV_ERR_NOT_FOUND,
                 "a failed commit names the image");
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, &err), 0, "%s", err.text);
    cr_assert_str_eq(ready.image_id, made.document.config.digest);
    cr_assert_geq(ready.layers.count, 2);
    unsigned before = launches;
    struct dv_image_ready found;
    cr_assert_eq(dv_image_lookup(store, REF, NULL, arena, &found, &err), 0, "%s", err.text);
    cr_assert_eq(found.layers.count, ready.layers.count);
    cr_assert_str_eq(found.layers.items[0], ready.layers.items[0]);
    cr_assert_eq(launches, before);
    struct dv_image_config config;
    cr_assert_eq(dv_image_config_load(store, found.image_id, arena, &config, &err), 0, "%s",
                 err.text);
    cr_assert_str_eq(config.entrypoint[0], "/one");
    cr_assert_eq(config.diff_id_count, made.document.layer_count);
}

Test(image, lost_layers_are_unpacked_again_from_stored_blobs)
{
    make_layout(dir, false);
    struct made_image made;
    bring_blobs(dir, store, arena, &made);
    struct dv_image_commit_job job = commit_job(&made, REF);
    struct dv_image_ready ready;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, &err), 0, "%s", err.text);
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/layers/%s", home, ready.layers.items[0]);
    cr_assert_eq(dv_tree_remove(path, NULL), 0);
    cr_assert_eq(dv_image_lookup(store, REF, NULL, arena, &ready, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_lookup(store, REF, &unpacker, arena, &ready, &err), 0, "%s", err.text);
    cr_assert_eq(launches, 3);
}

Test(image, damaged_documents_read_as_not_stored)
{
    make_layout(dir, false);
    struct made_image made;
    bring_blobs(dir, store, arena, &made);
    struct dv_image_commit_job job = commit_job(&made, REF);
    struct dv_image_ready ready;
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, NULL), 0);
    file_write(dv_image_store_blob_path(store, made.document.config.digest, arena), "{}");
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_lookup(store, REF, &unpacker, arena, &ready, &err), -DV_ERR_NOT_FOUND);
    cr_assert(strstr(err.text, REF), "%s", err.text);
}

Test(image, unpack_failures_are_reported_as_such)
{
    make_layout(dir, false);
    struct made_image made;
    bring_blobs(dir, store, arena, &made);
    struct dv_image_commit_job job = commit_job(&made, REF);
    struct dv_image_ready ready;
    struct dv_error err = DV_ERROR_INIT;
    exit_code = 1;
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, &err), -DV_ERR_FAILED);
    cr_assert(strstr(err.text, "unpack layer"), "%s", err.text);
}

Test(image, collecting_keeps_what_images_and_users_need)
{
    make_layout(dir, false);
    struct made_image made;
    bring_blobs(dir, store, arena, &made);
    struct dv_image_commit_job job = commit_job(&made, REF);
    struct dv_image_ready ready;
    struct dv_error err = DV_ERROR_INIT;
    size_t removed = 9;
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, &err), 0, "%s", err.text);
    cr_assert_eq(dv_layers_collect(store, NULL, 0, &removed, &err), 0, "%s", err.text);
    cr_assert_eq(removed, 0);
    cr_assert_eq(dv_image_store_remove(store, REF, &err), 0, "%s", err.text);
    const char *used[] = {ready.layers.items[1]};
    cr_assert_eq(dv_layers_collect(store, used, 1, &removed, &err), 0, "%s", err.text);
    cr_assert_eq(removed, 1);
    cr_assert(file_exists("%s/layers/%s", home, ready.layers.items[1]));
    cr_assert(file_exists("%s/layers/ids/%s", home, ready.layers.items[1]));
    cr_assert_not(file_exists("%s/layers/%s", home, ready.layers.items[0]));
    cr_assert_not(file_exists("%s/layers/ids/%s", home, ready.layers.items[0]));
    cr_assert_eq(dv_layers_collect(store, NULL, 0, &removed, &err), 0, "%s", err.text);
    cr_assert_eq(removed, 1);
}

Test(image, nothing_is_collected_while_an_image_cannot_be_read)
{
    make_layout(dir, false);
    struct made_image made;
    bring_blobs(dir, store, arena, &made);
    struct dv_image_commit_job job = commit_job(&made, REF);
    struct dv_image_ready ready;
    struct dv_error err = DV_ERROR_INIT;
    size_t removed = 9;
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, &err), 0, "%s", err.text);
    file_write(dv_image_store_blob_path(store, made.manifest.digest, arena), "{}");
    cr_assert_eq(dv_layers_collect(store, NULL, 0, &removed, &err), -DV_ERR_CORRUPT);
    cr_assert(strstr(err.text, REF), "%s", err.text);
    cr_assert(file_exists("%s/layers/%s", home, ready.layers.items[0]));
}

Test(image, blob_jobs_store_or_ask)
{
    static uint8_t bytes[] = {'a', 'b', 'c'};
    static char digest[] =
        "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    struct dv_blob_store_job ask = {.digest = digest};
    struct dv_blob_store_job put = {.digest = digest, .content = {bytes, 3}};
    cr_assert_eq(dv_image_store_blob(store, &ask, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_store_blob(store, &put, NULL), 0);
    cr_assert_eq(dv_image_store_blob(store, &ask, NULL), 0);
}
