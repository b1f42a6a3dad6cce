/* SPDX-License-Identifier: Apache-2.0 */
/* What comes out of artifacts, and what the twin shows of software. */
#include "spec/record.h"
#include "spec/rules.h"
#include "spec/software.h"

#include "json/json.h"
#include <string.h>

/* -- artifacts ------------------------------------------------------------------------------ */

int dv_software_description(const char *bytes,
                            size_t len,
                            const char *id,
                            struct dv_arena *arena,
                            struct dv_container_record **ret,
                            struct dv_error *err)
{
    struct dv_container_record *record = NULL;
    DV_AUTO(dv_json) tree = NULL;
    int r = dv_json_parse(bytes, len, &tree, err);
    if (r == -DV_ERR_INVALID && err) {
        err->class = DV_ERR_CORRUPT;
        return -DV_ERR_CORRUPT;
    }
    if (r == 0)
        r = dv_record_describe(bytes, len, id, NULL, arena, &record, err);
    if (r == 0 && record->spec->hooks.count)
        r = dv_error_set(err, DV_ERR_UNSUPPORTED,
                         "hooks: programs of the gateway are run only for descriptions that lie on "
                         "the gateway");
    if (r == 0)
        *ret = record;
    return r;
}

bool dv_software_md5_of(const char *bytes, size_t len, char ret_hex[33])
{
    size_t at = 0;
    while (at < len && strchr(" \t\r\n", bytes[at]) && bytes[at])
        at++;
    if (len - at < 32)
        return false;
    for (size_t i = 0; i < 32; i++) {
        char c = bytes[at + i];
        if (c >= 'A' && c <= 'F')
            c = (char)(c - 'A' + 'a');
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        ret_hex[i] = c;
    }
    ret_hex[32] = '\0';
    return at + 32 == len || strchr(" \t\r\n*", bytes[at + 32]);
}

char *dv_software_place(struct dv_bytes url, struct dv_arena *arena)
{
    char *text = dv_arena_strndup(arena, (const char *)url.data, url.len);
    if (!text)
        return NULL;
    char *host = strstr(text, "://");
    host = host ? host + 3 : text;
    host[strcspn(host, "?#")] = '\0';
    char *user_end = memrchr(host, '@', strcspn(host, "/"));
    if (user_end)
        memmove(host, user_end + 1, strlen(user_end + 1) + 1);
    return text;
}

/* -- dependencies --------------------------------------------------------------------------- */

int dv_software_dependency(const char *id,
                           const char *image_ref,
                           struct dv_arena *arena,
                           struct dv_dependency *ret,
                           struct dv_error *err)
{
    struct dv_str group;
    struct dv_str version = {"", 0};
    (void)dv_str_cut(dv_str_of(image_ref), ':', &group, &version);
    *ret = (struct dv_dependency){
        .group = dv_arena_strndup(arena, group.data, group.len),
        .name = dv_arena_strdup(arena, id),
        .version = dv_arena_strndup(arena, version.data, version.len),
    };
    if (ret->group && ret->name && ret->version)
        return 0;
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a dependency");
}

/* Ditto takes no '/', no control and no non-ASCII character in a key. */
static int append_key(struct dv_buf *out, const char *text)
{
    int r = 0;
    for (const char *at = text; r == 0 && *at; at++) {
        unsigned char c = (unsigned char)*at;
        bool is_plain = c >= ' ' && c <= '~' && c != '/';
        r = is_plain ? dv_buf_append(out, at, 1, NULL) : dv_buf_printf(out, NULL, "%%%02X", c);
    }
    return r;
}

#define KEY_MAX 256

static void write_dependency(struct dv_json_writer *w, const struct dv_dependency *dependency)
{
    dv_jw_object(w);
    if (dependency->group && dependency->group[0])
        dv_jw_member_text(w, "group", dependency->group);
    dv_jw_member_text(w, "name", dependency->name);
    dv_jw_member_text(w, "version", dependency->version ? dependency->version : "");
    if (dependency->type && dependency->type[0])
        dv_jw_member_text(w, "type", dependency->type);
    dv_jw_object_end(w);
}

static void write_member(struct dv_json_writer *w, const struct dv_dependency *dependency)
{
    DV_AUTO_IN_PLACE(dv_buf) key = DV_BUF_INIT(KEY_MAX);
    int r = append_key(&key, dependency->group ? dependency->group : "");
    if (r == 0)
        r = dv_buf_append_str(&key, ".", NULL);
    if (r == 0)
        r = append_key(&key, dependency->name);
    if (r == 0)
        r = dv_buf_append_str(&key, ":", NULL);
    if (r == 0)
        r = append_key(&key, dependency->version ? dependency->version : "");
    /* Too long for a key: the id alone is unique too. */
    dv_jw_key(w, r < 0 ? dependency->name : key.data);
    write_dependency(w, dependency);
}

int dv_software_write_dependencies(const struct dv_dependency *dependencies,
                                   size_t count,
                                   size_t max_bytes,
                                   struct dv_buf *out,
                                   size_t *ret_left_out,
                                   struct dv_error *err)
{
    struct dv_json_writer w;
    size_t left_out = 0;
    dv_jw_init(&w, out);
    if (count == 0)
        dv_jw_null(&w);
    else
        dv_jw_object(&w);
    for (size_t i = 0; i < count; i++) {
        if (out->len > max_bytes)
            left_out++;
        else
            write_member(&w, &dependencies[i]);
    }
    if (count)
        dv_jw_object_end(&w);
    *ret_left_out = left_out;
    return dv_jw_done(&w, err);
}

static void write_raw(struct dv_json_writer *w, const char *key, const char *value)
{
    if (!value)
        return;
    dv_jw_key(w, key);
    dv_jw_raw(w, value, strlen(value));
}

int dv_software_write_properties(const char *dependencies,
                                 const char *last_operation,
                                 const char *last_failed,
                                 struct dv_buf *out,
                                 struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_key(&w, "status");
    dv_jw_object(&w);
    dv_jw_member_text(&w, "softwareModuleType", DV_SOFTWARE_TYPE);
    write_raw(&w, "installedDependencies", dependencies);
    write_raw(&w, "lastOperation", last_operation);
    write_raw(&w, "lastFailedOperation", last_failed);
    dv_jw_object_end(&w);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}

/* -- reports -------------------------------------------------------------------------------- */

int dv_software_write_report(const struct dv_software_report *report,
                             struct dv_buf *out,
                             struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "correlationId", report->correlation_id ? report->correlation_id : "");
    dv_jw_member_text(&w, "status", dv_enum_api(&dv_enum_software_status, report->status));
    if (report->module) {
        dv_jw_key(&w, "softwareModule");
        dv_jw_object(&w);
        dv_jw_member_text(&w, "name", report->module->name);
        dv_jw_member_text(&w, "version", report->module->version ? report->module->version : "");
        dv_jw_object_end(&w);
    }
    if (report->software_count) {
        dv_jw_key(&w, "software");
        dv_jw_array(&w);
        for (size_t i = 0; i < report->software_count; i++)
            write_dependency(&w, report->software[i]);
        dv_jw_array_end(&w);
    }
    if (report->progress)
        dv_jw_member_i64(&w, "progress", report->progress);
    if (report->message)
        dv_jw_member_text(&w, "message", report->message);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}
