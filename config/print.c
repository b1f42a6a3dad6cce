/* SPDX-License-Identifier: Apache-2.0 */
#include "config/state.h"
#include "config/table.h"

#include <string.h>

static const char *const source_names[] = {"default", "file", "command line"};
static const char *const type_names[] = {"text",   "secret text", "true/false",
                                         "number", "duration",    "list of texts"};

static int print_texts(const struct dv_config_texts *texts,
                       bool has_secrets,
                       struct dv_buf *out,
                       struct dv_error *err)
{
    int r = dv_buf_append_str(out, "[", err);
    for (size_t i = 0; r == 0 && i < texts->count; i++) {
        const char *text = texts->items[i];
        size_t len = has_secrets ? strcspn(text, ":") : strlen(text);
        r = dv_buf_printf(out, err, "%s\"%.*s%s\"", i ? ", " : "", (int)len, text,
                          text[len] ? ":***" : "");
    }
    return r < 0 ? r : dv_buf_append_str(out, "]", err);
}

static int print_value(const struct config_key *key,
                       const struct dv_config *config,
                       struct dv_buf *out,
                       struct dv_error *err)
{
    const void *at = (const char *)config + key->offset;
    char text[CONFIG_DURATION_TEXT];
    switch (key->type) {
    case CONFIG_TEXT:
        return dv_buf_printf(out, err, "\"%s\"", *(const char *const *)at);
    case CONFIG_SECRET:
        return dv_buf_append_str(out, **(const char *const *)at ? "\"***\"" : "\"\"", err);
    case CONFIG_BOOL:
        return dv_buf_append_str(out, *(const bool *)at ? "true" : "false", err);
    case CONFIG_INT:
        return dv_buf_printf(out, err, "%lld", (long long)*(const int64_t *)at);
    case CONFIG_DURATION:
        return dv_buf_append_str(out, config_duration_text(*(const int64_t *)at, text), err);
    case CONFIG_TEXTS:
        /* A key file may have its password behind it. */
        return print_texts(at, strcmp(key->path, "containers.image_dec_keys") == 0, out, err);
    }
    return 0;
}

int dv_config_print(const struct dv_config_file *file, struct dv_buf *out, struct dv_error *err)
{
    int r = 0;
    for (size_t i = 0; r == 0 && i < config_key_count; i++) {
        const struct config_key *key = &config_keys[i];
        r = dv_buf_printf(out, err, "%s = ", key->path);
        if (r == 0)
            r = print_value(key, &file->config, out, err);
        if (r == 0)
            r = dv_buf_printf(out, err, "  (%s%s)\n", source_names[file->sources[i]],
                              key->origin == CONFIG_IGNORED ? ", has no effect in davit" : "");
    }
    for (size_t i = 0; r == 0 && i < file->config.registry_count; i++) {
        const struct dv_config_registry *registry = &file->config.registries[i];
        r = dv_buf_printf(out, err,
                          "containers.registry_configurations[\"%s\"] = user \"%s\", password %s, "
                          "root_ca \"%s\"\n",
                          registry->host, registry->user ? registry->user : "",
                          registry->password ? "\"***\"" : "\"\"",
                          registry->root_ca ? registry->root_ca : "");
    }
    return r;
}

static int print_row(const struct config_key *key, struct dv_buf *out, struct dv_error *err)
{
    char text[CONFIG_DURATION_TEXT];
    int r = dv_buf_printf(out, err, "| `%s` | %s | ", key->path, type_names[key->type]);
    if (r < 0)
        return r;
    switch (key->type) {
    case CONFIG_TEXT:
    case CONFIG_SECRET:
    case CONFIG_TEXTS:
        r = dv_buf_printf(out, err, "`%s`", key->text[0] ? key->text : " ");
        break;
    case CONFIG_BOOL:
        r = dv_buf_printf(out, err, "`%s`", key->number ? "true" : "false");
        break;
    case CONFIG_INT:
        r = dv_buf_printf(out, err, "`%lld`", (long long)key->number);
        break;
    case CONFIG_DURATION:
        r = dv_buf_printf(out, err, "`%s`", config_duration_text(key->number, text));
        break;
    }
    return r < 0 ? r
                 : dv_buf_printf(out, err, " | `--%s` | %s |\n", key->flag ? key->flag : key->path,
                                 key->doc);
}

static int print_section(enum config_origin origin, struct dv_buf *out, struct dv_error *err)
{
    int r = dv_buf_append_str(
        out, "| Key | Type | Default | Option | Meaning |\n|---|---|---|---|---|\n", err);
    for (size_t i = 0; r == 0 && i < config_key_count; i++)
        if (config_keys[i].origin == origin)
            r = print_row(&config_keys[i], out, err);
    return r;
}

int dv_config_markdown(struct dv_buf *out, struct dv_error *err)
{
    int r = dv_buf_append_str(
        out,
        "# Configuration\n\n"
        "`davitd --cfg-file FILE` reads one JSON object. A key with dots stands for nested "
        "objects:\n"
        "`davit.run_dir` is `{\"davit\": {\"run_dir\": ...}}`. Defaults are overridden by the "
        "file,\n"
        "the file by the command line. Unknown keys below `davit` are errors; elsewhere they are\n"
        "reported and have no effect. `davitd --print-config` shows what is in force and where it\n"
        "comes from. This page is written by `davitd --config-reference`.\n\n"
        "A registry is configured by `containers.registry_configurations`: an object from host\n"
        "(`host[:port]`) to `{\"credentials\": {\"user_id\", \"password\"}, \"transport\": "
        "{\"root_ca\",\n"
        "\"client_cert\", \"client_key\"}}`.\n\n"
        "## Keys of Eclipse Kanto with the same meaning\n\n",
        err);
    if (r == 0)
        r = print_section(CONFIG_KANTO, out, err);
    if (r == 0)
        r = dv_buf_append_str(out, "\n## davit's own keys\n\n", err);
    if (r == 0)
        r = print_section(CONFIG_DAVIT, out, err);
    if (r == 0)
        r = dv_buf_append_str(
            out,
            "\n## Keys of Eclipse Kanto without effect\n\nAccepted, so that a file of Kanto works; "
            "setting one is reported once.\n\n",
            err);
    return r < 0 ? r : print_section(CONFIG_IGNORED, out, err);
}
