/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/watch.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/durable.h"
#include "base/str.h"
#include "runtime/image/store_state.h"

#include <limits.h>
#include <stdio.h>

#define JUMP_NS      (24 * 3600 * 1000000000LL)
#define IMAGES_BYTES (64U << 20)
#define FILE_MODE    0644

/* The last look, 0: none is known. */
static int64_t read_last(const char *path)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(64);
    int64_t last_ns = 0;
    if (dv_file_read(path, &text, NULL) < 0 ||
        dv_str_to_i64((struct dv_str){text.data, text.len}, 0, INT64_MAX, &last_ns, NULL) < 0)
        return 0;
    return last_ns;
}

/* When an image would have been stored by the clock of now. */
static int64_t corrected(int64_t stored_ns, int64_t jump_ns, int64_t now_ns)
{
    /* Before the clock was set, or by a clock that was ahead and is not any more. */
    if (!dv_time_is_set(stored_ns))
        return now_ns;
    if (jump_ns > 0 || stored_ns > now_ns)
        stored_ns += jump_ns;
    return stored_ns < now_ns ? stored_ns : now_ns;
}

int dv_image_watch(struct dv_image_store *store,
                   int64_t now_ns,
                   int64_t *ret_jump_ns,
                   struct dv_error *err)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/watched", store->images_dir);
    if (n < 0 || n >= PATH_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "the path '%s/watched' is too long",
                            store->images_dir);
    DV_AUTO(dv_arena) arena = dv_arena_new(IMAGES_BYTES);
    struct dv_stored_image *images = NULL;
    size_t count = 0;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "correct ages of images: out of memory");
    int64_t last_ns = read_last(path);
    int64_t jump_ns = last_ns ? now_ns - last_ns : 0;
    if (jump_ns < JUMP_NS && jump_ns > -JUMP_NS)
        jump_ns = 0;
    *ret_jump_ns = jump_ns;
    int r = dv_image_store_list(store, arena, &images, &count, err);
    for (size_t i = 0; i < count && r == 0; i++) {
        /* Without a time it was stored by another tool. */
        int64_t stored_ns = images[i].stored_ns;
        int64_t right_ns = stored_ns ? corrected(stored_ns, jump_ns, now_ns) : 0;
        if (right_ns != stored_ns)
            r = dv_image_store_restamp(store, images[i].reference, right_ns, err);
    }
    char text[32];
    n = snprintf(text, sizeof(text), "%lld", (long long)now_ns);
    return r < 0 ? r : dv_durable_replace(path, text, (size_t)n, FILE_MODE, err);
}
