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
    {DV_STATUS_DEAD, "spurnudf"},
};

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

Test(states, an_exited_container_can_be_stopped_only_while_a_restart_is_pending)
{
    cr_assert_eq(dv_states_check(DV_STATUS_EXITED, DV_OPERATION_STOP, true, "web", NULL), 0);
    cr_assert_lt(dv_states_check(DV_STATUS_EXITED, DV_OPERATION_STOP, false, "web", NULL), 0);
    cr_assert_lt(dv_states_check(DV_STATUS_STOPPED, DV_OPERATION_STOP, true, "web", NULL), 0);
}
