/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/command.h"

#include "base/sha256.h"

#include <inttypes.h>
#include <stdio.h>

/* The token carries what the answer needs through the daemon and the journal: the lengths of its
 * parts, then the parts, which may contain anything. */
enum part { PART_THING, PART_REQUEST_ID, PART_OPERATION, PART_CORRELATION_ID, PARTS };

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to read a command");
}

static char *token_write(const struct dv_str parts[PARTS], struct dv_arena *arena)
{
    return dv_arena_printf(arena, "%zu %zu %zu %zu:%.*s%.*s%.*s%.*s", parts[0].len, parts[1].len,
                           parts[2].len, parts[3].len, DV_STR_ARG(parts[0]), DV_STR_ARG(parts[1]),
                           DV_STR_ARG(parts[2]), DV_STR_ARG(parts[3]));
}

static bool token_read(const char *token, struct dv_str parts[PARTS])
{
    struct dv_str lengths, rest, number;
    if (!token || !dv_str_cut(dv_str_of(token), ':', &lengths, &rest))
        return false;
    for (int i = 0; i < PARTS; i++) {
        int64_t len;
        dv_str_cut(lengths, ' ', &number, &lengths);
        if (dv_str_to_i64(number, 0, (int64_t)rest.len, &len, NULL) < 0)
            return false;
        parts[i] = (struct dv_str){rest.data, (size_t)len};
        rest = (struct dv_str){rest.data + len, rest.len - (size_t)len};
    }
    return rest.len == 0 && parts[PART_THING].len <= DV_HONO_THING_MAX;
}

/* The operation as a part of a topic; what the sender wrote there himself is always usable. */
static struct dv_str answer_operation(const struct dv_hono_judgement *judgement)
{
    struct dv_str operation = dv_str_of(judgement->request.operation);
    bool is_usable = operation.len > 0 && operation.len <= DV_DITTO_OPERATION_MAX &&
                     dv_hono_is_topic_part(operation);
    return is_usable ? operation : judgement->topic.subject;
}

static bool is_answer_wanted(const struct dv_hono_judgement *judgement)
{
    if (judgement->request.answer == DV_DITTO_ANSWER_UNKNOWN)
        return judgement->topic.request_id.len > 0;
    return judgement->request.answer == DV_DITTO_ANSWER_YES;
}

static char *repeat_key(const struct dv_hono_judgement *judgement, struct dv_arena *arena)
{
    const struct dv_ditto_request *request = &judgement->request;
    struct dv_str id = judgement->topic.request_id;
    struct dv_sha256 sha;
    char hex[DV_SHA256_HEX_SIZE];
    dv_sha256_init(&sha);
    dv_sha256_add_part(&sha, request->thing, strlen(request->thing));
    dv_sha256_add_part(&sha, id.data, id.len);
    dv_sha256_add_part(&sha, request->correlation_id, strlen(request->correlation_id));
    dv_sha256_add_part(&sha, request->path, strlen(request->path));
    if (request->value)
        dv_sha256_add_part(&sha, request->value, strlen(request->value));
    return dv_arena_strdup(arena, dv_sha256_finish_hex(&sha, hex));
}

static int
make_command(struct dv_hono_judgement *judgement, struct dv_arena *arena, struct dv_error *err)
{
    const struct dv_ditto_request *request = &judgement->request;
    struct dv_str parts[PARTS] = {
        [PART_THING] = dv_str_of(request->thing),
        [PART_REQUEST_ID] = judgement->topic.request_id,
        [PART_OPERATION] = answer_operation(judgement),
        [PART_CORRELATION_ID] = dv_str_of(request->correlation_id),
    };
    struct dv_command *command = dv_arena_alloc(arena, sizeof(*command));
    if (!command)
        return no_memory(err);
    command->feature = dv_arena_strdup(arena, request->feature);
    command->operation = dv_arena_strdup(arena, request->operation);
    command->args = request->value ? dv_arena_strdup(arena, request->value) : NULL;
    command->token = token_write(parts, arena);
    command->wants_reply = is_answer_wanted(judgement);
    command->repeat_key = repeat_key(judgement, arena);
    command->is_documented_dialect = command->wants_reply && judgement->topic.request_id.len == 0;
    if (!command->feature || !command->operation || !command->token || !command->repeat_key ||
        (request->value && !command->args))
        return no_memory(err);
    judgement->command = command;
    judgement->verdict = DV_HONO_COMMAND;
    return 0;
}

int dv_hono_refuse(struct dv_hono_judgement *judgement,
                   enum dv_error_class class,
                   const char *text,
                   struct dv_arena *arena,
                   struct dv_error *err)
{
    judgement->command = NULL;
    if (!is_answer_wanted(judgement)) {
        judgement->verdict = DV_HONO_SILENT;
        return 0;
    }
    DV_AUTO_IN_PLACE(dv_buf) payload = DV_BUF_INIT(DV_DITTO_ENVELOPE_MAX);
    int r = dv_ditto_write_refusal(&judgement->request, class, text, &payload, err);
    if (r < 0)
        return r;
    const struct dv_hono_topic *topic = &judgement->topic;
    if (topic->request_id.len > 0)
        judgement->answer_topic =
            dv_arena_printf(arena, "command//%.*s/res/%.*s/%d", DV_STR_ARG(topic->thing),
                            DV_STR_ARG(topic->request_id), dv_error_status(class));
    else
        judgement->answer_topic =
            dv_arena_printf(arena, "command//%.*s/res//%.*s", DV_STR_ARG(topic->thing),
                            DV_STR_ARG(answer_operation(judgement)));
    judgement->answer =
        (struct dv_str){dv_arena_strndup(arena, payload.data, payload.len), payload.len};
    if (!judgement->answer_topic || !judgement->answer.data)
        return no_memory(err);
    judgement->verdict = DV_HONO_REFUSED;
    return 0;
}

int dv_hono_judge(const struct dv_hono_raw *raw,
                  struct dv_arena *arena,
                  struct dv_hono_judgement *ret,
                  struct dv_error *err)
{
    struct dv_hono_judgement judgement = {.verdict = DV_HONO_IGNORED};
    *ret = judgement;
    if (!dv_hono_topic_parse(dv_str_of(raw->topic), &judgement.topic) ||
        dv_hono_topic_is_echo(&judgement.topic))
        return 0;
    int r = dv_ditto_parse(raw->payload.data, raw->payload.len, raw->thing, arena,
                           &judgement.request, err);
    if (r < 0)
        return r;
    if (judgement.request.verdict == DV_DITTO_COMMAND)
        r = make_command(&judgement, arena, err);
    else if (judgement.request.verdict == DV_DITTO_REFUSED)
        r = dv_hono_refuse(&judgement, judgement.request.error_class, judgement.request.error_text,
                           arena, err);
    if (r < 0)
        return r;
    *ret = judgement;
    return 0;
}

int dv_hono_answer_write(const struct dv_command_reply *reply,
                         struct dv_hono_answer *ret,
                         struct dv_error *err)
{
    struct dv_str parts[PARTS];
    if (!token_read(reply->token, parts))
        return dv_error_set(err, DV_ERR_INVALID, "answer to '%s' has a token that is not ours",
                            reply->operation);
    snprintf(ret->thing, sizeof(ret->thing), "%.*s", DV_STR_ARG(parts[PART_THING]));
    dv_autofree char *correlation_id = dv_str_dup(parts[PART_CORRELATION_ID]);
    if (!correlation_id)
        return no_memory(err);
    int r = dv_buf_printf(&ret->topic, err, "command//%s/res/%.*s/", ret->thing,
                          DV_STR_ARG(parts[PART_REQUEST_ID]));
    if (r < 0)
        return r;
    if (parts[PART_REQUEST_ID].len > 0)
        r = dv_buf_printf(&ret->topic, err, "%" PRId64, reply->status);
    else
        r = dv_buf_append(&ret->topic, parts[PART_OPERATION].data, parts[PART_OPERATION].len, err);
    if (r < 0)
        return r;
    return dv_ditto_write_reply(reply, ret->thing, correlation_id, &ret->payload, err);
}

void dv_hono_answer_done(struct dv_hono_answer *answer)
{
    dv_buf_done(&answer->topic);
    dv_buf_done(&answer->payload);
}
