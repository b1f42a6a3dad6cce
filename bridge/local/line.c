/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/local/line.h"

#include "messages/json/json_codec.h"

#include <string.h>

static bool is_blank(struct dv_str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!strchr(" \t\r", text.data[i]) || !text.data[i])
            return false;
    return true;
}

/* What a client may say. */
static const struct {
    enum line_type type;
    const struct dv_schema *schema;
} kinds[] = {
    {LINE_REQUEST, &dv_schema_local_request},
    {LINE_WATCH, &dv_schema_local_watch},
    {LINE_ATTACH, &dv_schema_local_attach},
    {LINE_EXEC, &dv_schema_local_exec},
};

static void keep_body(struct line *ret, enum line_type type, const void *body)
{
    ret->type = type;
    if (type == LINE_REQUEST)
        ret->request = body;
    else if (type == LINE_WATCH)
        ret->watch = body;
    else if (type == LINE_ATTACH)
        ret->attach = body;
    else
        ret->exec = body;
}

static int read_object(const struct dv_json *object,
                       struct dv_arena *arena,
                       struct line *ret,
                       struct dv_error *err)
{
    const char *kind = dv_json_text(dv_json_get(object, LINE_KIND_KEY));
    void *body;
    for (size_t i = 0; kind && i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kind, kinds[i].schema->name) != 0)
            continue;
        int r = dv_message_read_json(kinds[i].schema, object, LINE_KIND_KEY, arena, &body, err);
        if (r == 0)
            keep_body(ret, kinds[i].type, body);
        return r;
    }
    return dv_error_set(err, DV_ERR_INVALID,
                        LINE_KIND_KEY ": local_request, local_watch, local_attach or local_exec "
                                      "is expected, not '%.64s'",
                        kind ? kind : "");
}

int line_read(struct dv_str text, struct dv_arena *arena, struct line *ret, struct dv_error *err)
{
    DV_AUTO(dv_json) object = NULL;
    *ret = (struct line){.type = LINE_BLANK, .id = ""};
    if (is_blank(text))
        return 0;
    int r = dv_json_parse(text.data, text.len, &object, err);
    if (r < 0)
        return r;
    const char *id = dv_json_text(dv_json_get(object, "id"));
    if (id && strlen(id) <= LINE_ID_MAX)
        ret->id = dv_arena_strdup(arena, id);
    if (!ret->id) {
        ret->id = "";
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a line");
    }
    return read_object(object, arena, ret, err);
}

bool line_traces(const struct dv_local_request *request)
{
    DV_AUTO(dv_json) args = NULL;
    return request->args && dv_json_parse(request->args, strlen(request->args), &args, NULL) == 0 &&
           dv_json_bool(dv_json_get(args, "on"));
}
