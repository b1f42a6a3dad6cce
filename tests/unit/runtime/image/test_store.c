/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"
#include "layout.h"
#include "runtime/image/digest.h"
#include "runtime/image/store.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <sys/stat.h>

#define REF "localhost:5000/demo/hello:1"

static char dir[SCRATCH_PATH_MAX];
static char home[SCRATCH_PATH_MAX + 16];
static struct dv_arena *arena;

static void setup(void)
{
    scratch_init(dir);
    (void)snprintf(home, sizeof(home), "%s/home", dir);
    arena = dv_arena_new(16U << 20);
}

static void teardown(void)
{
    dv_arena_free(arena);
    scratch_done(dir);
}

TestSuite(store, .init = setup, .fini = teardown);

Test(store, opening_makes_an_empty_layout)
{
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    cr_assert(file_exists("%s/images/oci-layout", home));
    cr_assert(file_exists("%s/images/index.json", home));
    cr_assert(file_exists("%s/images/blobs/sha256", home));
    cr_assert_null(dv_image_store_note(store));
    struct dv_stored_image *images = NULL;
    size_t count = 9;
    cr_assert_eq(dv_image_store_list(store, arena, &images, &count, NULL), 0);
    cr_assert_eq(count, 0);
}

Test(store, a_blob_gets_its_name_only_with_its_digest)
{
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    char digest[DV_DIGEST_SIZE];
    struct dv_error err = DV_ERROR_INIT;
    dv_digest_of("abc", 3, digest);
    cr_assert_eq(dv_image_store_has(store, digest, 0, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_store_put(store, digest, "abd", 3, NULL), -DV_ERR_CORRUPT);
    cr_assert_eq(dv_image_store_has(store, digest, 0, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_store_put(store, digest, "abc", 3, &err), 0, "%s", err.text);
    cr_assert_eq(dv_image_store_put(store, digest, "abc", 3, &err), 0, "%s", err.text);
    cr_assert_eq(dv_image_store_has(store, digest, 0, NULL), 0);
    cr_assert_eq(dv_image_store_has(store, digest, 3, NULL), 0);
    cr_assert_eq(dv_image_store_has(store, digest, 4, NULL), -DV_ERR_NOT_FOUND);
    const char *bytes = NULL;
    size_t len = 0;
    cr_assert_eq(dv_image_store_read(store, digest, 10, arena, &bytes, &len, &err), 0, "%s",
                 err.text);
    cr_assert_eq(len, 3);
    cr_assert_eq(dv_image_store_read(store, digest, 2, arena, &bytes, &len, NULL), -DV_ERR_CORRUPT);
}

Test(store, a_damaged_blob_is_not_trusted)
{
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    char digest[DV_DIGEST_SIZE];
    dv_digest_of("abc", 3, digest);
    cr_assert_eq(dv_image_store_put(store, digest, "abc", 3, NULL), 0);
    file_write(dv_image_store_blob_path(store, digest, arena), "abX");
    const char *bytes = NULL;
    size_t len = 0;
    cr_assert_eq(dv_image_store_read(store, digest, 10, arena, &bytes, &len, NULL),
                 -DV_ERR_CORRUPT);
}

Test(store, digests_that_are_none_never_become_paths)
{
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    static const char *const bad[] = {"", "sha256:../../index.json", "sha256:abc", "x:y"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(dv_image_store_has(store, bad[i], 0, NULL), -DV_ERR_INVALID);
        cr_assert_eq(dv_image_store_put(store, bad[i], "", 0, NULL), -DV_ERR_INVALID);
        cr_assert_null(dv_image_store_blob_path(store, bad[i], arena));
    }
    cr_assert_eq(dv_image_store_has(store, NULL, 0, NULL), -DV_ERR_INVALID);
}

Test(store, only_files_of_the_ingest_directory_are_adopted)
{
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    char digest[DV_DIGEST_SIZE], path[1024];
    dv_digest_of("abc", 3, digest);
    cr_assert_eq(dv_image_store_adopt(store, digest, "/etc/hostname", false, NULL),
                 -DV_ERR_INVALID);
    (void)snprintf(path, sizeof(path), "%s/../index.json", dv_image_store_ingest_dir(store));
    cr_assert_eq(dv_image_store_adopt(store, digest, path, false, NULL), -DV_ERR_INVALID);
    (void)snprintf(path, sizeof(path), "%s/x", dv_image_store_ingest_dir(store));
    cr_assert_eq(dv_image_store_adopt(store, digest, path, false, NULL), -DV_ERR_STATE);
    cr_assert_eq(symlink("/etc/hostname", path), 0);
    cr_assert_lt(dv_image_store_adopt(store, digest, path, false, NULL), 0);
    cr_assert_eq(unlink(path), 0);
    file_write(path, "abc");
    cr_assert_eq(dv_image_store_adopt(store, digest, path, false, NULL), 0);
    cr_assert_eq(dv_image_store_has(store, digest, 3, NULL), 0);
    cr_assert_eq(dv_image_store_adopt(store, digest, path, false, NULL), 0, "adopting twice fails");
}

Test(store, an_image_needs_all_its_blobs)
{
    make_layout(dir, false);
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    struct made_image image;
    bring_blobs(dir, store, arena, &image);
    const char *layer = dv_image_store_blob_path(store, image.document.layers[1].digest, arena);
    cr_assert_eq(unlink(layer), 0);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_store_commit(store, REF, &image.manifest, &err), -DV_ERR_STATE);
    cr_assert(strstr(err.text, image.document.layers[1].digest), "%s", err.text);
    struct dv_stored_image found;
    cr_assert_eq(dv_image_store_find(store, REF, arena, &found, NULL), -DV_ERR_NOT_FOUND);
}

Test(store, images_survive_a_new_start_and_can_be_replaced_and_removed)
{
    make_layout(dir, false);
    struct made_image image;
    struct dv_stored_image found;
    struct dv_stored_image *images = NULL;
    size_t count = 0;
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO(dv_image_store) first = open_store(home, NULL);
    bring_blobs(dir, first, arena, &image);
    cr_assert_eq(dv_image_store_commit(first, REF, &image.manifest, &err), 0, "%s", err.text);
    cr_assert_eq(dv_image_store_commit(first, REF, &image.manifest, &err), 0, "%s", err.text);
    cr_assert_eq(dv_image_store_commit(first, "quay.io/a:2", &image.manifest, &err), 0);
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    cr_assert_eq(dv_image_store_list(store, arena, &images, &count, &err), 0, "%s", err.text);
    cr_assert_eq(count, 2);
    cr_assert_eq(dv_image_store_find(store, REF, arena, &found, &err), 0, "%s", err.text);
    cr_assert_str_eq(found.manifest.digest, image.manifest.digest);
    cr_assert_eq(found.manifest.size, image.manifest.size);
    cr_assert_gt(found.stored_ns, 0);
    cr_assert_eq(dv_image_store_remove(store, REF, &err), 0, "%s", err.text);
    cr_assert_eq(dv_image_store_remove(store, REF, NULL), -DV_ERR_NOT_FOUND);
    cr_assert_eq(dv_image_store_find(store, "quay.io/a:2", arena, &found, &err), 0);
}

Test(store, skopeo_and_umoci_read_what_is_stored)
{
    dv_need_program("/usr/bin/skopeo");
    make_layout(dir, true);
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    struct made_image image;
    struct dv_error err = DV_ERROR_INIT;
    bring_blobs(dir, store, arena, &image);
    cr_assert_eq(dv_image_store_commit(store, REF, &image.manifest, &err), 0, "%s", err.text);

    char name[1200], layout[1024], copy[1200];
    (void)snprintf(layout, sizeof(layout), "%s/images", home);
    (void)snprintf(name, sizeof(name), "oci:%s:%s", layout, REF);
    (void)snprintf(copy, sizeof(copy), "oci:%s/copy:c", dir);
    dv_autofree char *inspected = NULL, *listed = NULL, *copied = NULL;
    int code = run_program(&inspected, (const char *[]){"/usr/bin/skopeo", "inspect", name, NULL});
    cr_assert_eq(code, 0, "%s", inspected);
    cr_assert(strstr(inspected, image.document.layers[0].digest), "%s", inspected);
    code = run_program(&copied, (const char *[]){"/usr/bin/skopeo", "--insecure-policy", "copy",
                                                 name, copy, NULL});
    cr_assert_eq(code, 0, "%s", copied);
    code = run_program(&listed, (const char *[]){"/usr/bin/umoci", "ls", "--layout", layout, NULL});
    cr_assert_eq(code, 0, "%s", listed);
    cr_assert(strstr(listed, REF), "%s", listed);
}

Test(store, docker_manifests_are_readable_by_other_tools_too)
{
    dv_need_program("/usr/bin/skopeo");
    make_layout(dir, false);
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    struct made_image image;
    struct dv_error err = DV_ERROR_INIT;
    bring_blobs(dir, store, arena, &image);
    const struct dv_descriptor *layers = image.document.layers;
    char text[2048], digest[DV_DIGEST_SIZE];
    (void)snprintf(text, sizeof(text),
                   "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\","
                   "\"digest\":\"%s\",\"size\":%lld},\"layers\":["
                   "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\","
                   "\"digest\":\"%s\",\"size\":%lld},"
                   "{\"mediaType\":\"application/vnd.docker.image.rootfs.diff.tar.gzip\","
                   "\"digest\":\"%s\",\"size\":%lld}]}",
                   DV_MEDIA_DOCKER_MANIFEST, DV_MEDIA_DOCKER_CONFIG, image.document.config.digest,
                   (long long)image.document.config.size, layers[0].digest,
                   (long long)layers[0].size, layers[1].digest, (long long)layers[1].size);
    struct dv_descriptor docker = {.media_type = (char[]){DV_MEDIA_DOCKER_MANIFEST},
                                   .digest = dv_digest_of(text, strlen(text), digest),
                                   .size = (int64_t)strlen(text)};
    cr_assert_eq(dv_image_store_put(store, digest, text, strlen(text), &err), 0, "%s", err.text);
    cr_assert_eq(dv_image_store_commit(store, REF, &docker, &err), 0, "%s", err.text);
    struct dv_stored_image found;
    struct dv_document document;
    cr_assert_eq(dv_image_store_find(store, REF, arena, &found, &err), 0, "%s", err.text);
    cr_assert_str_eq(found.manifest.media_type, DV_MEDIA_OCI_MANIFEST);
    cr_assert_eq(dv_image_store_manifest(store, &found.manifest, arena, &document, &err), 0);
    cr_assert_str_eq(document.config.digest, image.document.config.digest);
    cr_assert_str_eq(document.layers[1].digest, layers[1].digest);
    char name[1200];
    (void)snprintf(name, sizeof(name), "oci:%s/images:%s", home, REF);
    dv_autofree char *output = NULL;
    int code = run_program(&output, (const char *[]){"/usr/bin/skopeo", "inspect", name, NULL});
    cr_assert_eq(code, 0, "%s", output);
}

Test(store, what_skopeo_stores_is_found_and_kept)
{
    dv_need_program("/usr/bin/skopeo");
    make_layout(dir, false);
    char from[1024], to[1200];
    (void)snprintf(from, sizeof(from), "oci:%s/layout:made", dir);
    (void)snprintf(to, sizeof(to), "oci:%s/images:%s", home, REF);
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    dv_autofree char *output = NULL;
    int code = run_program(
        &output, (const char *[]){"/usr/bin/skopeo", "--insecure-policy", "copy", from, to, NULL});
    cr_assert_eq(code, 0, "%s", output);
    struct dv_stored_image found;
    struct dv_document document;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_store_find(store, REF, arena, &found, &err), 0, "%s", err.text);
    cr_assert_eq(found.stored_ns, 0);
    cr_assert_eq(dv_image_store_manifest(store, &found.manifest, arena, &document, &err), 0, "%s",
                 err.text);
    cr_assert_eq(document.layer_count, 2);
    cr_assert_eq(dv_image_store_commit(store, "h.io/other:1", &found.manifest, &err), 0, "%s",
                 err.text);
    cr_assert_eq(dv_image_store_find(store, REF, arena, &found, &err), 0, "%s", err.text);
}

static void open_with_index(const char *text, bool is_damaged)
{
    char path[1024], images[1024];
    (void)snprintf(images, sizeof(images), "%s/images", home);
    (void)snprintf(path, sizeof(path), "%s/images/index.json", home);
    cr_assert_eq(dv_dir_make(images, 0700, NULL), 0);
    file_write(path, text);
    DV_AUTO(dv_image_store) store = open_store(home, NULL);
    cr_assert_eq(dv_image_store_note(store) != NULL, is_damaged, "%s", text);
    cr_assert_eq(file_exists("%s.corrupt", path), is_damaged);
    struct dv_stored_image *found = NULL;
    size_t count = 9;
    cr_assert_eq(dv_image_store_list(store, arena, &found, &count, NULL), 0);
    cr_assert_eq(count, 0);
    cr_assert_eq(dv_tree_remove(home, NULL), 0);
}

Test(store, an_index_that_cannot_be_read_is_set_aside_and_reported)
{
    open_with_index("", true);
    open_with_index("{", true);
    open_with_index("[]", true);
    open_with_index("{\"manifests\":7}", true);
    open_with_index("{\"manifests\":[]}", false);
    open_with_index("{\"manifests\":[7,{},{\"annotations\":7},{\"digest\":\"sha256:x\"}]}", false);
}

Test(store, a_layout_of_another_version_is_left_alone)
{
    char path[1024], images[1024];
    (void)snprintf(images, sizeof(images), "%s/images", home);
    (void)snprintf(path, sizeof(path), "%s/images/oci-layout", home);
    cr_assert_eq(dv_dir_make(images, 0700, NULL), 0);
    file_write(path, "{\"imageLayoutVersion\":\"2.0.0\"}");
    struct dv_image_store_options options = {.home_dir = home};
    struct dv_image_store *store = NULL;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_store_open(&options, &store, &err), -DV_ERR_FAILED);
    cr_assert(strstr(err.text, "2.0.0"), "%s", err.text);
}
