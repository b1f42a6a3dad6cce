/* SPDX-License-Identifier: Apache-2.0 */
/* The state that davit-monitor hands over: written, read, and refused. */
#include "base/cleanup.h"
#include "base/crc32c.h"
#include "monitor/state.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define HEADER 12

static struct dv_error err;

/* A state with some of everything; the order of clients and sources is that of a writer. */
static void write_state(struct dv_buf *out, struct dv_monitor_state *head)
{
    DV_AUTO_IN_PLACE(mon_state_writer) writer;
    struct dv_error failure = DV_ERROR_INIT;
    mon_state_begin(&writer, &failure);
    struct dv_monitor_container what = {.id = (char *)"web", .pid = 7, .is_tty = true};
    const struct dv_monitor_state_container container = {.what = &what,
                                                         .console_fd = mon_state_fd(&writer, 20)};
    mon_state_put(&writer, &dv_schema_monitor_state_container, &container);
    const struct dv_monitor_state_client client = {.connection_fd = mon_state_fd(&writer, 21)};
    mon_state_put(&writer, &dv_schema_monitor_state_client, &client);
    struct dv_monitor_state_stream streams[2] = {
        {.reading_fd = mon_state_fd(&writer, 22), .rest = {(uint8_t *)"half", 4}},
        {.reading_fd = mon_state_fd(&writer, -1)},
    };
    const struct dv_monitor_state_source source = {
        .id = (char *)"web", .out = &streams[0], .err = &streams[1]};
    mon_state_put(&writer, &dv_schema_monitor_state_source, &source);
    *head = (struct dv_monitor_state){.program = (char *)"0.9", .lock_fd = 30, .listener_fd = 31};
    cr_assert_eq(mon_state_encode(&writer, head, out, &err), 0, "%s", err.text);
    cr_assert_eq(writer.fd_count, 3);
}

static int count(void *ctx, uint16_t kind, const void *body, struct dv_error *error)
{
    unsigned *counts = ctx;
    (void)error;
    counts[kind - DV_KIND_monitor_state]++;
    if (kind == DV_KIND_monitor_state_source) {
        const struct dv_monitor_state_source *source = body;
        cr_expect_eq(source->out->rest.len, 4);
        cr_expect_eq(memcmp(source->out->rest.data, "half", 4), 0);
        cr_expect_eq(source->err->reading_fd, 0);
    }
    return 0;
}

Test(state, what_is_written_is_read_in_order)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    struct dv_monitor_state head;
    unsigned counts[16] = {0};
    write_state(&bytes, &head);
    cr_assert_eq(mon_state_read(bytes.data, bytes.len, count, counts, &err), 0, "%s", err.text);
    cr_expect_eq(counts[0], 1);
    cr_expect_eq(counts[DV_KIND_monitor_state_container - DV_KIND_monitor_state], 1);
    cr_expect_eq(counts[DV_KIND_monitor_state_client - DV_KIND_monitor_state], 1);
    cr_expect_eq(counts[DV_KIND_monitor_state_source - DV_KIND_monitor_state], 1);
    cr_expect_eq(mon_state_check(bytes.data, bytes.len, &err), 0, "%s", err.text);
}

Test(state, every_cut_and_every_flipped_byte_is_refused)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    struct dv_monitor_state head;
    write_state(&bytes, &head);
    for (size_t len = 0; len < bytes.len; len++)
        cr_expect_eq(mon_state_check(bytes.data, len, NULL), -DV_ERR_PROTOCOL, "%zu", len);
    for (size_t at = 0; at < bytes.len; at++) {
        bytes.data[at] ^= 0x10;
        cr_expect_lt(mon_state_check(bytes.data, bytes.len, NULL), 0, "byte %zu", at);
        bytes.data[at] ^= 0x10;
    }
}

/* A state of one frame that a program of other versions wrote. */
static int check_versions(int64_t version, int64_t oldest)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    DV_AUTO_IN_PLACE(mon_state_writer) writer;
    struct dv_error failure = DV_ERROR_INIT;
    struct dv_monitor_state head = {.lock_fd = 30, .listener_fd = 31};
    mon_state_begin(&writer, &failure);
    cr_assert_eq(mon_state_encode(&writer, &head, &bytes, &err), 0, "%s", err.text);
    /* Both are small msgpack integers behind their keys 1 and 2, after the map's header. */
    unsigned char *body = (unsigned char *)bytes.data + HEADER + 6;
    cr_assert_eq(body[1], 1);
    cr_assert_eq(body[2], MON_STATE_VERSION);
    cr_assert_eq(body[3], 2);
    body[2] = (unsigned char)version;
    body[4] = (unsigned char)oldest;
    uint32_t crc = dv_crc32c(0, bytes.data + HEADER, bytes.len - HEADER);
    for (unsigned i = 0; i < 4; i++)
        bytes.data[8 + i] = (char)(crc >> (8 * i));
    err = DV_ERROR_INIT;
    return mon_state_check(bytes.data, bytes.len, &err);
}

Test(state, a_later_version_is_read_if_it_allows_that)
{
    cr_expect_eq(check_versions(MON_STATE_VERSION, MON_STATE_OLDEST), 0, "%s", err.text);
    cr_expect_eq(check_versions(MON_STATE_VERSION + 1, MON_STATE_VERSION), 0, "%s", err.text);
    cr_expect_eq(check_versions(MON_STATE_VERSION + 1, MON_STATE_VERSION + 1), -DV_ERR_UNSUPPORTED);
    cr_expect(strstr(err.text, "readable from version 2 on"), "%s", err.text);
}

static int check_frames(void (*put)(struct mon_state_writer *writer))
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    DV_AUTO_IN_PLACE(mon_state_writer) writer;
    struct dv_error failure = DV_ERROR_INIT;
    struct dv_monitor_state head = {.lock_fd = 30, .listener_fd = 31};
    mon_state_begin(&writer, &failure);
    put(&writer);
    err = DV_ERROR_INIT;
    cr_assert_eq(mon_state_encode(&writer, &head, &bytes, &err), 0, "%s", err.text);
    return mon_state_check(bytes.data, bytes.len, &err);
}

static void put_same_twice(struct mon_state_writer *writer)
{
    const struct dv_monitor_state_client client = {.connection_fd = 31};
    mon_state_put(writer, &dv_schema_monitor_state_client, &client);
}

static void put_launch_of_nobody(struct mon_state_writer *writer)
{
    char *argv[] = {(char *)"/bin/true"};
    struct dv_monitor_launch what = {.argv = {argv, 1}, .timeout_ms = 1};
    const struct dv_monitor_state_launch launch = {.what = &what, .client = 1, .pid = 9};
    mon_state_put(writer, &dv_schema_monitor_state_launch, &launch);
}

static void put_output_of_nobody(struct mon_state_writer *writer)
{
    const struct dv_monitor_state_output output = {.data = {(uint8_t *)"x", 1}};
    mon_state_put(writer, &dv_schema_monitor_state_output, &output);
}

static void put_terminal_as_descriptor(struct mon_state_writer *writer)
{
    struct dv_monitor_container what = {.id = (char *)"web", .pid = 7};
    const struct dv_monitor_state_container container = {.what = &what, .console_fd = 1};
    mon_state_put(writer, &dv_schema_monitor_state_container, &container);
}

Test(state, what_names_nothing_or_something_twice_is_refused)
{
    static const struct {
        void (*put)(struct mon_state_writer *writer);
        const char *why;
    } rows[] = {
        {put_same_twice, "connection_fd 31 is something else already"},
        {put_launch_of_nobody, "names number 1 of 0"},
        {put_output_of_nobody, "a client that is not there"},
        {put_terminal_as_descriptor, "console_fd 1 cannot be handed over"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_expect_eq(check_frames(rows[i].put), -DV_ERR_PROTOCOL, "%zu", i);
        cr_expect(strstr(err.text, rows[i].why), "%s", err.text);
    }
}

Test(state, a_failure_while_writing_is_told_at_the_end)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    DV_AUTO_IN_PLACE(mon_state_writer) writer;
    struct dv_error failure = DV_ERROR_INIT;
    struct dv_monitor_state head = {.lock_fd = 30, .listener_fd = 31};
    mon_state_begin(&writer, &failure);
    cr_expect_eq(mon_state_fd(&writer, 2), 0);
    put_output_of_nobody(&writer);
    cr_expect_eq(mon_state_encode(&writer, &head, &bytes, &err), -DV_ERR_STATE);
    cr_expect(strstr(err.text, "descriptor 2"), "%s", err.text);
}

Test(state, a_sealed_file_is_read_and_cannot_be_changed)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(1 << 20);
    struct dv_monitor_state head;
    const void *mapped;
    size_t len;
    dv_autoclose int fd = -1;
    write_state(&bytes, &head);
    cr_assert_eq(mon_state_seal(&bytes, &fd, &err), 0, "%s", err.text);
    cr_expect_eq(write(fd, "x", 1), -1);
    cr_expect_eq(ftruncate(fd, 1), -1);
    cr_assert_eq(mon_state_map(fd, &mapped, &len, &err), 0, "%s", err.text);
    cr_expect_eq(len, bytes.len);
    cr_expect_eq(mon_state_check(mapped, len, &err), 0, "%s", err.text);
    mon_state_unmap(mapped, len);
}

Test(state, a_descriptor_that_is_not_open_is_none)
{
    cr_expect_eq(mon_state_take_fd(0), -1);
    cr_expect_eq(mon_state_take_fd(1), -1);
    cr_expect_eq(mon_state_take_fd(MON_FD_MAX), -1);
    dv_autoclose int fd = open("/dev/null", O_RDONLY);
    cr_expect_eq(mon_state_take_fd(fd), fd);
    cr_expect_eq(fcntl(fd, F_GETFD), FD_CLOEXEC);
}
