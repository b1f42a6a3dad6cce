/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/command.h"
#include "messages/codec.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define THING "org.example:gw1:edge:containers"
#define DITTO "org.example/gw1:edge:containers/things/live/messages/"
#define REQ   "command//" THING "/req/"
#define RES   "command//" THING "/res/"

static struct dv_arena *arena;

static void setup(void)
{
    arena = dv_arena_new(1U << 20);
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(hono_command, .init = setup, .fini = teardown);

static struct dv_hono_judgement judge(const char *topic, const char *payload)
{
    struct dv_hono_judgement judgement;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_raw *raw = dv_arena_alloc(arena, sizeof(*raw));
    *raw = (struct dv_hono_raw){
        .thing = dv_arena_strdup(arena, THING),
        .topic = dv_arena_strdup(arena, topic),
        .payload = {(uint8_t *)dv_arena_strdup(arena, payload), strlen(payload)}};
    cr_assert_eq(dv_hono_judge(raw, arena, &judgement, &err), 0, "%s", err.text);
    return judgement;
}

/* An envelope for operation `start`; `required` is the JSON of response-required. */
static const char *envelope(const char *required, const char *path)
{
    return dv_arena_printf(arena,
                           "{\"topic\":\"" DITTO "start\",\"headers\":{\"correlation-id\":\"c\","
                           "\"response-required\":%s},\"path\":\"%s\"}",
                           required, path);
}

#define GOOD_PATH "/features/Container:7b0c/inbox/messages/start"
#define BAD_PATH  "/nowhere"

static void expect_answer(const struct dv_hono_judgement *judgement, const char *topic)
{
    cr_assert_eq(judgement->verdict, DV_HONO_REFUSED);
    cr_expect_str_eq(judgement->answer_topic, topic);
}

static char *reply_topic(const struct dv_hono_judgement *judgement, struct dv_command_reply reply)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_hono_answer) answer = DV_HONO_ANSWER_INIT;
    reply.feature = judgement->command->feature;
    reply.operation = judgement->command->operation;
    reply.token = judgement->command->token;
    cr_assert_eq(dv_hono_answer_write(&reply, &answer, &err), 0, "%s", err.text);
    cr_expect_str_eq(answer.thing, THING);
    cr_expect_not_null(strstr(answer.payload.data, "\"correlation-id\":\"c\""));
    return dv_arena_strdup(arena, answer.topic.data);
}

/* shows: K5, K6 */
Test(hono_command, with_a_request_id_is_answered_by_it)
{
    struct dv_hono_judgement j = judge(REQ "101/start", envelope("true", GOOD_PATH));
    cr_assert_eq(j.verdict, DV_HONO_COMMAND);
    cr_expect(j.command->wants_reply);
    cr_expect_not(j.command->is_documented_dialect);
    cr_expect_str_eq(j.command->feature, "Container:7b0c");
    cr_expect_str_eq(j.command->operation, "start");
    cr_expect_eq(dv_validate(&dv_schema_command, j.command, NULL), 0);
    cr_expect_str_eq(reply_topic(&j, (struct dv_command_reply){.status = 204}), RES "101/204");
}

/* shows: D1, D2 */
Test(hono_command, without_a_request_id_is_answered_as_the_document_says)
{
    struct dv_hono_judgement j = judge(REQ "/start", envelope("true", GOOD_PATH));
    cr_assert_eq(j.verdict, DV_HONO_COMMAND);
    cr_expect(j.command->wants_reply);
    cr_expect(j.command->is_documented_dialect);
    struct dv_command_reply failed = {.status = 500, .error_class = DV_ERR_STATE};
    cr_expect_str_eq(reply_topic(&j, failed), RES "/start");
}

/* shows: K7 */
Test(hono_command, that_wants_no_answer_is_executed)
{
    static const char *const requests[] = {REQ "/start", REQ "101/start"};
    static const char *const required[] = {"false", "null"};
    for (int i = 0; i < 4; i++) {
        struct dv_hono_judgement j = judge(requests[i / 2], envelope(required[i % 2], GOOD_PATH));
        cr_assert_eq(j.verdict, DV_HONO_COMMAND);
        cr_expect_not(j.command->wants_reply);
        cr_expect_not(j.command->is_documented_dialect);
    }
}

Test(hono_command, that_is_malformed_is_answered_in_its_dialect)
{
    struct dv_hono_judgement j = judge(REQ "101/start", envelope("true", BAD_PATH));
    expect_answer(&j, RES "101/400");
    j = judge(REQ "/begin", envelope("true", BAD_PATH));
    expect_answer(&j, RES "/begin");
    j = judge(REQ "101/start", envelope("false", BAD_PATH));
    cr_expect_eq(j.verdict, DV_HONO_SILENT);
    j = judge(REQ "101/x", envelope("true", "/inbox/messages/fly"));
    expect_answer(&j, RES "101/404");
    j = judge(REQ "/x", envelope("true", "/inbox/messages/fly"));
    expect_answer(&j, RES "/fly");
}

/* shows: E1, what-is-answered */
Test(hono_command, that_cannot_be_read_is_answered_by_its_request_id_only)
{
    struct dv_hono_judgement j = judge(REQ "101/start", "{");
    expect_answer(&j, RES "101/400");
    j = judge(REQ "/start", "{");
    cr_expect_eq(j.verdict, DV_HONO_SILENT);
    j = judge(REQ "101/start", envelope("1", GOOD_PATH));
    expect_answer(&j, RES "101/400");
    j = judge(REQ "/start", envelope("1", GOOD_PATH));
    cr_expect_eq(j.verdict, DV_HONO_SILENT);
}

Test(hono_command, answers_of_a_pre_dispatch_error_go_to_the_device_of_the_topic)
{
    struct dv_hono_judgement j = judge("command//a:b/req/1/start", envelope("true", BAD_PATH));
    expect_answer(&j, "command//a:b/res/1/400");
}

/* shows: K12, what-is-answered */
Test(hono_command, echoes_and_other_topics_are_ignored)
{
    cr_expect_eq(judge(REQ "/modified", "{").verdict, DV_HONO_IGNORED);
    cr_expect_eq(judge(REQ "1/modify-response", "{").verdict, DV_HONO_IGNORED);
    cr_expect_eq(judge("e/t/x", "{").verdict, DV_HONO_IGNORED);
    cr_expect_eq(judge(REQ "1/start", "{\"topic\":\"a/b/things/twin/errors\",\"headers\":"
                                      "{\"response-required\":true},\"path\":\"/\"}")
                     .verdict,
                 DV_HONO_IGNORED);
}

Test(hono_command, operation_that_a_broker_would_punish_is_not_put_into_a_topic)
{
    struct dv_hono_judgement j =
        judge(REQ "/start", envelope("true", "/features/F/inbox/messages/a+b"));
    cr_assert_eq(j.verdict, DV_HONO_COMMAND);
    struct dv_command_reply failed = {.status = 404, .error_class = DV_ERR_NOT_FOUND};
    cr_expect_str_eq(reply_topic(&j, failed), RES "/start");
}

/* shows: deadlines */
Test(hono_command, can_be_refused_for_another_reason)
{
    struct dv_hono_judgement j = judge(REQ "101/start", envelope("true", GOOD_PATH));
    cr_assert_eq(dv_hono_refuse(&j, DV_ERR_BUSY, "too many", arena, NULL), 0);
    expect_answer(&j, RES "101/503");
    cr_expect_not_null(strstr(j.answer.data, "too many"));
    cr_expect_not_null(strstr(j.answer.data, GOOD_PATH));
    j = judge(REQ "101/start", envelope("false", GOOD_PATH));
    cr_assert_eq(dv_hono_refuse(&j, DV_ERR_BUSY, "too many", arena, NULL), 0);
    cr_expect_eq(j.verdict, DV_HONO_SILENT);
}

/* shows: repeats */
Test(hono_command, repeat_key_tells_requests_apart)
{
    const char *key = judge(REQ "1/start", envelope("true", GOOD_PATH)).command->repeat_key;
    cr_expect_str_eq(judge(REQ "1/start", envelope("true", GOOD_PATH)).command->repeat_key, key);
    cr_expect_str_neq(judge(REQ "2/start", envelope("true", GOOD_PATH)).command->repeat_key, key);
    cr_expect_str_neq(judge(REQ "1/start", envelope("true", GOOD_PATH "x")).command->repeat_key,
                      key);
}

/* shows: D6 */
Test(hono_command, token_carries_any_correlation_id)
{
    const char *payload = "{\"topic\":\"" DITTO "start\",\"headers\":{\"correlation-id\":"
                          "\"1 2:\\u0001\\\"\\u00e4\",\"response-required\":true},"
                          "\"path\":\"" GOOD_PATH "\"}";
    struct dv_hono_judgement j = judge(REQ "a b:c/start", payload);
    DV_AUTO_IN_PLACE(dv_hono_answer) answer = DV_HONO_ANSWER_INIT;
    struct dv_command_reply reply = {
        .feature = "F", .operation = "start", .status = 204, .token = j.command->token};
    cr_assert_eq(dv_hono_answer_write(&reply, &answer, NULL), 0);
    cr_expect_str_eq(answer.topic.data, RES "a b:c/204");
    cr_expect_not_null(strstr(answer.payload.data, "\"1 2:\\u0001\\\"\xc3\xa4\""));
}

Test(hono_command, largest_parts_still_fit_the_token)
{
    char topic[2048], payload[4096], id[2000];
    memset(id, 'x', sizeof(id));
    snprintf(topic, sizeof(topic), REQ "%.*s/start", DV_HONO_REQUEST_ID_MAX, id);
    snprintf(payload, sizeof(payload),
             "{\"topic\":\"" DITTO "s\",\"headers\":{\"correlation-id\":\"%.*s\","
             "\"response-required\":true},\"path\":\"/features/F/inbox/messages/%.*s\"}",
             DV_DITTO_CORRELATION_MAX, id, DV_DITTO_OPERATION_MAX, id);
    struct dv_hono_judgement j = judge(topic, payload);
    cr_assert_eq(j.verdict, DV_HONO_COMMAND);
    cr_expect_eq(dv_validate(&dv_schema_command, j.command, NULL), 0);
}

Test(hono_command, foreign_token_is_refused)
{
    static const char *const tokens[] = {NULL,    "",           "x",
                                         "1 1 1", "1 1 1 1:ab", "9999999999999999999 0 0 0:",
                                         "0 0 0", "0 0 0 0:x",  "-1 0 0 0:"};
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++) {
        DV_AUTO_IN_PLACE(dv_hono_answer) answer = DV_HONO_ANSWER_INIT;
        struct dv_command_reply reply = {.feature = "F",
                                         .operation = "o",
                                         .status = 204,
                                         .token =
                                             tokens[i] ? dv_arena_strdup(arena, tokens[i]) : NULL};
        cr_expect_eq(dv_hono_answer_write(&reply, &answer, NULL), -DV_ERR_INVALID, "%s", tokens[i]);
    }
}
