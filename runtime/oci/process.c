/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/process.h"

#include <stdbool.h>
#include <string.h>

#define SEARCH_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define OWN_TEXTS   4 /* PATH, HOSTNAME, TERM and one to spare */

int dv_oci_process_args(const struct dv_container_spec *spec,
                        const struct dv_oci_image *image,
                        struct dv_arena *arena,
                        struct dv_texts *ret,
                        struct dv_error *err)
{
    const struct dv_texts *cmd = spec->cmd.count > 0 ? &spec->cmd : &image->cmd;
    /* One empty text is how builders take back the entry point of the image they started from. */
    bool is_taken_back = image->entrypoint.count == 1 && !image->entrypoint.items[0][0];
    size_t entrypoint_count = is_taken_back ? 0 : image->entrypoint.count;
    size_t count = entrypoint_count + cmd->count;
    if (count == 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "the image names no program to run; give one in config.cmd");
    struct dv_texts args = {.items = dv_arena_array(arena, count, sizeof(*args.items))};
    if (!args.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the arguments of a container");
    for (size_t i = 0; i < entrypoint_count; i++)
        args.items[args.count++] = image->entrypoint.items[i];
    for (size_t i = 0; i < cmd->count; i++)
        args.items[args.count++] = cmd->items[i];
    if (!args.items[0][0] && entrypoint_count)
        return dv_error_set(err, DV_ERR_INVALID,
                            "the entry point of the image begins with an empty text, which names "
                            "no program");
    if (!args.items[0][0])
        return dv_error_set(err, DV_ERR_INVALID,
                            "the command begins with an empty text, which names no program; give "
                            "one in config.cmd");
    *ret = args;
    return 0;
}

int dv_oci_process_cwd(const struct dv_oci_image *image,
                       struct dv_arena *arena,
                       const char **ret,
                       struct dv_error *err)
{
    const char *rest = image->working_dir ? image->working_dir : "";
    char *path = dv_arena_alloc(arena, strlen(rest) + 2);
    size_t len = 0;
    if (!path)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the working directory");
    while (*(rest += strspn(rest, "/"))) {
        size_t part = strcspn(rest, "/");
        if (part == 2 && strncmp(rest, "..", 2) == 0) {
            while (len > 0 && path[--len] != '/')
                ;
        } else if (part != 1 || rest[0] != '.') {
            path[len++] = '/';
            memcpy(path + len, rest, part);
            len += part;
        }
        rest += part;
    }
    if (len == 0)
        path[len++] = '/';
    path[len] = '\0';
    *ret = path;
    return 0;
}

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

static char **find(const struct dv_texts *env, const char *variable)
{
    size_t len = name_length(variable);
    for (size_t i = 0; i < env->count; i++)
        if (name_length(env->items[i]) == len && strncmp(env->items[i], variable, len) == 0)
            return &env->items[i];
    return NULL;
}

static void set(struct dv_texts *env, char *variable)
{
    if (variable[0] == '=' || !variable[0])
        return; /* a value without a name, which no runtime takes */
    char **old = find(env, variable);
    if (variable[name_length(variable)] == '=') {
        *(old ? old : &env->items[env->count++]) = variable;
    } else if (old) {
        env->count--;
        memmove(old, old + 1, (size_t)(env->items + env->count - old) * sizeof(*old));
    }
}

int dv_oci_process_env(const struct dv_container_spec *spec,
                       const struct dv_oci_image *image,
                       const char *host_name,
                       struct dv_arena *arena,
                       struct dv_texts *ret,
                       struct dv_error *err)
{
    size_t most = OWN_TEXTS + image->env.count + spec->env.count;
    struct dv_texts env = {.items = dv_arena_array(arena, most, sizeof(*env.items))};
    char *path = dv_arena_strdup(arena, SEARCH_PATH);
    char *host = dv_arena_printf(arena, "HOSTNAME=%s", host_name);
    char *term = dv_arena_strdup(arena, "TERM=xterm");
    if (!env.items || !path || !host || !term)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the environment of a container");
    set(&env, path);
    for (size_t i = 0; i < image->env.count; i++)
        set(&env, image->env.items[i]);
    set(&env, host);
    if (spec->tty)
        set(&env, term);
    for (size_t i = 0; i < spec->env.count; i++)
        set(&env, spec->env.items[i]);
    *ret = env;
    return 0;
}
