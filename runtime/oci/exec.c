/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/exec.h"

#include "json/json.h"
#include <string.h>

static void write_texts(struct dv_json_writer *w, const char *key, const struct dv_texts *texts)
{
    dv_jw_key(w, key);
    dv_jw_array(w);
    for (size_t i = 0; i < texts->count; i++)
        dv_jw_text(w, texts->items[i]);
    dv_jw_array_end(w);
}

static size_t name_length(const char *variable)
{
    return strcspn(variable, "=");
}

static bool is_replaced(const char *variable, const struct dv_texts *env)
{
    size_t len = name_length(variable);
    for (size_t i = 0; i < env->count; i++)
        if (name_length(env->items[i]) == len && strncmp(env->items[i], variable, len) == 0)
            return true;
    return false;
}

static void
write_env(struct dv_json_writer *w, const struct dv_json *own, const struct dv_texts *env)
{
    dv_jw_key(w, "env");
    dv_jw_array(w);
    for (const struct dv_json *item = dv_json_first(own); item; item = dv_json_next(item))
        if (dv_json_text(item) && !is_replaced(dv_json_text(item), env))
            dv_jw_text(w, dv_json_text(item));
    for (size_t i = 0; i < env->count; i++)
        dv_jw_text(w, env->items[i]);
    dv_jw_array_end(w);
}

static bool is_kept(const char *key)
{
    return strcmp(key, "args") != 0 && strcmp(key, "env") != 0 && strcmp(key, "terminal") != 0 &&
           strcmp(key, "consoleSize") != 0;
}

int dv_oci_exec_write(struct dv_str bundle,
                      const struct dv_local_exec *what,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    const struct dv_texts *args = &what->args;
    const struct dv_texts *env = &what->env;
    DV_AUTO(dv_json) config = NULL;
    struct dv_json_writer w;
    if (args->count == 0 || !args->items[0][0])
        return dv_error_set(err, DV_ERR_INVALID, "args: a program is required");
    for (size_t i = 0; i < env->count; i++)
        if (env->items[i][0] == '=' || !strchr(env->items[i], '='))
            return dv_error_set(err, DV_ERR_INVALID, "env: '%.64s' is no NAME=VALUE",
                                env->items[i]);
    int r = dv_json_parse(bundle.data ? bundle.data : "", bundle.len, &config, err);
    if (r < 0)
        return dv_error_prefix(err, "the container's configuration: ");
    const struct dv_json *process = dv_json_get(config, "process");
    if (!dv_json_is(process, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_CORRUPT, "the container's configuration has no process");
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_member_bool(&w, "terminal", what->tty);
    if (what->tty && what->rows && what->columns) {
        dv_jw_key(&w, "consoleSize");
        dv_jw_object(&w);
        dv_jw_member_i64(&w, "height", what->rows);
        dv_jw_member_i64(&w, "width", what->columns);
        dv_jw_object_end(&w);
    }
    write_texts(&w, "args", args);
    write_env(&w, dv_json_get(process, "env"), env);
    for (const struct dv_json *m = dv_json_first(process); m; m = dv_json_next(m)) {
        if (!is_kept(dv_json_key(m)))
            continue;
        dv_jw_key(&w, dv_json_key(m));
        dv_jw_node(&w, m);
    }
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}
