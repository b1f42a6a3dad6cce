/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/layers.h"

#include "base/durable.h"
#include "base/log.h"
#include "runtime/image/digest.h"
#include "runtime/image/image.h"
#include "runtime/image/layer_seal.h"
#include "runtime/image/said.h"
#include "runtime/image/store_state.h"

#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>

#define DIR_MODE        0700
#define LAYER_MODE      0755
#define RECORD_MODE     0600
#define ID_LONGEST      (DV_LAYER_ID_SIZE - 1)
#define ARGUMENTS_MAX   24
#define NUMBER_SIZE     24
#define KEYS_MAX        128 /* with recipients */
#define ENVIRONMENT_MAX (400U << 10)
#define LAYER_BYTES_MAX (64LL << 30)

const char *dv_layers_dir(const struct dv_image_store *store)
{
    return store->layers_dir;
}

/* ---- ids ---- */

__attribute__((format(printf, 3, 4))) static int
make_path(char path[PATH_MAX], struct dv_error *err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(path, PATH_MAX, format, args);
    va_end(args);
    if (n < 0 || n >= PATH_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "path of a layer is too long");
    return 0;
}

static bool has_dir(const struct dv_image_store *store, const char *id)
{
    char path[PATH_MAX];
    struct stat info;
    return make_path(path, NULL, "%s/%s", store->layers_dir, id) == 0 && lstat(path, &info) == 0 &&
           S_ISDIR(info.st_mode);
}

enum owner { OWNER_NONE, OWNER_THIS, OWNER_OTHER };

static int owner_of(const struct dv_image_store *store,
                    const char *id,
                    const char *diff_id,
                    enum owner *ret,
                    struct dv_error *err)
{
    char path[PATH_MAX];
    struct dv_error cause = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_DIGEST_SIZE);
    int r = make_path(path, err, "%s/%s", store->ids_dir, id);
    if (r < 0)
        return r;
    r = dv_file_read(path, &text, &cause);
    if (r < 0 && cause.class != DV_ERR_NOT_FOUND && cause.class != DV_ERR_LIMIT)
        return dv_error_set(err, cause.class, "layer %s: %s", id, cause.text);
    if (r < 0 && cause.class == DV_ERR_NOT_FOUND)
        *ret = OWNER_NONE;
    else
        *ret = r == 0 && text.data && strcmp(text.data, diff_id) == 0 ? OWNER_THIS : OWNER_OTHER;
    return 0;
}

/* The id that the layer has or will have, and whether it is there and whole. A directory without a
 * record belongs to nobody we know, so its id is not used either. */
static int resolve(const struct dv_image_store *store,
                   const char *diff_id,
                   char ret_id[DV_LAYER_ID_SIZE],
                   bool *ret_is_there,
                   struct dv_error *err)
{
    if (!diff_id || !dv_digest_is_valid(dv_str_of(diff_id)))
        return dv_error_set(err, DV_ERR_INVALID, "'%.140s' is no diff id", diff_id ? diff_id : "");
    struct dv_str hex = dv_digest_hex(diff_id);
    for (int len = DV_LAYER_ID_FIRST; len <= ID_LONGEST; len += DV_LAYER_ID_STEP) {
        char id[DV_LAYER_ID_SIZE];
        enum owner owner = OWNER_NONE;
        struct dv_error cause = DV_ERROR_INIT;
        (void)snprintf(id, sizeof(id), "%.*s", len, hex.data);
        int r = owner_of(store, id, diff_id, &owner, err);
        if (r < 0)
            return r;
        if (owner == OWNER_OTHER || (owner == OWNER_NONE && has_dir(store, id)))
            continue;
        if (owner == OWNER_THIS)
            r = dv_layer_seal_check(store->layers_dir, id, &cause);
        if (r < 0 && r != -DV_ERR_CORRUPT)
            return dv_error_set(err, cause.class, "layer %s: %s", diff_id, cause.text);
        memcpy(ret_id, id, sizeof(id));
        *ret_is_there = owner == OWNER_THIS && r == 0;
        return 0;
    }
    return dv_error_set(err, DV_ERR_FAILED, "layer %s: all its short ids are taken", diff_id);
}

int dv_layers_find(struct dv_image_store *store,
                   const char *diff_id,
                   char ret_id[DV_LAYER_ID_SIZE],
                   struct dv_error *err)
{
    char id[DV_LAYER_ID_SIZE];
    bool is_there = false;
    int r = resolve(store, diff_id, id, &is_there, err);
    if (r < 0)
        return r;
    if (!is_there)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "layer %s is not unpacked", diff_id);
    memcpy(ret_id, id, sizeof(id));
    return 0;
}

int dv_layers_chain(struct dv_image_store *store,
                    char *const *diff_ids,
                    size_t count,
                    struct dv_arena *arena,
                    struct dv_texts *ret,
                    struct dv_error *err)
{
    struct dv_texts chain = {.items = dv_arena_array(arena, count + 1, sizeof(char *))};
    if (!chain.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "layers: out of memory");
    for (size_t i = count; i-- > 0;) {
        char id[DV_LAYER_ID_SIZE];
        int r = dv_layers_find(store, diff_ids[i], id, err);
        if (r < 0)
            return r;
        bool is_known = false;
        for (size_t k = 0; k < chain.count && !is_known; k++)
            is_known = strcmp(chain.items[k], id) == 0;
        if (is_known)
            continue;
        chain.items[chain.count] = dv_arena_strdup(arena, id);
        if (!chain.items[chain.count++])
            return dv_error_set(err, DV_ERR_NO_MEMORY, "layers: out of memory");
    }
    *ret = chain;
    return 0;
}

/* ---- unpack ---- */

int dv_layers_prepare(struct dv_image_store *store, struct dv_error *err)
{
    int r = dv_dir_make(store->ids_dir, DIR_MODE, err);
    if (r == 0)
        r = dv_tree_remove(store->staging_dir, err);
    if (r == 0)
        r = dv_dir_make(store->staging_dir, DIR_MODE, err);
    return r;
}

static int stage_path(struct dv_image_store *store,
                      const char *name,
                      char path[PATH_MAX],
                      struct dv_error *err)
{
    pthread_mutex_lock(&store->layers_lock);
    unsigned long number = ++store->staged;
    pthread_mutex_unlock(&store->layers_lock);
    return make_path(path, err, "%s/%s-%lu", store->staging_dir, name, number);
}

/* Why it failed: a blob that was damaged on disk would fail for ever, so it is removed. */
static int blame(const struct dv_unpack_job *job,
                 const char *blob,
                 const struct dv_launch_result *result,
                 struct dv_error *err)
{
    char reason[DV_SAID_MAX];
    dv_said_reason(result->stderr_text, reason);
    struct dv_error cause = DV_ERROR_INIT;
    dv_autoclose int fd = open(blob, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd >= 0 && dv_digest_verify_fd(job->digest, fd, &cause) == -DV_ERR_CORRUPT) {
        (void)unlink(blob);
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "unpack layer %s: its blob was damaged on disk and is removed; pull "
                            "the image again",
                            job->digest);
    }
    return dv_error_set(err, DV_ERR_FAILED, "unpack layer %s: %s (exit code %d)", job->digest,
                        reason, result->exit_code);
}

/* A layer that swells (a bomb) must not fill the disk under everybody else: a tenth stays free. */
static int64_t bytes_max_of(const struct dv_image_store *store)
{
    struct statvfs info;
    int64_t max = store->layer_bytes_max > 0 ? store->layer_bytes_max : LAYER_BYTES_MAX;
    if (statvfs(store->staging_dir, &info) < 0)
        return max;
    uint64_t room = (uint64_t)info.f_bavail * info.f_frsize / 10 * 9;
    return room < (uint64_t)max ? (int64_t)room + 1 : max;
}

/* Keys as the environment of davit-unpack: a command line can be read by everybody. */
struct environment {
    struct dv_buf text;
    const char *variables[KEYS_MAX + 1];
};

static void environment_done(struct environment *environment)
{
    dv_buf_wipe(&environment->text);
}
DV_DEFINE_CLEANUP_IN_PLACE(environment, environment_done)

static int
make_environment(const struct dv_bytes *keys, struct environment *ret, struct dv_error *err)
{
    struct dv_str rest = {(const char *)keys->data, keys->len};
    struct dv_str line;
    size_t starts[KEYS_MAX];
    size_t count = 0;
    ret->text = DV_BUF_INIT(ENVIRONMENT_MAX);
    while (rest.len) {
        (void)dv_str_cut(rest, '\n', &line, &rest);
        if (line.len < 2 || count == KEYS_MAX)
            return dv_error_set(err, DV_ERR_INVALID, "decryption keys: over %d, or malformed",
                                KEYS_MAX);
        starts[count] = ret->text.len;
        const char *name = line.data[0] == 'r' ? "DAVIT_UNPACK_RECIPIENT_" : "DAVIT_UNPACK_KEY_";
        int r = dv_buf_printf(&ret->text, err, "%s%zu=%.*s", name, count, (int)(line.len - 1),
                              line.data + 1);
        if (r == 0)
            r = dv_buf_append(&ret->text, "", 1, err);
        if (r < 0)
            return r;
        count++;
    }
    for (size_t i = 0; i < count; i++)
        ret->variables[i] = ret->text.data + starts[i];
    ret->variables[count] = NULL;
    return 0;
}

/* `argv` has `count` arguments and room for the limits. `keys` NULL: none. */
static int launch_unpack(struct dv_image_store *store,
                         const char *argv[ARGUMENTS_MAX],
                         size_t count,
                         const struct dv_bytes *keys,
                         const struct dv_image_unpacker *unpacker,
                         struct dv_launch_result *result,
                         struct dv_error *err)
{
    char bytes[NUMBER_SIZE], entries[NUMBER_SIZE];
    (void)snprintf(bytes, sizeof(bytes), "%lld", (long long)bytes_max_of(store));
    argv[count++] = "--max-bytes";
    argv[count++] = bytes;
    if (store->layer_entries_max > 0) {
        (void)snprintf(entries, sizeof(entries), "%lld", (long long)store->layer_entries_max);
        argv[count++] = "--max-entries";
        argv[count++] = entries;
    }
    static const struct dv_bytes no_keys;
    DV_AUTO_IN_PLACE(environment) environment = {0};
    int r = make_environment(keys ? keys : &no_keys, &environment, err);
    if (r < 0)
        return r;
    struct dv_launch launch = {
        .argv = argv, .envp = environment.variables, .timeout_ms = (int)unpacker->timeout_ms};
    return unpacker->launcher->launch(unpacker->launcher, &launch, result, err);
}

static int run_unpack(struct dv_image_store *store,
                      const struct dv_unpack_job *job,
                      struct dv_launcher *launcher,
                      const char *blob,
                      const char *directory,
                      struct dv_error *err)
{
    const char *argv[ARGUMENTS_MAX] = {
        store->unpack_program, "--blob",    blob,         "--digest", job->digest, "--media-type",
        job->media_type,       "--diff-id", job->diff_id, "--dir",    directory};
    struct dv_image_unpacker unpacker = {launcher, job->timeout_ms};
    dv_autofree struct dv_launch_result *result = calloc(1, sizeof(*result));
    if (!result)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "unpack layer %s: out of memory", job->digest);
    size_t count = 11;
    char number[NUMBER_SIZE];
    DV_AUTO(dv_arena) arena = dv_arena_new(PATH_MAX);
    if (job->manifest) {
        (void)snprintf(number, sizeof(number), "%lld", (long long)job->number);
        argv[count++] = "--manifest";
        argv[count++] = arena ? dv_image_store_blob_path(store, job->manifest, arena) : NULL;
        argv[count++] = "--layer";
        argv[count++] = number;
    }
    if (job->manifest && !argv[12])
        return dv_error_set(err, DV_ERR_NO_MEMORY, "unpack layer %s: out of memory", job->digest);
    if (store->takes_absolute_names)
        argv[count++] = "--absolute-names";
    int r = launch_unpack(store, argv, count, &job->keys, &unpacker, result, err);
    if (r < 0) {
        (void)dv_error_prefix(err, "unpack layer %s: ", job->digest);
        return r;
    }
    return result->exit_code == 0 ? 0 : blame(job, blob, result, err);
}

/* All that was unpacked, not the directory's own entries alone. */
static int sync_tree(const char *directory, struct dv_error *err)
{
    dv_autoclose int fd = open(directory, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || syncfs(fd) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "sync '%s'", directory);
    return 0;
}

/* Seal and record first: a directory without a record would be nobody's. */
static int publish(struct dv_image_store *store,
                   const char *diff_id,
                   const char *staged,
                   char ret_id[DV_LAYER_ID_SIZE],
                   struct dv_error *err)
{
    char id[DV_LAYER_ID_SIZE], record[PATH_MAX], final[PATH_MAX];
    bool is_there = false;
    int r = resolve(store, diff_id, id, &is_there, err);
    if (r == 0)
        r = make_path(record, err, "%s/%s", store->ids_dir, id);
    if (r == 0)
        r = make_path(final, err, "%s/%s", store->layers_dir, id);
    if (r == 0)
        r = dv_layer_seal_write(store->layers_dir, id, staged, err);
    if (r == 0)
        r = dv_durable_replace(record, diff_id, strlen(diff_id), RECORD_MODE, err);
    if (r == 0)
        r = dv_layer_set_aside(store->layers_dir, id, err);
    if (r < 0)
        return r;
    if (renameat2(AT_FDCWD, staged, AT_FDCWD, final, RENAME_NOREPLACE) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "rename '%s' to '%s'", staged, final);
    r = dv_dir_sync(store->layers_dir, err);
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}

static int unpack_staged(struct dv_image_store *store,
                         const struct dv_unpack_job *job,
                         struct dv_launcher *launcher,
                         const char *staged,
                         char ret_id[DV_LAYER_ID_SIZE],
                         struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(PATH_MAX);
    char *blob = arena ? dv_image_store_blob_path(store, job->digest, arena) : NULL;
    if (!blob)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "unpack layer %s: out of memory", job->digest);
    int r = run_unpack(store, job, launcher, blob, staged, err);
    if (r == 0)
        r = sync_tree(staged, err);
    if (r < 0)
        return r;
    pthread_mutex_lock(&store->layers_lock);
    r = publish(store, job->diff_id, staged, ret_id, err);
    pthread_mutex_unlock(&store->layers_lock);
    return r;
}

static int unpack_now(struct dv_image_store *store,
                      const struct dv_unpack_job *job,
                      struct dv_launcher *launcher,
                      char ret_id[DV_LAYER_ID_SIZE],
                      struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    if (!store->unpack_program)
        return dv_error_set(err, DV_ERR_STATE, "unpack layer %s: no davit-unpack is configured",
                            job->digest);
    int r = dv_image_store_has(store, job->digest, 0, &cause);
    if (r < 0)
        return dv_error_set(err, cause.class == DV_ERR_NOT_FOUND ? DV_ERR_STATE : cause.class,
                            "unpack layer: %s", cause.text);
    char staged[PATH_MAX];
    r = stage_path(store, "in", staged, err);
    if (r < 0)
        return r;
    if (mkdir(staged, LAYER_MODE) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make '%s'", staged);
    r = unpack_staged(store, job, launcher, staged, ret_id, err);
    if (r < 0) {
        /* What cannot be removed now is removed by the next start, which empties staging. */
        int left = dv_tree_remove(staged, NULL);
        (void)left;
    }
    return r;
}

int dv_layers_open_archive(struct dv_image_store *store,
                           const char *archive,
                           const struct dv_image_unpacker *unpacker,
                           char ret_staged[],
                           struct dv_error *err)
{
    char staged[PATH_MAX], reason[DV_SAID_MAX];
    if (!store->unpack_program)
        return dv_error_set(err, DV_ERR_STATE, "load '%.256s': no davit-unpack is configured",
                            archive);
    int r = stage_path(store, "load", staged, err);
    if (r < 0)
        return r;
    if (mkdir(staged, DIR_MODE) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make '%s'", staged);
    const char *argv[ARGUMENTS_MAX] = {store->unpack_program, "--archive", archive, "--dir",
                                       staged};
    dv_autofree struct dv_launch_result *result = calloc(1, sizeof(*result));
    if (!result)
        r = dv_error_set(err, DV_ERR_NO_MEMORY, "load '%.256s': out of memory", archive);
    else
        r = launch_unpack(store, argv, 5, NULL, unpacker, result, err);
    if (r == 0 && result->exit_code != 0) {
        dv_said_reason(result->stderr_text, reason);
        r = dv_error_set(err, DV_ERR_FAILED, "load '%.256s': %s (exit code %d)", archive, reason,
                         result->exit_code);
    }
    if (r < 0) {
        int left = dv_tree_remove(staged, NULL);
        (void)left;
        return r;
    }
    memcpy(ret_staged, staged, sizeof(staged));
    return 0;
}

/* What davit-unpack says beside a success is worth telling: a key file that others can read. */
static void tell_warning(const struct dv_launch_result *result)
{
    char line[DV_SAID_MAX];
    const char *text = result->stderr_text;
    while (dv_said_next(&text, line))
        dv_log(DV_LOG_WARN, "%s", line);
}

static int check_in(struct dv_image_store *store,
                    const char *manifest,
                    const struct dv_bytes *keys,
                    const struct dv_image_unpacker *unpacker,
                    const char *directory,
                    struct dv_error *err)
{
    char reason[DV_SAID_MAX];
    DV_AUTO(dv_arena) arena = dv_arena_new(PATH_MAX);
    dv_autofree struct dv_launch_result *result = calloc(1, sizeof(*result));
    const char *path = arena ? dv_image_store_blob_path(store, manifest, arena) : NULL;
    if (!path || !result)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "decryption keys: out of memory");
    const char *argv[ARGUMENTS_MAX] = {
        store->unpack_program, "--check", "--manifest", path, "--dir", directory};
    int r = launch_unpack(store, argv, 6, keys, unpacker, result, err);
    if (r < 0)
        return dv_error_prefix(err, "decryption keys: ");
    dv_said_reason(result->stderr_text, reason);
    if (result->exit_code != 0)
        return dv_error_set(err, DV_ERR_DENIED, "decryption: %s", reason);
    tell_warning(result);
    return 0;
}

int dv_layers_check_keys(struct dv_image_store *store,
                         const char *manifest,
                         const struct dv_bytes *keys,
                         const struct dv_image_unpacker *unpacker,
                         struct dv_error *err)
{
    char staged[PATH_MAX];
    if (!store->unpack_program)
        return dv_error_set(err, DV_ERR_STATE, "decryption keys: no davit-unpack is configured");
    int r = stage_path(store, "check", staged, err);
    if (r < 0)
        return r;
    if (mkdir(staged, DIR_MODE) < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "make '%s'", staged);
    r = check_in(store, manifest, keys, unpacker, staged, err);
    int left = dv_tree_remove(staged, NULL);
    (void)left;
    return r;
}

static struct timespec deadline_in(int64_t ms)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_sec += (time_t)(ms / 1000);
    at.tv_nsec += (long)(ms % 1000) * 1000000L;
    if (at.tv_nsec >= 1000000000L) {
        at.tv_sec++;
        at.tv_nsec -= 1000000000L;
    }
    return at;
}

/* With the lock held: the slot of that diff id, else a free one, else NULL. */
static const char **slot_of(struct dv_image_store *store, const char *diff_id, bool *ret_is_taken)
{
    const char **free_slot = NULL;
    for (size_t i = 0; i < DV_UNPACKS_MAX; i++) {
        const char **slot = &store->unpacking[i];
        if (*slot && strcmp(*slot, diff_id) == 0) {
            *ret_is_taken = true;
            return slot;
        }
        if (!*slot && !free_slot)
            free_slot = slot;
    }
    *ret_is_taken = false;
    return free_slot;
}

/* Waits until nobody else unpacks the layer and takes a slot for it; *ret_slot NULL when it is
 * there by now. */
static int take_slot(struct dv_image_store *store,
                     const struct dv_unpack_job *job,
                     const char ***ret_slot,
                     char ret_id[DV_LAYER_ID_SIZE],
                     struct dv_error *err)
{
    struct timespec deadline = deadline_in(job->timeout_ms);
    for (;;) {
        bool is_there = false, is_taken = false;
        int r = resolve(store, job->diff_id, ret_id, &is_there, err);
        if (r < 0)
            return r;
        if (is_there) {
            *ret_slot = NULL;
            return 0;
        }
        const char **slot = slot_of(store, job->diff_id, &is_taken);
        if (slot && !is_taken) {
            *slot = job->diff_id;
            *ret_slot = slot;
            return 0;
        }
        if (pthread_cond_timedwait(&store->layers_cond, &store->layers_lock, &deadline) != 0)
            return dv_error_set(err, DV_ERR_TIMED_OUT,
                                "unpack layer %s: another unpack of it did not end in time",
                                job->digest);
    }
}

int dv_layers_unpack(struct dv_image_store *store,
                     const struct dv_unpack_job *job,
                     struct dv_launcher *launcher,
                     char ret_id[DV_LAYER_ID_SIZE],
                     struct dv_error *err)
{
    const char **slot = NULL;
    char id[DV_LAYER_ID_SIZE];
    pthread_mutex_lock(&store->layers_lock);
    int r = take_slot(store, job, &slot, id, err);
    pthread_mutex_unlock(&store->layers_lock);
    if (r < 0)
        return r;
    if (slot) {
        r = unpack_now(store, job, launcher, id, err);
        pthread_mutex_lock(&store->layers_lock);
        *slot = NULL;
        pthread_cond_broadcast(&store->layers_cond);
        pthread_mutex_unlock(&store->layers_lock);
    }
    if (r == 0)
        memcpy(ret_id, id, sizeof(id));
    return r;
}
