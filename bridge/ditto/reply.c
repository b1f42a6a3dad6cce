/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/reply.h"

#include "base/str.h"
#include "bridge/ditto/write.h"

#include "json/json.h"
#include <string.h>

void dv_ditto_write_topic(struct dv_json_writer *w, const char *thing, const char *tail)
{
    struct dv_str namespace, name;
    dv_str_cut(dv_str_of(thing), ':', &namespace, &name);
    DV_AUTO_IN_PLACE(dv_buf) topic = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    if (dv_buf_printf(&topic, w->error.class == DV_ERR_NONE ? &w->error : NULL,
                      "%.*s/%.*s/things/%s", DV_STR_ARG(namespace), DV_STR_ARG(name), tail) < 0)
        return;
    dv_jw_member_text(w, "topic", topic.data);
}

struct answer {
    const char *correlation_id;
    int64_t status;
    const char *value;
    enum dv_error_class error_class;
    const char *error_text;
};

static void write_headers(struct dv_json_writer *w, const struct answer *answer)
{
    dv_jw_key(w, "headers");
    dv_jw_object(w);
    dv_jw_member_text(w, "content-type", "application/json");
    if (answer->correlation_id)
        dv_jw_member_text(w, "correlation-id", answer->correlation_id);
    dv_jw_object_end(w);
}

static void write_value(struct dv_json_writer *w, const struct answer *answer)
{
    if (answer->error_class != DV_ERR_NONE) {
        bool has_text = answer->error_text && answer->error_text[0];
        dv_jw_key(w, "value");
        dv_jw_object(w);
        dv_jw_member_text(w, "error", dv_error_ditto_code(answer->error_class));
        dv_jw_member_i64(w, "status", answer->status);
        dv_jw_member_text(w, "message",
                          has_text ? answer->error_text : dv_error_summary(answer->error_class));
        dv_jw_object_end(w);
    } else if (answer->value) {
        dv_jw_key(w, "value");
        dv_jw_raw(w, answer->value, strlen(answer->value));
    }
    dv_jw_member_i64(w, "status", answer->status);
}

int dv_ditto_write_reply(const struct dv_command_reply *reply,
                         const char *thing,
                         const char *correlation_id,
                         struct dv_buf *out,
                         struct dv_error *err)
{
    struct answer answer = {
        .correlation_id = correlation_id,
        .status = reply->status,
        .value = reply->value,
        .error_class = dv_error_class_of(reply->error_class),
        .error_text = reply->error_text,
    };
    const char *box = reply->is_before_dispatch ? "inbox" : "outbox";
    struct dv_json_writer w;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    int r = dv_buf_printf(&text, err, "live/messages/%s", reply->operation);
    if (r < 0)
        return r;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_ditto_write_topic(&w, thing, text.data);
    write_headers(&w, &answer);
    dv_buf_clear(&text);
    r = dv_buf_printf(&text, err, "/features/%s/%s/messages/%s", reply->feature, box,
                      reply->operation);
    if (r < 0)
        return r;
    dv_jw_member_text(&w, "path", text.data);
    write_value(&w, &answer);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}

int dv_ditto_write_refusal(const struct dv_ditto_request *request,
                           enum dv_error_class class,
                           const char *text,
                           struct dv_buf *out,
                           struct dv_error *err)
{
    struct answer answer = {
        .correlation_id = request->correlation_id,
        .status = dv_error_status(class),
        .error_class = class,
        .error_text = text,
    };
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_member_text(&w, "topic", request->topic);
    write_headers(&w, &answer);
    dv_jw_member_text(&w, "path", request->path);
    write_value(&w, &answer);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}
