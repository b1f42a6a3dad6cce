/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "bridge/ditto/envelope.h"
#include "bridge/ditto/reply.h"
#include "tests/support/golden.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define OUR_THING "org.example:gw1:edge:containers"

static const char *const answers[] = {
    [DV_DITTO_ANSWER_NO] = "no",
    [DV_DITTO_ANSWER_YES] = "yes",
    [DV_DITTO_ANSWER_UNKNOWN] = "unknown",
};

static struct dv_ditto_request parse(struct dv_arena *arena, const char *bytes, size_t len)
{
    struct dv_ditto_request request;
    cr_assert_eq(dv_ditto_parse(bytes, len, OUR_THING, arena, &request, NULL), 0);
    return request;
}

static void render(const struct dv_ditto_request *request, struct dv_buf *out)
{
    if (request->verdict == DV_DITTO_IGNORED) {
        cr_assert_eq(dv_buf_append_str(out, "ignored", NULL), 0);
    } else if (request->verdict == DV_DITTO_REFUSED) {
        cr_assert_eq(dv_buf_printf(out, NULL, "answer %s\n", answers[request->answer]), 0);
        cr_assert_eq(
            dv_ditto_write_refusal(request, request->error_class, request->error_text, out, NULL),
            0);
    } else {
        cr_assert_eq(dv_buf_printf(out, NULL,
                                   "answer %s\nfeature %s\noperation %s\ncorrelation-id %s\n"
                                   "value %s",
                                   answers[request->answer], request->feature, request->operation,
                                   request->correlation_id,
                                   request->value ? request->value : "absent"),
                     0);
    }
    cr_assert_eq(dv_buf_append_str(out, "\n", NULL), 0);
}

static void check_golden(const char *name)
{
    char file[300];
    size_t len;
    snprintf(file, sizeof(file), "%s.in", name);
    dv_autofree char *input = dv_golden_read("ditto", file, &len);
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1U << 20);
    struct dv_ditto_request request = parse(arena, input, len);
    render(&request, &out);
    snprintf(file, sizeof(file), "%s.out", name);
    dv_golden_expect("ditto", file, out.data, out.len);
}

/* shows: E1, E2, E3, E4, E5, E6, E7, E8, E10, E11, K5, K8, D31, json-keys, what-is-answered */
Test(ditto_envelope, gives_every_row_its_answer)
{
    cr_assert_geq(dv_golden_each("ditto", ".in", check_golden), 50);
}

/* shows: input-limits */
Test(ditto_envelope, refuses_more_than_a_mebibyte_unread)
{
    size_t len = DV_DITTO_PAYLOAD_MAX + 1;
    dv_autofree char *bytes = malloc(len);
    memset(bytes, ' ', len);
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    struct dv_ditto_request request = parse(arena, bytes, len);
    cr_expect_eq(request.verdict, DV_DITTO_REFUSED);
    cr_expect_eq(request.answer, DV_DITTO_ANSWER_UNKNOWN);
    cr_expect_not_null(strstr(request.error_text, "1048576"));
}

Test(ditto_envelope, cannot_be_read_without_memory)
{
    static const char bytes[] = "{\"topic\":\"org.example/gw1:edge:containers/things/live/messages/"
                                "x\",\"path\":\"/features/F/inbox/messages/x\"}";
    DV_AUTO(dv_arena) arena = dv_arena_new(16);
    struct dv_ditto_request request;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_ditto_parse(bytes, sizeof(bytes) - 1, OUR_THING, arena, &request, &err),
                 -DV_ERR_NO_MEMORY);
}
