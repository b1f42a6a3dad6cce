/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/index.h"

#include "base/clock.h"
#include "runtime/image/digest.h"

#include <string.h>

#define NAME_KEY   "org.opencontainers.image.ref.name"
#define STORED_KEY "org.eclipse.davit.stored"

int dv_layout_index_parse(const char *bytes, size_t len, struct dv_json **ret, struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    DV_AUTO(dv_json) root = NULL;
    int r = dv_json_parse_cased(bytes, len, &root, &cause);
    if (r < 0)
        return dv_error_set(err, r == -DV_ERR_NO_MEMORY ? DV_ERR_NO_MEMORY : DV_ERR_CORRUPT, "%s",
                            cause.text);
    if (!dv_json_is(root, DV_JSON_OBJECT) ||
        !dv_json_is(dv_json_get(root, "manifests"), DV_JSON_ARRAY))
        return dv_error_set(err, DV_ERR_CORRUPT, "it is no image index");
    *ret = dv_steal(&root);
    return 0;
}

static const char *name_of(const struct dv_json *entry)
{
    return dv_json_text(dv_json_get(dv_json_get(entry, "annotations"), NAME_KEY));
}

/* False for an entry that is none of ours: without a name or with an unsound descriptor. */
static bool
read_entry(const struct dv_json *entry, struct dv_arena *arena, struct dv_stored_image *ret)
{
    const char *name = name_of(entry);
    const char *type = dv_json_text(dv_json_get(entry, "mediaType"));
    const char *digest = dv_json_text(dv_json_get(entry, "digest"));
    int64_t size = -1;
    if (!name || !*name || !type || !digest || !dv_digest_is_valid(dv_str_of(digest)) ||
        !dv_json_to_i64(dv_json_get(entry, "size"), &size) || size < 0 ||
        size > DV_MANIFEST_BYTES_MAX)
        return false;
    const char *stored = dv_json_text(dv_json_get(dv_json_get(entry, "annotations"), STORED_KEY));
    *ret = (struct dv_stored_image){.reference = dv_arena_strdup(arena, name),
                                    .manifest = {.media_type = dv_arena_strdup(arena, type),
                                                 .digest = dv_arena_strdup(arena, digest),
                                                 .size = size}};
    if (!stored || !dv_time_parse(stored, strlen(stored), &ret->stored_ns))
        ret->stored_ns = 0;
    return true;
}

int dv_layout_index_images(const struct dv_json *index,
                           struct dv_arena *arena,
                           struct dv_stored_image **ret,
                           size_t *ret_count,
                           struct dv_error *err)
{
    const struct dv_json *entries = dv_json_get(index, "manifests");
    size_t count = 0;
    struct dv_stored_image *images =
        dv_arena_array(arena, dv_json_count(entries) + 1, sizeof(*images));
    if (!images)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    for (const struct dv_json *e = dv_json_first(entries); e; e = dv_json_next(e)) {
        if (!read_entry(e, arena, &images[count]))
            continue;
        const struct dv_stored_image *image = &images[count++];
        if (!image->reference || !image->manifest.media_type || !image->manifest.digest)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    }
    *ret = images;
    *ret_count = count;
    return 0;
}

static void write_entry(struct dv_json_writer *w, const struct dv_stored_image *image)
{
    char stored[DV_TIME_TEXT_SIZE];
    dv_jw_object(w);
    dv_jw_member_text(w, "mediaType", image->manifest.media_type);
    dv_jw_member_text(w, "digest", image->manifest.digest);
    dv_jw_member_i64(w, "size", image->manifest.size);
    dv_jw_key(w, "annotations");
    dv_jw_object(w);
    dv_jw_member_text(w, NAME_KEY, image->reference);
    dv_jw_member_text(w, STORED_KEY, dv_time_format(image->stored_ns, stored));
    dv_jw_object_end(w);
    dv_jw_object_end(w);
}

int dv_layout_index_write(const struct dv_json *index,
                          const char *reference,
                          const struct dv_stored_image *image,
                          struct dv_buf *out,
                          bool *ret_found,
                          struct dv_error *err)
{
    bool is_found = false;
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    for (const struct dv_json *m = dv_json_first(index); m; m = dv_json_next(m)) {
        dv_jw_key(&w, dv_json_key(m));
        if (strcmp(dv_json_key(m), "manifests") != 0) {
            dv_jw_node(&w, m);
            continue;
        }
        dv_jw_array(&w);
        for (const struct dv_json *e = dv_json_first(m); e; e = dv_json_next(e)) {
            const char *name = name_of(e);
            if (name && strcmp(name, reference) == 0)
                is_found = true;
            else
                dv_jw_node(&w, e);
        }
        if (image)
            write_entry(&w, image);
        dv_jw_array_end(&w);
    }
    dv_jw_object_end(&w);
    int r = dv_jw_done(&w, err);
    if (r < 0)
        return r;
    *ret_found = is_found;
    return 0;
}
