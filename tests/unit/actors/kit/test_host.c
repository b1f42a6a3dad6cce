/* SPDX-License-Identifier: Apache-2.0 */
/* A host alone: what it makes of messages that no well-behaved cell sends. */
#include "actors.h"
#include "actors/kit/host.h"
#include "base/arena.h"
#include "messages/codec.h"

#include <criterion/criterion.h>
#include <string.h>

#define SENT_MAX 16

static struct dv_host host;
static struct dv_packer packer;
static struct dv_parcel sent[SENT_MAX];
static size_t sent_count;
static struct dv_arena *arena;
static struct test_env env;
static struct dv_error err;

static void take(void *ctx, struct dv_parcel *parcel)
{
    (void)ctx;
    cr_assert(sent_count < SENT_MAX);
    sent[sent_count++] = *parcel;
}

static uint64_t no_random(void *ctx)
{
    (void)ctx;
    return 4;
}

static void deliver(const char *to, struct dv_envelope envelope, uint16_t kind, const void *body)
{
    const struct dv_schema *schema =
        kind == DV_KIND_cell_spawn_cmd ? &dv_schema_cell_spawn_cmd : &dv_schema_exit_watch_cmd;
    struct dv_parcel parcel;
    cr_assert_eq(dv_parcel_pack(&packer, to, &envelope, schema, body, &parcel, &err), 0, "%s",
                 err.text);
    dv_host_deliver(&host, &parcel);
    dv_parcel_done(&parcel);
}

static struct dv_envelope *open_sent(size_t index, char to[DV_ADDRESS_MAX + 1])
{
    struct dv_envelope *envelope = NULL;
    cr_assert_eq(dv_parcel_open(&sent[index], arena, to, &envelope, &err), 0, "%s", err.text);
    return envelope;
}

static void setup(void)
{
    struct dv_host_world world = {test_types, &env, dv_clock_real()};
    struct dv_host_port port = {take, no_random, NULL};
    err = DV_ERROR_INIT;
    dv_packer_init(&packer);
    arena = dv_arena_new(1 << 20);
    dv_host_init(&host, 7, &world, &port);
    DV_AUTO_IN_PLACE(dv_buf) start = DV_BUF_INIT(1024);
    struct dv_exit_watch_cmd run = {.id = (char *)"run", .pid = 1};
    cr_assert_eq(dv_encode(&dv_schema_exit_watch_cmd, &run, &start, &err), 0);
    struct dv_cell_spawn_cmd cmd = {
        .address = (char *)"c",
        .type = (char *)"test_container",
        .kind = DV_KIND_exit_watch_cmd,
        .start = {(uint8_t *)start.data, start.len},
    };
    deliver("", (struct dv_envelope){0}, DV_KIND_cell_spawn_cmd, &cmd);
    cr_assert_eq(sent_count, 1);
}

static void teardown(void)
{
    dv_host_done(&host);
    while (sent_count > 0)
        dv_parcel_done(&sent[--sent_count]);
    dv_packer_done(&packer);
    dv_arena_free(arena);
}

TestSuite(host, .init = setup, .fini = teardown);

static struct dv_failure *only_failure(void)
{
    char to[DV_ADDRESS_MAX + 1];
    cr_assert_eq(sent_count, 2);
    struct dv_envelope *envelope = open_sent(1, to);
    cr_assert_str_eq(to, "asker");
    cr_assert_eq(envelope->kind, DV_KIND_failure);
    cr_assert_eq(envelope->correlation, 99);
    cr_assert(envelope->is_answer);
    void *body = NULL;
    cr_assert_eq(dv_parcel_body(&sent[1], &dv_schema_failure, arena, &body, &err), 0);
    return body;
}

static struct dv_parcel with_frames(const char *envelope, size_t len, const char *body, size_t size)
{
    struct dv_parcel parcel;
    zmq_msg_init_size(&parcel.to, 1);
    memcpy(zmq_msg_data(&parcel.to), "c", 1);
    zmq_msg_init_size(&parcel.envelope, len);
    memcpy(zmq_msg_data(&parcel.envelope), envelope, len);
    zmq_msg_init_size(&parcel.body, size);
    memcpy(zmq_msg_data(&parcel.body), body, size);
    return parcel;
}

Test(host, drops_and_counts_a_broken_envelope)
{
    struct dv_parcel parcel = with_frames("\xdd\xff\xff\xff\xff", 5, "\x80", 1);
    dv_host_deliver(&host, &parcel);
    dv_parcel_done(&parcel);
    cr_assert_eq(host.malformed, 1);
    cr_assert_eq(sent_count, 1);
}

Test(host, drops_an_envelope_of_another_version)
{
    struct dv_envelope envelope = {.version = 2, .kind = DV_KIND_done};
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1024);
    cr_assert_eq(dv_encode(&dv_schema_envelope, &envelope, &bytes, &err), 0);
    struct dv_parcel parcel = with_frames(bytes.data, bytes.len, "\x80", 1);
    dv_host_deliver(&host, &parcel);
    dv_parcel_done(&parcel);
    cr_assert_eq(host.malformed, 1);
}

Test(host, answers_a_broken_body)
{
    struct dv_envelope envelope = {.version = DV_VOCABULARY_VERSION,
                                   .kind = DV_KIND_exit_watch_cmd,
                                   .reply_to = (char *)"asker",
                                   .correlation = 99};
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1024);
    cr_assert_eq(dv_encode(&dv_schema_envelope, &envelope, &bytes, &err), 0);
    struct dv_parcel parcel = with_frames(bytes.data, bytes.len, "\xc1", 1);
    dv_host_deliver(&host, &parcel);
    dv_parcel_done(&parcel);
    cr_assert_eq(only_failure()->class, DV_ERR_PROTOCOL);
    cr_assert_eq(host.malformed, 1);
}

Test(host, answers_for_an_address_it_does_not_have)
{
    struct dv_exit_watch_cmd cmd = {.id = (char *)"echo", .pid = 1};
    deliver("gone", (struct dv_envelope){.reply_to = (char *)"asker", .correlation = 99},
            DV_KIND_exit_watch_cmd, &cmd);
    cr_assert_eq(only_failure()->class, DV_ERR_UNDELIVERABLE);
}

Test(host, gives_no_answer_to_a_post)
{
    struct dv_exit_watch_cmd cmd = {.id = (char *)"fail", .pid = 1};
    deliver("c", (struct dv_envelope){0}, DV_KIND_exit_watch_cmd, &cmd);
    deliver("gone", (struct dv_envelope){0}, DV_KIND_exit_watch_cmd, &cmd);
    cr_assert_eq(sent_count, 1);
}

Test(host, counts_an_answer_nobody_waits_for)
{
    struct dv_exit_watch_cmd cmd = {.id = (char *)"echo", .pid = 1};
    deliver("c", (struct dv_envelope){.is_answer = true, .correlation = 5}, DV_KIND_exit_watch_cmd,
            &cmd);
    cr_assert_eq(host.late, 1);
    cr_assert_eq(sent_count, 1);
}

Test(host, failure_text_that_is_not_utf8_is_still_an_answer)
{
    struct dv_error error = DV_ERROR_INIT;
    (void)dv_error_set(&error, DV_ERR_IO, "read 'a\xff'");
    struct dv_request *request = dv_request_adopt(host.cells, "asker", 99, 0);
    dv_answer_error(host.cells, &request, &error);
    cr_assert_str_eq(only_failure()->text, "read 'a?'");
    cr_assert_null(request);
}

Test(host, answer_that_breaks_its_schema_becomes_a_failure)
{
    struct dv_missed missed = {.kind = 0, .sequence = 1};
    struct dv_request *request = dv_request_adopt(host.cells, "asker", 99, 0);
    dv_answer(host.cells, &request, DV_KIND_missed, &missed);
    cr_assert_eq(only_failure()->class, DV_ERR_INVALID);
}

Test(host, fails_open_requests_when_it_ends)
{
    struct dv_exit_watch_cmd cmd = {.id = (char *)"keep", .pid = 1};
    deliver("c", (struct dv_envelope){.reply_to = (char *)"asker", .correlation = 99},
            DV_KIND_exit_watch_cmd, &cmd);
    cr_assert_eq(sent_count, 1);
    dv_host_done(&host);
    cr_assert_eq(only_failure()->class, DV_ERR_CANCELED);
    cr_assert_eq(env.stopped_cells, 1);
}
