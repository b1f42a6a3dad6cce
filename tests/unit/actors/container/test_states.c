/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/states.h"

#include <criterion/criterion.h>
#include <string.h>

/* One letter an operation in the order of the enum: start, stop, pause, resume, rename, update,
 * remove, remove with force. Capital: allowed. */
static const struct {
    enum dv_status status;
    const char *allowed;
} table[] = {
    {DV_STATUS_CREATING, "spurnudf"}, {DV_STATUS_CREATED, "SpurNUDF"},
    {DV_STATUS_RUNNING, "sPUrNUdF"},  {DV_STATUS_STOPPED, "SpurNUDF"},
    {DV_STATUS_PAUSED, "sPuRNUdF"},   {DV_STATUS_EXITED, "SpurNUDF"},
    {DV_STATUS_DEAD, "spurnudf"},     {DV_STATUS_UNKNOWN, "spurnudf"},
};

/* shows: K33 */
Test(states, every_edge_and_every_refusal_is_as_documented)
{
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (int operation = 0; operation < DV_OPERATION_COUNT; operation++) {
            struct dv_error err = DV_ERROR_INIT;
            bool expected = table[i].allowed[operation] < 'a';
            int r =
                dv_states_check(table[i].status, (enum dv_operation)operation, false, "web", &err);
            cr_expect_eq(r == 0, expected, "%s in %s",
                         dv_operation_name((enum dv_operation)operation),
                         dv_enum_api(&dv_enum_status, (int64_t)table[i].status));
            if (r < 0) {
                cr_expect_eq(r, -DV_ERR_STATE);
                cr_expect(strstr(err.text, "'web'"), "%s", err.text);
                cr_expect(strstr(err.text, dv_enum_api(&dv_enum_status, (int64_t)table[i].status)),
                          "%s", err.text);
            }
        }
    }
}

/* shows: restart-cancel */
Test(states, what_waits_for_a_restart_can_be_stopped)
{
    cr_assert_eq(dv_states_check(DV_STATUS_EXITED, DV_OPERATION_STOP, true, "web", NULL), 0);
    cr_assert_lt(dv_states_check(DV_STATUS_EXITED, DV_OPERATION_STOP, false, "web", NULL), 0);
    /* A restart that failed leaves it STOPPED and backs off: that can be ended, too. */
    cr_assert_eq(dv_states_check(DV_STATUS_STOPPED, DV_OPERATION_STOP, true, "web", NULL), 0);
    cr_assert_lt(dv_states_check(DV_STATUS_STOPPED, DV_OPERATION_STOP, false, "web", NULL), 0);
    cr_assert_lt(dv_states_check(DV_STATUS_CREATED, DV_OPERATION_STOP, true, "web", NULL), 0);
}

/* One letter a state: CREATING cReated rUnning stopped Paused Exited Dead unKnown. */
static const char letters[] = "iruspedk";

static const struct {
    enum dv_edge edge;
    const char *from;
    enum dv_status to;
} edges[] = {
    {DV_EDGE_CREATED, "i", DV_STATUS_CREATED},
    {DV_EDGE_STARTED, "rse", DV_STATUS_RUNNING},
    {DV_EDGE_START_FAILED, "rse", DV_STATUS_STOPPED},
    {DV_EDGE_PAUSED, "u", DV_STATUS_PAUSED},
    {DV_EDGE_RESUMED, "p", DV_STATUS_RUNNING},
    {DV_EDGE_EXITED, "up", DV_STATUS_EXITED},
    {DV_EDGE_STOPPED, "up", DV_STATUS_STOPPED},
    {DV_EDGE_RESTART_CANCELED, "se", DV_STATUS_STOPPED},
    {DV_EDGE_REMOVING, "rusped", DV_STATUS_DEAD},
    {DV_EDGE_REMOVE_FAILED, "rsed", DV_STATUS_STOPPED},
    {DV_EDGE_FOUND_NEW, "ik", DV_STATUS_CREATED},
    {DV_EDGE_FOUND_RUNNING, "ruspe", DV_STATUS_RUNNING},
    {DV_EDGE_FOUND_PAUSED, "ruspe", DV_STATUS_PAUSED},
    {DV_EDGE_FOUND_REMOVING, "d", DV_STATUS_STOPPED},
};

Test(states, every_edge_begins_and_ends_where_it_should)
{
    cr_assert_eq(sizeof(edges) / sizeof(edges[0]), DV_EDGE_COUNT);
    for (size_t i = 0; i < DV_EDGE_COUNT; i++) {
        cr_expect_eq(dv_states_target(edges[i].edge), edges[i].to, "%s",
                     dv_states_cause(edges[i].edge));
        for (int status = 0; letters[status]; status++)
            cr_expect_eq(dv_states_has_edge((enum dv_status)status, edges[i].edge),
                         strchr(edges[i].from, letters[status]) != NULL, "%s from %s",
                         dv_states_cause(edges[i].edge), dv_enum_api(&dv_enum_status, status));
    }
}

Test(states, nothing_is_stuck_but_what_is_removed)
{
    for (int status = 0; letters[status]; status++) {
        bool has_way_out = false;
        for (int edge = 0; edge < DV_EDGE_COUNT; edge++)
            has_way_out =
                has_way_out || dv_states_has_edge((enum dv_status)status, (enum dv_edge)edge);
        cr_expect(has_way_out, "%s", dv_enum_api(&dv_enum_status, status));
    }
}
