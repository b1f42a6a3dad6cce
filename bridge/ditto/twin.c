/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/twin.h"

#include "bridge/ditto/key.h"
#include "bridge/ditto/reply.h"
#include "bridge/ditto/write.h"

#include "json/json.h"
#include <string.h>

static void write_headers(struct dv_json_writer *w, bool has_content_type)
{
    dv_jw_key(w, "headers");
    dv_jw_object(w);
    if (has_content_type)
        dv_jw_member_text(w, "content-type", "application/json");
    dv_jw_member_bool(w, "response-required", false);
    dv_jw_object_end(w);
}

static int
append_path(struct dv_buf *out, const struct dv_twin_change *change, struct dv_error *err)
{
    int r = dv_buf_append_str(out, "/features/", err);
    if (r < 0 || (r = dv_ditto_append_key(out, dv_str_of(change->feature), err)) < 0)
        return r;
    if (change->kind != DV_TWIN_PROPERTY)
        return 0;
    if (!change->path || !change->path[0])
        return dv_error_set(err, DV_ERR_INVALID, "property change of feature '%s' has no path",
                            change->feature);
    if ((r = dv_buf_append_str(out, "/properties/", err)) < 0)
        return r;
    return dv_ditto_append_key_path(out, dv_str_of(change->path), err);
}

static void write_raw(struct dv_json_writer *w, const char *json)
{
    dv_jw_raw(w, json, strlen(json));
}

static void write_feature(struct dv_json_writer *w, const struct dv_twin_change *change)
{
    dv_jw_key(w, "value");
    dv_jw_object(w);
    if (change->definition && change->definition[0]) {
        dv_jw_key(w, "definition");
        dv_jw_array(w);
        dv_jw_text(w, change->definition);
        dv_jw_array_end(w);
    }
    if (change->value && change->value[0]) {
        dv_jw_key(w, "properties");
        write_raw(w, change->value);
    }
    dv_jw_object_end(w);
}

int dv_ditto_write_twin(const struct dv_twin_change *change,
                        const char *thing,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) path = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    int r = append_path(&path, change, err);
    if (r < 0)
        return r;
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    bool is_delete = change->kind == DV_TWIN_DELETE;
    dv_ditto_write_topic(&w, thing, is_delete ? "twin/commands/delete" : "twin/commands/modify");
    write_headers(&w, false);
    dv_jw_member_text(&w, "path", path.data);
    if (change->kind == DV_TWIN_FEATURE) {
        write_feature(&w, change);
    } else if (change->kind == DV_TWIN_PROPERTY) {
        /* A property that became nothing is an explicit null, else Ditto would refuse it. */
        dv_jw_key(&w, "value");
        write_raw(&w, change->value && change->value[0] ? change->value : "null");
    }
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}

int dv_ditto_write_outbox(const struct dv_outbox_message *message,
                          const char *thing,
                          struct dv_buf *out,
                          struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    int r = dv_buf_printf(&text, err, "live/messages/%s", message->subject);
    if (r < 0)
        return r;
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_ditto_write_topic(&w, thing, text.data);
    write_headers(&w, message->value != NULL);
    dv_buf_clear(&text);
    if ((r = dv_buf_append_str(&text, "/features/", err)) < 0 ||
        (r = dv_ditto_append_key(&text, dv_str_of(message->feature), err)) < 0 ||
        (r = dv_buf_printf(&text, err, "/outbox/messages/%s", message->subject)) < 0)
        return r;
    dv_jw_member_text(&w, "path", text.data);
    if (message->value) {
        dv_jw_key(&w, "value");
        write_raw(&w, message->value);
    }
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}
