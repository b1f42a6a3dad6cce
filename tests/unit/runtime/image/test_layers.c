/* SPDX-License-Identifier: Apache-2.0 */
/* Layers with a launcher that plays davit-unpack. */
#include "base/durable.h"
#include "layout.h"
#include "runtime/image/digest.h"
#include "runtime/image/layers.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROGRAM "/opt/davit-unpack"

struct fake_launcher {
    struct dv_launcher launcher;
    atomic_int calls;
    int exit_code;
    const char *says;
    enum dv_error_class fails;
    pthread_barrier_t *meets; /* NULL: nobody waits for the launch */
    char argv[2048];          /* of the last call, joined by blanks */
};

static const char *value_of(const struct dv_launch *what, const char *flag)
{
    for (const char *const *a = what->argv; *a; a++)
        if (strcmp(*a, flag) == 0)
            return a[1];
    return NULL;
}

static int fake_launch(struct dv_launcher *launcher,
                       const struct dv_launch *what,
                       struct dv_launch_result *ret,
                       struct dv_error *err)
{
    struct fake_launcher *fake = (struct fake_launcher *)launcher;
    fake->calls++;
    if (fake->meets)
        pthread_barrier_wait(fake->meets);
    size_t used = 0;
    for (const char *const *a = what->argv; *a; a++)
        used += (size_t)snprintf(fake->argv + used, sizeof(fake->argv) - used, "%s ", *a);
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/file", value_of(what, "--dir"));
    file_write(path, value_of(what, "--diff-id"));
    if (fake->fails)
        return dv_error_set(err, fake->fails, "the launcher says no");
    memset(ret, 0, sizeof(*ret));
    ret->exit_code = fake->exit_code;
    if (fake->says)
        ret->stderr_len =
            (size_t)snprintf(ret->stderr_text, sizeof(ret->stderr_text), "%s", fake->says);
    return 0;
}

static char dir[SCRATCH_PATH_MAX];
static struct dv_image_store *store;
static struct dv_arena *arena;
static struct fake_launcher fake;
static char blob[DV_DIGEST_SIZE];

static void setup(void)
{
    scratch_init(dir);
    arena = dv_arena_new(16U << 20);
    store = open_store(dir, PROGRAM);
    fake = (struct fake_launcher){.launcher.launch = fake_launch};
    dv_digest_of("blob", 4, blob);
    cr_assert_eq(dv_image_store_put(store, blob, "blob", 4, NULL), 0);
}

static void teardown(void)
{
    dv_image_store_free(store);
    dv_arena_free(arena);
    scratch_done(dir);
}

TestSuite(layers, .init = setup, .fini = teardown);

static const char *diff_id(char last)
{
    static char texts[4][DV_DIGEST_SIZE];
    static unsigned next;
    char *text = texts[next++ % 4];
    (void)snprintf(text, DV_DIGEST_SIZE,
                   "sha256:aaaaaaaaaaaabbbbcccc0000000000000000000000000000000000000000000%c",
                   last);
    return text;
}

static struct dv_unpack_job job_of(const char *diff)
{
    static char type[] = "application/vnd.oci.image.layer.v1.tar+gzip";
    return (struct dv_unpack_job){.digest = blob,
                                  .media_type = type,
                                  .diff_id = (char *)(uintptr_t)diff,
                                  .timeout_ms = 60000};
}

static int unpack(const char *diff, char id[DV_LAYER_ID_SIZE], struct dv_error *err)
{
    struct dv_unpack_job job = job_of(diff);
    return dv_layers_unpack(store, &job, &fake.launcher, id, err);
}

static bool staging_is_empty(void)
{
    char path[1024];
    (void)snprintf(path, sizeof(path), "%s/layers/staging", dir);
    return rmdir(path) == 0 && mkdir(path, 0700) == 0;
}

Test(layers, a_layer_is_unpacked_once_under_its_short_id)
{
    char id[DV_LAYER_ID_SIZE], again[DV_LAYER_ID_SIZE];
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_layers_find(store, diff_id('1'), id, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(unpack(diff_id('1'), id, &err), 0, "%s", err.text);
    cr_assert_str_eq(id, "aaaaaaaaaaaa");
    cr_assert(file_exists("%s/layers/%s/file", dir, id));
    cr_assert(strstr(fake.argv, PROGRAM " --blob "));
    cr_assert(strstr(fake.argv, " --media-type application/vnd.oci.image.layer.v1.tar+gzip "));
    cr_assert(strstr(fake.argv, blob));
    cr_assert_eq(unpack(diff_id('1'), again, &err), 0, "%s", err.text);
    cr_assert_str_eq(again, id);
    cr_assert_eq(fake.calls, 1);
    cr_assert_eq(dv_layers_find(store, diff_id('1'), again, &err), 0, "%s", err.text);
    cr_assert(staging_is_empty());
}

Test(layers, colliding_ids_grow)
{
    char one[DV_LAYER_ID_SIZE], two[DV_LAYER_ID_SIZE], three[DV_LAYER_ID_SIZE];
    cr_assert_eq(unpack(diff_id('1'), one, NULL), 0);
    cr_assert_eq(unpack(diff_id('2'), two, NULL), 0);
    cr_assert_eq(unpack(diff_id('3'), three, NULL), 0);
    cr_assert_str_eq(one, "aaaaaaaaaaaa");
    cr_assert_str_eq(two, "aaaaaaaaaaaabbbb");
    cr_assert_str_eq(three, "aaaaaaaaaaaabbbbcccc");
    cr_assert_eq(dv_layers_find(store, diff_id('2'), one, NULL), 0);
    cr_assert_str_eq(one, two);
    cr_assert_eq(dv_layers_find(store, diff_id('4'), one, NULL), -DV_ERR_NOT_FOUND);
}

Test(layers, a_failed_unpack_leaves_nothing_and_gives_the_reason)
{
    char id[DV_LAYER_ID_SIZE];
    struct dv_error err = DV_ERROR_INIT;
    fake.exit_code = 1;
    fake.says = "a library: what it thinks\ndavit-unpack: key file '/k' can be read by others\n"
                "davit-unpack: entry 'a\x1b[31mb': absolute name\nmore\n";
    cr_assert_eq(unpack(diff_id('1'), id, &err), -DV_ERR_FAILED);
    cr_assert(strstr(err.text, ": davit-unpack: entry 'a?[31mb': absolute name (exit code 1)"),
              "%s", err.text);
    cr_assert(staging_is_empty());
    cr_assert_not(file_exists("%s/layers/aaaaaaaaaaaa", dir));
    dv_error_clear(&err);
    fake.fails = DV_ERR_TIMED_OUT;
    cr_assert_eq(unpack(diff_id('1'), id, &err), -DV_ERR_TIMED_OUT);
    cr_assert(staging_is_empty());
    fake.fails = DV_ERR_NONE;
    fake.exit_code = 0;
    cr_assert_eq(unpack(diff_id('1'), id, NULL), 0, "a failure blocks the next try");
}

Test(layers, a_blob_damaged_on_disk_is_removed)
{
    char id[DV_LAYER_ID_SIZE];
    struct dv_error err = DV_ERROR_INIT;
    file_write(dv_image_store_blob_path(store, blob, arena), "bloX");
    fake.exit_code = 1;
    cr_assert_eq(unpack(diff_id('1'), id, &err), -DV_ERR_CORRUPT);
    cr_assert(strstr(err.text, "pull the image again"), "%s", err.text);
    cr_assert_eq(dv_image_store_has(store, blob, 0, NULL), -DV_ERR_NOT_FOUND);
    dv_error_clear(&err);
    cr_assert_eq(unpack(diff_id('1'), id, &err), -DV_ERR_STATE);
    cr_assert_eq(fake.calls, 1);
}

Test(layers, impossible_jobs_are_refused)
{
    char id[DV_LAYER_ID_SIZE];
    cr_assert_eq(unpack("sha256:../../etc", id, NULL), -DV_ERR_INVALID);
    DV_AUTO(dv_image_store) without = open_store(dir, NULL);
    struct dv_unpack_job job = job_of(diff_id('1'));
    cr_assert_eq(dv_layers_unpack(without, &job, &fake.launcher, id, NULL), -DV_ERR_STATE);
}

Test(layers, what_a_crash_left_is_cleaned_at_the_next_start)
{
    char id[DV_LAYER_ID_SIZE], path[1024];
    /* Killed while unpacking, and between record and rename. */
    (void)snprintf(path, sizeof(path), "%s/layers/staging/in-1/deep/er", dir);
    cr_assert_eq(dv_dir_make(path, 0700, NULL), 0);
    (void)snprintf(path, sizeof(path), "%s/layers/ids/aaaaaaaaaaaa", dir);
    file_write(path, diff_id('1'));
    DV_AUTO(dv_image_store) next = open_store(dir, PROGRAM);
    cr_assert(staging_is_empty());
    cr_assert_eq(dv_layers_find(next, diff_id('1'), id, NULL), -DV_ERR_NOT_FOUND);
    struct dv_unpack_job job = job_of(diff_id('1'));
    cr_assert_eq(dv_layers_unpack(next, &job, &fake.launcher, id, NULL), 0);
    cr_assert_str_eq(id, "aaaaaaaaaaaa");
}

Test(layers, a_directory_without_record_is_nobodys)
{
    char id[DV_LAYER_ID_SIZE], path[1024];
    (void)snprintf(path, sizeof(path), "%s/layers/aaaaaaaaaaaa", dir);
    cr_assert_eq(dv_dir_make(path, 0755, NULL), 0);
    cr_assert_eq(dv_layers_find(store, diff_id('1'), id, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(unpack(diff_id('1'), id, NULL), 0);
    cr_assert_str_eq(id, "aaaaaaaaaaaabbbb");
    cr_assert_eq(dv_layers_find(store, diff_id('1'), id, NULL), 0);
    cr_assert_str_eq(id, "aaaaaaaaaaaabbbb");
}

struct thread {
    pthread_t id;
    const char *diff;
    char layer[DV_LAYER_ID_SIZE];
    int result;
};

static void *unpack_thread(void *argument)
{
    struct thread *thread = argument;
    thread->result = unpack(thread->diff, thread->layer, NULL);
    return NULL;
}

Test(layers, the_same_layer_is_unpacked_once_by_many_threads)
{
    struct thread threads[8];
    const char *diff = diff_id('1');
    for (size_t i = 0; i < 8; i++) {
        threads[i] = (struct thread){.diff = diff};
        cr_assert_eq(pthread_create(&threads[i].id, NULL, unpack_thread, &threads[i]), 0);
    }
    for (size_t i = 0; i < 8; i++) {
        pthread_join(threads[i].id, NULL);
        cr_assert_eq(threads[i].result, 0);
        cr_assert_str_eq(threads[i].layer, "aaaaaaaaaaaa");
    }
    cr_assert_eq(fake.calls, 1);
    cr_assert(staging_is_empty());
}

Test(layers, different_layers_are_unpacked_at_the_same_time)
{
    /* Both launches must be under way before either goes on. */
    pthread_barrier_t both;
    cr_assert_eq(pthread_barrier_init(&both, NULL, 2), 0);
    fake.meets = &both;
    struct thread threads[2] = {{.diff = diff_id('1')}, {.diff = diff_id('2')}};
    for (size_t i = 0; i < 2; i++)
        cr_assert_eq(pthread_create(&threads[i].id, NULL, unpack_thread, &threads[i]), 0);
    for (size_t i = 0; i < 2; i++) {
        pthread_join(threads[i].id, NULL);
        cr_assert_eq(threads[i].result, 0);
    }
    pthread_barrier_destroy(&both);
    cr_assert_str_neq(threads[0].layer, threads[1].layer);
    char path[1024], id[DV_LAYER_ID_SIZE];
    for (size_t i = 0; i < 2; i++) {
        DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1024);
        cr_assert_eq(dv_layers_find(store, threads[i].diff, id, NULL), 0);
        (void)snprintf(path, sizeof(path), "%s/layers/%s/file", dir, id);
        cr_assert_eq(dv_file_read(path, &text, NULL), 0);
        cr_assert_str_eq(text.data, threads[i].diff, "the layers are swapped");
    }
}

Test(layers, a_chain_is_topmost_first_and_names_each_layer_once)
{
    char one[DV_LAYER_ID_SIZE], two[DV_LAYER_ID_SIZE];
    char *diffs[3];
    diffs[0] = dv_arena_strdup(arena, diff_id('1'));
    diffs[1] = dv_arena_strdup(arena, diff_id('2'));
    diffs[2] = diffs[0];
    struct dv_texts chain;
    cr_assert_eq(unpack(diffs[0], one, NULL), 0);
    cr_assert_eq(dv_layers_chain(store, diffs, 3, arena, &chain, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(unpack(diffs[1], two, NULL), 0);
    cr_assert_eq(dv_layers_chain(store, diffs, 2, arena, &chain, NULL), 0);
    cr_assert_eq(chain.count, 2);
    cr_assert_str_eq(chain.items[0], two);
    cr_assert_str_eq(chain.items[1], one);
    cr_assert_eq(dv_layers_chain(store, diffs, 3, arena, &chain, NULL), 0);
    cr_assert_eq(chain.count, 2);
    cr_assert_str_eq(chain.items[0], one);
    cr_assert_str_eq(chain.items[1], two);
}

Test(layers, a_damaged_layer_counts_as_not_unpacked_and_is_made_whole)
{
    char id[DV_LAYER_ID_SIZE], path[SCRATCH_PATH_MAX + 128];
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(unpack(diff_id('1'), id, &err), 0, "%s", err.text);
    (void)snprintf(path, sizeof(path), "%s/%s/file", dv_layers_dir(store), id);
    cr_assert_eq(unlink(path), 0);
    cr_assert_eq(dv_layers_find(store, diff_id('1'), id, &err), -DV_ERR_NOT_FOUND);
    err = DV_ERROR_INIT;
    cr_assert_eq(unpack(diff_id('1'), id, &err), 0, "%s", err.text);
    cr_assert_eq(fake.calls, 2);
    cr_assert_eq(access(path, F_OK), 0, "it is where it was");
    cr_assert_eq(dv_layers_find(store, diff_id('1'), id, &err), 0, "%s", err.text);
    (void)snprintf(path, sizeof(path), "%s/damaged/%s.1", dv_layers_dir(store), id);
    cr_assert_eq(access(path, F_OK), 0, "others may run on it");
}
