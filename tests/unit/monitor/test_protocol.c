/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"
#include "messages/messages.h"
#include "monitor/protocol.h"
#include "monitor/records.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct dv_error err;

static void reset(void)
{
    err = DV_ERROR_INIT;
}

TestSuite(protocol, .init = reset);

Test(protocol, a_frame_crosses_a_socket)
{
    int fds[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    struct dv_monitor_hello hello = {.version = 1, .oldest = 1, .role = DV_MONITOR_ROLE_EVENTS};
    cr_assert_eq(dv_monitor_send(fds[0], &dv_schema_monitor_hello, &hello, &err), 0, "%s",
                 err.text);
    DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
    uint16_t kind;
    void *body;
    cr_assert_eq(dv_monitor_receive(fds[1], arena, &kind, &body, &err), 1, "%s", err.text);
    cr_assert_eq(kind, DV_KIND_monitor_hello);
    cr_assert_eq(((struct dv_monitor_hello *)body)->role, DV_MONITOR_ROLE_EVENTS);
    close(fds[0]);
    cr_assert_eq(dv_monitor_receive(fds[1], arena, &kind, &body, &err), -DV_ERR_UNAVAILABLE);
    cr_assert_neq(err.sys, 0, "a gone peer is told apart by its errno");
    close(fds[1]);
}

Test(protocol, malformed_frames_are_refused)
{
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"", 0},         {"\x00", 1},         {"\xff\xff\x80", 3},
               {"\xf4\x01", 2}, {"\xf4\x01\xc1", 3}, {"\xf4\x01\x80\x80", 4}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1 << 20);
        uint16_t kind;
        void *body;
        err = DV_ERROR_INIT;
        cr_expect_lt(dv_monitor_decode(bad[i].bytes, bad[i].len, arena, &kind, &body, &err), 0,
                     "row %zu", i);
    }
}

Test(protocol, exit_records_survive_the_monitor_in_order)
{
    char folder[] = "/tmp/davit-records-XXXXXX";
    cr_assert_not_null(mkdtemp(folder));
    struct mon_records *records = NULL;
    cr_assert_eq(mon_records_new(folder, &records, &err), 0, "%s", err.text);
    for (int i = 0; i < 3; i++) {
        char id[8];
        snprintf(id, sizeof(id), "c%d", i);
        struct dv_container_exited exit = {
            .id = id, .pid = 10 + i, .exit_code = i, .is_code_known = true};
        mon_records_add(records, &exit);
    }
    int64_t first = mon_records_next(records, 0)->record;
    mon_records_free(records);
    cr_assert_eq(mon_records_new(folder, &records, &err), 0);
    const struct dv_container_exited *exit = mon_records_next(records, 0);
    cr_assert_eq(exit->record, first);
    cr_assert_str_eq(exit->id, "c0");
    int64_t second = mon_records_next(records, first)->record;
    cr_assert_gt(second, first);
    mon_records_remove(records, first);
    cr_assert_eq(mon_records_next(records, 0)->record, second);
    mon_records_free(records);
    cr_assert_eq(mon_records_new(folder, &records, &err), 0);
    cr_assert_str_eq(mon_records_next(records, 0)->id, "c1",
                     "an acknowledged record does not come back");
    mon_records_free(records);
    cr_assert_eq(dv_tree_remove(folder, &err), 0);
}
