/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(buf, an_empty_buffer_has_no_memory)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(10);
    cr_assert_null(buf.data);
    size_t len = 4711;
    cr_assert_null(dv_buf_take(&buf, &len));
    cr_assert_eq(len, 0);
    dv_buf_clear(&buf);
    dv_buf_consume(&buf, 0);
    dv_buf_terminate(&buf);
    dv_buf_done(&buf);
    dv_buf_done(&buf);
}

Test(buf, what_is_appended_reads_as_a_text)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(100);
    cr_assert_eq(dv_buf_append(&buf, "abc", 2, NULL), 0);
    cr_assert_str_eq(buf.data, "ab");
    cr_assert_eq(dv_buf_append_str(&buf, "-c", NULL), 0);
    cr_assert_eq(dv_buf_printf(&buf, NULL, "-%d-%s", 7, "x"), 0);
    cr_assert_str_eq(buf.data, "ab-c-7-x");
    cr_assert_eq(buf.len, 8);
}

Test(buf, appending_nothing_makes_an_empty_text)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(0);
    cr_assert_eq(dv_buf_append(&buf, NULL, 0, NULL), 0);
    cr_assert_str_eq(buf.data, "");
    cr_assert_eq(dv_buf_printf(&buf, NULL, "%s", ""), 0);
    cr_assert_eq(buf.len, 0);
}

Test(buf, a_nul_inside_counts_as_a_byte)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(100);
    cr_assert_eq(dv_buf_append(&buf, "a\0b", 3, NULL), 0);
    cr_assert_eq(buf.len, 3);
    cr_assert_arr_eq(buf.data, "a\0b", 4);
}

Test(buf, it_grows_up_to_its_ceiling_and_not_beyond)
{
    /* Ceilings on both sides of the first capacity and of its doubles. */
    for (size_t max = 0; max < 300; max++) {
        DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(max);
        struct dv_error err = DV_ERROR_INIT;
        for (size_t i = 0; i < max; i++)
            cr_assert_eq(dv_buf_append(&buf, "x", 1, NULL), 0, "max %zu at %zu", max, i);
        cr_assert_eq(dv_buf_append(&buf, "y", 1, &err), -DV_ERR_LIMIT, "max %zu", max);
        cr_assert_eq(buf.len, max);
        cr_assert_leq(buf.capacity, max + 1);
        char text[80];
        snprintf(text, sizeof(text), "buffer would hold more than its limit of %zu bytes", max);
        cr_assert_str_eq(err.text, text);
    }
}

Test(buf, a_failed_append_leaves_the_content)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(4);
    cr_assert_eq(dv_buf_append_str(&buf, "abc", NULL), 0);
    cr_assert_eq(dv_buf_append_str(&buf, "de", NULL), -DV_ERR_LIMIT);
    cr_assert_eq(dv_buf_printf(&buf, NULL, "%d", 12), -DV_ERR_LIMIT);
    cr_assert_eq(dv_buf_append(&buf, "", SIZE_MAX, NULL), -DV_ERR_LIMIT);
    cr_assert_str_eq(buf.data, "abc");
    cr_assert_eq(dv_buf_printf(&buf, NULL, "%d", 1), 0);
    cr_assert_str_eq(buf.data, "abc1");
}

Test(buf, reserved_room_may_be_filled_in_part)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(200);
    char *room = NULL;
    cr_assert_eq(dv_buf_append_str(&buf, "a", NULL), 0);
    cr_assert_eq(dv_buf_reserve(&buf, 150, &room, NULL), 0);
    memset(room, 'b', 150);
    buf.len += 2;
    dv_buf_terminate(&buf);
    cr_assert_str_eq(buf.data, "abb");
    char *untouched = room;
    cr_assert_eq(dv_buf_reserve(&buf, 198, &room, NULL), -DV_ERR_LIMIT);
    cr_assert_eq(room, untouched);
}

Test(buf, consuming_drops_bytes_from_the_front)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(6);
    cr_assert_eq(dv_buf_append_str(&buf, "abcdef", NULL), 0);
    dv_buf_consume(&buf, 0);
    cr_assert_str_eq(buf.data, "abcdef");
    dv_buf_consume(&buf, 4);
    cr_assert_str_eq(buf.data, "ef");
    cr_assert_eq(dv_buf_append_str(&buf, "ghij", NULL), 0);
    cr_assert_str_eq(buf.data, "efghij");
    dv_buf_consume(&buf, 6);
    cr_assert_str_eq(buf.data, "");
    cr_assert_eq(buf.len, 0);
}

Test(buf, clearing_keeps_the_memory)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(100);
    cr_assert_eq(dv_buf_append_str(&buf, "abc", NULL), 0);
    size_t capacity = buf.capacity;
    dv_buf_clear(&buf);
    cr_assert_str_eq(buf.data, "");
    cr_assert_eq(buf.len, 0);
    cr_assert_eq(buf.capacity, capacity);
}

Test(buf, taken_bytes_are_the_callers)
{
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(100);
    size_t len = 0;
    cr_assert_eq(dv_buf_append_str(&buf, "abc", NULL), 0);
    char *taken = dv_buf_take(&buf, &len);
    cr_assert_eq(len, 3);
    cr_assert_null(buf.data);
    cr_assert_eq(buf.max, 100);
    cr_assert_eq(dv_buf_append_str(&buf, "new", NULL), 0);
    cr_assert_str_eq(taken, "abc");
    cr_assert_str_eq(buf.data, "new");
    free(taken);
    free(dv_buf_take(&buf, NULL));
}

Test(buf, done_keeps_the_ceiling)
{
    struct dv_buf buf = DV_BUF_INIT(3);
    cr_assert_eq(dv_buf_append_str(&buf, "abc", NULL), 0);
    dv_buf_done(&buf);
    cr_assert_null(buf.data);
    cr_assert_eq(buf.capacity, 0);
    cr_assert_eq(dv_buf_append_str(&buf, "abcd", NULL), -DV_ERR_LIMIT);
    cr_assert_eq(dv_buf_append_str(&buf, "abc", NULL), 0);
    dv_buf_done(&buf);
}
