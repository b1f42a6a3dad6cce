/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of the bus against a host with a mailbox of two messages. */
#include "actors.h"
#include "actors/kit/bus.h"
#include "actors/kit/host.h"
#include "base/arena.h"

#include <criterion/criterion.h>
#include <string.h>

#define ROOM 2

static struct dv_bus bus;
static struct dv_clock_fake clock_now;
static struct dv_packer packer;
static struct dv_parcel got[64];
static size_t got_count;
static size_t room;
static struct dv_arena *arena;
static struct dv_error err;

static int take(void *ctx, struct dv_bus_host *host, struct dv_parcel *parcel)
{
    (void)ctx;
    /* The outside has all the room. */
    if (host->id != DV_OUTSIDE_HOST) {
        if (room == 0)
            return -DV_ERR_BUSY;
        room--;
    }
    dv_parcel_init(&got[got_count]);
    dv_parcel_move(&got[got_count++], parcel);
    return 0;
}

static int start_host(void *ctx, struct dv_bus_host *host, struct dv_error *error)
{
    (void)ctx;
    (void)host;
    (void)error;
    return 0;
}

static void end_host(void *ctx, struct dv_bus_host *host)
{
    (void)ctx;
    (void)host;
}

static void
send(const char *to, struct dv_envelope envelope, const struct dv_schema *schema, const void *body)
{
    struct dv_parcel parcel;
    cr_assert_eq(dv_parcel_pack(&packer, to, &envelope, schema, body, &parcel, &err), 0, "%s",
                 err.text);
    dv_bus_handle(&bus, &parcel);
}

static void post_echo(int64_t number, struct dv_envelope envelope)
{
    struct dv_exit_watch_cmd cmd = {.id = (char *)"echo", .pid = number};
    send("c", envelope, &dv_schema_exit_watch_cmd, &cmd);
}

static struct dv_envelope ask_of_outside(int64_t correlation)
{
    return (struct dv_envelope){
        .reply_to = (char *)DV_OUTSIDE_ADDRESS, .correlation = correlation, .deadline_ns = 1000};
}

static struct dv_envelope *open_got(size_t index, char to[DV_ADDRESS_MAX + 1])
{
    struct dv_envelope *envelope = NULL;
    cr_assert(index < got_count, "%zu messages came", got_count);
    cr_assert_eq(dv_parcel_open(&got[index], arena, to, &envelope, &err), 0, "%s", err.text);
    return envelope;
}

static int64_t number_of(size_t index)
{
    void *body = NULL;
    cr_assert(index < got_count, "%zu messages came", got_count);
    cr_assert_eq(dv_parcel_body(&got[index], &dv_schema_exit_watch_cmd, arena, &body, &err), 0);
    return ((struct dv_exit_watch_cmd *)body)->pid;
}

static void setup(void)
{
    struct dv_bus_port port = {take, start_host, end_host, NULL};
    err = DV_ERROR_INIT;
    dv_clock_fake_init(&clock_now, 1, 1);
    dv_packer_init(&packer);
    arena = dv_arena_new(1 << 20);
    dv_bus_init(&bus, test_types, &clock_now.clock, 1, &port);
    room = ROOM + 1;
    struct dv_cell_spawn_cmd cmd = {
        .address = (char *)"c", .type = (char *)"test_container", .kind = DV_KIND_exit_watch_cmd};
    send(DV_BUS_ADDRESS, (struct dv_envelope){0}, &dv_schema_cell_spawn_cmd, &cmd);
    struct dv_cell_started started = {.address = (char *)"c"};
    send(DV_BUS_ADDRESS, (struct dv_envelope){0}, &dv_schema_cell_started, &started);
    cr_assert_eq(got_count, 1);
    dv_parcel_done(&got[--got_count]);
}

static void teardown(void)
{
    while (got_count > 0)
        dv_parcel_done(&got[--got_count]);
    dv_bus_done(&bus);
    dv_packer_done(&packer);
    dv_arena_free(arena);
}

TestSuite(bus, .init = setup, .fini = teardown);

Test(bus, request_without_room_is_busy)
{
    char to[DV_ADDRESS_MAX + 1];
    for (int64_t i = 0; i < ROOM + 1; i++)
        post_echo(i + 1, ask_of_outside(i + 1));
    cr_assert_eq(got_count, ROOM + 1);
    struct dv_envelope *envelope = open_got(ROOM, to);
    cr_assert_str_eq(to, DV_OUTSIDE_ADDRESS);
    cr_assert_eq(envelope->kind, DV_KIND_failure);
    cr_assert_eq(envelope->correlation, ROOM + 1);
    cr_assert_eq(bus.counts.busy, 1);
}

Test(bus, post_without_room_is_lost_and_counted)
{
    for (int64_t i = 0; i < ROOM + 1; i++)
        post_echo(i + 1, (struct dv_envelope){0});
    cr_assert_eq(got_count, ROOM);
    cr_assert_eq(bus.counts.lost, 1);
}

Test(bus, answers_wait_for_room_and_keep_their_order)
{
    struct dv_envelope answer = {.is_answer = true, .correlation = 1};
    for (int64_t i = 0; i < 6; i++)
        post_echo(i + 1, answer);
    cr_assert_eq(got_count, ROOM);
    cr_assert_eq(bus.counts.held, 4);
    room = 3;
    cr_assert(dv_bus_retry(&bus));
    cr_assert_eq(got_count, 5);
    room = 1;
    /* Nothing overtakes what is held. */
    post_echo(7, ask_of_outside(7));
    cr_assert_eq(got_count, 7, "the sixth went out, the seventh was refused");
    for (size_t i = 0; i < 6; i++)
        cr_assert_eq(number_of(i), (int64_t)i + 1);
    cr_assert_eq(bus.counts.held, 0);
    cr_assert_eq(bus.counts.busy, 1);
    cr_assert(!dv_bus_retry(&bus));
}

Test(bus, held_answer_that_came_too_late_is_dropped)
{
    room = 0;
    post_echo(1, (struct dv_envelope){.is_answer = true, .correlation = 1, .deadline_ns = 10});
    post_echo(2, (struct dv_envelope){.is_answer = true, .correlation = 2, .deadline_ns = 1000});
    dv_clock_fake_advance(&clock_now, 50);
    room = 2;
    cr_assert(dv_bus_retry(&bus));
    cr_assert_eq(got_count, 1);
    cr_assert_eq(number_of(0), 2);
}

Test(bus, exit_is_held_even_for_a_sender_that_gave_up)
{
    char to[DV_ADDRESS_MAX + 1];
    struct dv_container_exited exited = {.id = (char *)"c", .pid = 1};
    room = 0;
    send("c", ask_of_outside(1), &dv_schema_container_exited, &exited);
    cr_assert_eq(got_count, 0);
    dv_clock_fake_advance(&clock_now, 5000);
    room = 1;
    cr_assert(dv_bus_retry(&bus));
    cr_assert_eq(open_got(0, to)->kind, DV_KIND_container_exited);
}

Test(bus, control_messages_wait_for_room)
{
    char to[DV_ADDRESS_MAX + 1];
    room = 0;
    struct dv_cell_stop_cmd cmd = {.address = (char *)"c"};
    send(DV_BUS_ADDRESS, ask_of_outside(1), &dv_schema_cell_stop_cmd, &cmd);
    post_echo(1, ask_of_outside(2));
    cr_assert_eq(got_count, 1, "the address is gone at once");
    cr_assert_eq(open_got(0, to)->correlation, 2);
    room = 1;
    cr_assert(dv_bus_retry(&bus));
    cr_assert_eq(open_got(1, to)->kind, DV_KIND_cell_stop_cmd);
    struct dv_cell_ended ended = {.address = (char *)"c"};
    send(DV_BUS_ADDRESS, (struct dv_envelope){0}, &dv_schema_cell_ended, &ended);
    cr_assert_eq(open_got(2, to)->correlation, 1, "the one who asked is told");
    cr_assert_eq(bus.counts.hosts, 0);
}

Test(bus, reserved_addresses_are_refused)
{
    char to[DV_ADDRESS_MAX + 1];
    const char *const addresses[] = {DV_BUS_ADDRESS, DV_PUBLISH_ADDRESS, DV_OUTSIDE_ADDRESS};
    for (size_t i = 0; i < 3; i++) {
        struct dv_cell_spawn_cmd cmd = {.address = (char *)addresses[i],
                                        .type = (char *)"test_container",
                                        .kind = DV_KIND_exit_watch_cmd};
        send(DV_BUS_ADDRESS, ask_of_outside(1), &dv_schema_cell_spawn_cmd, &cmd);
        cr_assert_eq(open_got(i, to)->kind, DV_KIND_failure);
    }
}

Test(bus, broken_message_is_dropped_and_counted)
{
    struct dv_parcel parcel;
    dv_parcel_init(&parcel);
    dv_bus_handle(&bus, &parcel);
    cr_assert_eq(bus.counts.malformed, 1);
    cr_assert_eq(got_count, 0);
}
