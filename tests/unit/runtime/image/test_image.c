/* SPDX-License-Identifier: Apache-2.0 */
/* From stored blobs to an image that is ready, with a launcher that plays davit-unpack. */
#include "base/durable.h"
#include "layout.h"
#include "runtime/image/collect.h"
#include "runtime/image/image.h"
#include "runtime/image/layers.h"
#include "runtime/image/load.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>

#define REF      "localhost:5000/demo/hello:1"
#define REF_TEXT ((char[]){REF})

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
    cr_assert_eq(dv_image_lookup(store, &(struct dv_image_lookup_job){.ref = (char *)REF},
                                 &unpacker, arena, &ready, NULL),
                 -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_commit(store, &job, NULL, arena, &ready, &err), -DV_ERR_STATE);
    cr_assert(strstr(err.text, "is not unpacked"), "%s", err.text);
    dv_error_clear(&err);
    cr_assert_eq(dv_image_lookup(store, &(struct dv_image_lookup_job){.ref = (char *)REF},
                                 &unpacker, arena, &ready, NULL),
                 -DV_ERR_NOT_FOUND, "a failed commit names the image");
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, &err), 0, "%s", err.text);
    cr_assert_str_eq(ready.image_id, made.document.config.digest);
    cr_assert_geq(ready.layers.count, 2);
    unsigned before = launches;
    struct dv_image_ready found;
    cr_assert_eq(dv_image_lookup(store, &(struct dv_image_lookup_job){.ref = (char *)REF}, NULL,
                                 arena, &found, &err),
                 0, "%s", err.text);
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
    cr_assert_eq(dv_image_lookup(store, &(struct dv_image_lookup_job){.ref = (char *)REF}, NULL,
                                 arena, &ready, NULL),
                 -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_lookup(store, &(struct dv_image_lookup_job){.ref = (char *)REF},
                                 &unpacker, arena, &ready, &err),
                 0, "%s", err.text);
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
    cr_assert_eq(dv_image_lookup(store, &(struct dv_image_lookup_job){.ref = (char *)REF},
                                 &unpacker, arena, &ready, &err),
                 -DV_ERR_NOT_FOUND);
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

/* Blobs that came while a collection runs would stay; these came an hour ago. */
static void age_blobs(void)
{
    char *output = NULL;
    char folder[1024];
    (void)snprintf(folder, sizeof(folder), "%s/images/blobs", home);
    const char *const find[] = {
        "/usr/bin/find", folder, "-type", "f", "-exec", "/usr/bin/touch", "-d",
        "-1 hour",       "{}",   "+",     NULL};
    cr_assert_eq(run_program(&output, find), 0, "%s", output);
    free(output);
}

static struct dv_image_collected collect(const struct dv_image_collect_job *job)
{
    age_blobs();
    struct dv_image_collected collected = {0};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_collect(store, job, arena, &collected, &err), 0, "%s", err.text);
    return collected;
}

static struct dv_image_ready store_image(struct made_image *made)
{
    make_layout(dir, false);
    bring_blobs(dir, store, arena, made);
    struct dv_image_commit_job job = commit_job(made, REF);
    struct dv_image_ready ready;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_commit(store, &job, &unpacker, arena, &ready, &err), 0, "%s", err.text);
    return ready;
}

Test(image, collecting_keeps_what_images_and_users_need)
{
    struct made_image made;
    struct dv_image_ready ready = store_image(&made);
    struct dv_image_collect_job job = {0};
    struct dv_image_collected collected = collect(&job);
    cr_assert_eq(collected.layers, 0);
    cr_assert_eq(collected.blobs, 0);
    cr_assert_gt(collected.oldest_ns, 0);
    struct dv_image_collect_job removal = {.remove_ref = REF_TEXT,
                                           .used_images = {&ready.image_id, 1},
                                           .used_layers = {&ready.layers.items[1], 1}};
    collected = collect(&removal);
    cr_assert_eq(collected.images.count, 1);
    cr_assert_str_eq(collected.images.items[0], REF);
    cr_assert_eq(collected.layers, 1);
    cr_assert(file_exists("%s/layers/%s", home, ready.layers.items[1]));
    cr_assert(file_exists("%s/layers/ids/%s", home, ready.layers.items[1]));
    cr_assert_not(file_exists("%s/layers/%s", home, ready.layers.items[0]));
    cr_assert_not(file_exists("%s/layers/ids/%s", home, ready.layers.items[0]));
    cr_assert_eq(dv_image_store_has(store, ready.image_id, 0, NULL), 0, "of a container");
    cr_assert_eq(dv_image_store_has(store, made.manifest.digest, 0, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(collect(&job).layers, 1);
    cr_assert_eq(dv_image_store_has(store, ready.image_id, 0, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_sweep(store, NULL), 0);
    cr_assert_not(file_exists("%s/layers/staging/out-1", home));
}

Test(image, used_images_stay_whoever_wants_them_gone)
{
    struct made_image made;
    struct dv_image_ready ready = store_image(&made);
    char *ref = REF_TEXT;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_image_collected collected;
    struct dv_image_collect_job by_name = {.is_all = true, .used_refs = {&ref, 1}};
    struct dv_image_collect_job by_id = {.before_ns = INT64_MAX,
                                         .used_images = {&ready.image_id, 1}};
    cr_assert_eq(collect(&by_name).images.count, 0);
    cr_assert_eq(collect(&by_id).images.count, 0);
    by_name.remove_ref = ref;
    cr_assert_eq(dv_image_collect(store, &by_name, arena, &collected, &err), -DV_ERR_STATE);
    cr_assert(strstr(err.text, "is used by"), "%s", err.text);
    dv_error_clear(&err);
    struct dv_image_collect_job unknown = {.remove_ref = (char[]){"r.example/none:1"}};
    cr_assert_eq(dv_image_collect(store, &unknown, arena, &collected, &err), -DV_ERR_NOT_FOUND);
    cr_assert(file_exists("%s/layers/%s", home, ready.layers.items[0]));
}

Test(image, unused_images_expire_by_their_age)
{
    struct made_image made;
    (void)store_image(&made);
    struct dv_image_collect_job early = {.before_ns = 1}, late = {.before_ns = INT64_MAX};
    cr_assert_eq(collect(&early).images.count, 0);
    struct dv_image_collected collected = collect(&late);
    cr_assert_eq(collected.images.count, 1);
    cr_assert_eq(collected.layers, 2);
    cr_assert_gt(collected.blobs, 3);
    cr_assert_gt(collected.bytes, 100);
}

Test(image, what_a_pull_counts_on_stays)
{
    struct made_image made;
    make_layout(dir, false);
    bring_blobs(dir, store, arena, &made);
    char *held[] = {made.manifest.digest, made.document.config.digest,
                    made.document.layers[0].digest};
    struct dv_image_collect_job job = {.held_blobs = {held, 3}};
    cr_assert_eq(collect(&job).blobs, 1, "the other layer");
    struct dv_image_collect_job young = {.orphans_before_ns = 1};
    cr_assert_eq(collect(&young).blobs, 0, "came later than that");
    struct dv_image_collect_job nothing = {0};
    cr_assert_eq(collect(&nothing).blobs, 3);
}

Test(image, what_a_commit_writes_meanwhile_stays)
{
    struct made_image made;
    make_layout(dir, false);
    bring_blobs(dir, store, arena, &made);
    age_blobs();
    char *young = dv_image_store_blob_path(store, made.manifest.digest, arena);
    char *output = NULL;
    const char *const touch[] = {"/usr/bin/touch", "-d", "+1 minute", young, NULL};
    cr_assert_eq(run_program(&output, touch), 0);
    free(output);
    struct dv_image_collect_job job = {0};
    struct dv_image_collected collected;
    cr_assert_eq(dv_image_collect(store, &job, arena, &collected, NULL), 0);
    cr_assert_eq(collected.blobs, 3);
    cr_assert(file_exists("%s", young));
}

Test(image, abandoned_beginnings_go_and_locked_ones_stay)
{
    char path[2][1024];
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path[i], sizeof(path[i]), "%s/%zu.part", dv_image_store_ingest_dir(store),
                       i);
        file_write(path[i], "x");
    }
    dv_autoclose int fd = open(path[0], O_RDONLY | O_CLOEXEC);
    cr_assert_eq(flock(fd, LOCK_EX), 0);
    struct dv_image_collect_job expiry = {.orphans_before_ns = 1}, prune = {0};
    (void)collect(&expiry);
    cr_assert(file_exists("%s", path[1]), "for the next try");
    (void)collect(&prune);
    cr_assert(file_exists("%s", path[0]), "in use");
    cr_assert_not(file_exists("%s", path[1]));
}

Test(image, layers_that_are_unpacked_meanwhile_have_their_id_kept)
{
    struct made_image made;
    struct dv_image_ready ready = store_image(&made);
    struct dv_image_config config = {0};
    cr_assert_eq(dv_image_config_load(store, ready.image_id, arena, &config, NULL), 0);
    struct dv_image_collect_job job = {.remove_ref = REF_TEXT,
                                       .held_diff_ids = {config.diff_ids, config.diff_id_count}};
    cr_assert_eq(collect(&job).layers, 0);
}

Test(image, a_damaged_image_holds_nothing_but_what_containers_use)
{
    struct made_image made;
    struct dv_image_ready ready = store_image(&made);
    file_write(dv_image_store_blob_path(store, made.manifest.digest, arena), "{}");
    struct dv_image_collect_job job = {.used_layers = {&ready.layers.items[0], 1}};
    cr_assert_eq(collect(&job).layers, 1);
    cr_assert(file_exists("%s/layers/%s", home, ready.layers.items[0]));
    struct dv_image_list list;
    cr_assert_eq(dv_image_inventory(store, arena, &list, NULL), 0);
    cr_assert_eq(list.images.count, 1);
    cr_assert_not_null(list.images.items[0].note);
}

Test(image, a_layout_is_loaded_under_the_name_that_is_given)
{
    char path[1024];
    struct dv_error err = DV_ERROR_INIT;
    struct dv_image_ready ready;
    struct dv_image_loaded loaded;
    make_layout(dir, true);
    (void)snprintf(path, sizeof(path), "%s/layout", dir);
    struct dv_image_load_cmd job = {.path = path};
    cr_assert_eq(dv_image_load(store, &job, &unpacker, arena, &loaded, &err), -DV_ERR_INVALID);
    cr_assert(strstr(err.text, "no full name ('made')"), "%s", err.text);
    dv_error_clear(&err);
    job.name = REF_TEXT;
    cr_assert_eq(dv_image_load(store, &job, &unpacker, arena, &loaded, &err), 0, "%s", err.text);
    cr_assert_eq(loaded.images.count, 1);
    cr_assert_str_eq(loaded.images.items[0], REF);
    cr_assert_eq(dv_image_lookup(store, &(struct dv_image_lookup_job){.ref = REF_TEXT}, NULL, arena,
                                 &ready, &err),
                 0, "%s", err.text);
    cr_assert_eq(ready.layers.count, 2);
}

Test(image, only_archives_and_layouts_are_loaded)
{
    static const struct {
        char path[64];
        const char *why;
    } rows[] = {
        {"relative", "absolute"},
        {"/nonexistent/x", "No such file"},
        {"/dev/null", "neither a file nor a directory"},
        {"/usr/bin", "neither an OCI image layout"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_image_load_cmd job = {.path = (char *)(uintptr_t)rows[i].path};
        struct dv_image_loaded loaded;
        struct dv_error err = DV_ERROR_INIT;
        cr_expect_eq(dv_image_load(store, &job, &unpacker, arena, &loaded, &err), -DV_ERR_INVALID);
        cr_expect(strstr(err.text, rows[i].why), "%s", err.text);
    }
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
