/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/container/states_page.h"
#include "base/durable.h"

#include <criterion/criterion.h>

Test(states_page, the_page_is_what_the_tables_say)
{
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) page = DV_BUF_INIT(1 << 20);
    DV_AUTO_IN_PLACE(dv_buf) tables = DV_BUF_INIT(1 << 20);
    cr_assert_eq(dv_states_markdown(&tables, &err), 0, "%s", err.text);
    cr_assert_eq(dv_file_read(DV_SOURCE_DIR "/docs/states.md", &page, &err), 0, "%s", err.text);
    cr_assert_str_eq(page.data, tables.data,
                     "write it with: davitd --state-reference > docs/states.md");
}
