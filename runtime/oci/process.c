/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/process.h"

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
    size_t count = image->entrypoint.count + cmd->count;
    if (count == 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "the image names no program to run; give one in config.cmd");
    struct dv_texts args = {.items = dv_arena_array(arena, count, sizeof(*args.items))};
    if (!args.items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot keep the arguments of a container");
    for (size_t i = 0; i < image->entrypoint.count; i++)
        args.items[args.count++] = image->entrypoint.items[i];
    for (size_t i = 0; i < cmd->count; i++)
        args.items[args.count++] = cmd->items[i];
    *ret = args;
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
