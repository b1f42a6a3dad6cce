/* SPDX-License-Identifier: Apache-2.0 */
#include "base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

#define MIB (1U << 20)

static bool is_zero(const unsigned char *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        if (bytes[i])
            return false;
    return true;
}

Test(arena, memory_is_zeroed_aligned_and_apart)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(MIB);
    unsigned char *blocks[300];
    /* Sizes on both sides of a chunk. */
    static const size_t sizes[] = {1, 3, 8, 15, 16, 17, 100, 1000, 1023, 1024, 1025, 5000};
    for (size_t i = 0; i < 300; i++) {
        size_t size = sizes[i % 12];
        blocks[i] = dv_arena_alloc(arena, size);
        cr_assert_not_null(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % _Alignof(max_align_t), 0);
        cr_assert(is_zero(blocks[i], size), "block %zu", i);
        memset(blocks[i], (int)(i % 255) + 1, size);
    }
    for (size_t i = 0; i < 300; i++)
        for (size_t at = 0; at < sizes[i % 12]; at++)
            cr_assert_eq(blocks[i][at], i % 255 + 1, "block %zu was written over", i);
}

Test(arena, nothing_is_a_place_of_its_own)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(MIB);
    void *a = dv_arena_alloc(arena, 0);
    void *b = dv_arena_alloc(arena, 0);
    cr_assert_not_null(a);
    cr_assert_not_null(b);
    cr_assert_neq(a, b);
    cr_assert_not_null(dv_arena_array(arena, 0, 100));
    cr_assert_not_null(dv_arena_array(arena, 100, 0));
}

Test(arena, the_ceiling_holds_for_all_bytes_together)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4096);
    cr_assert_null(dv_arena_alloc(arena, 4097));
    for (int i = 0; i < 4; i++)
        cr_assert_not_null(dv_arena_alloc(arena, 1024), "part %d", i);
    cr_assert_null(dv_arena_alloc(arena, 1));
    cr_assert_null(dv_arena_strdup(arena, ""));
    cr_assert_null(dv_arena_printf(arena, "%d", 1));
}

Test(arena, a_refused_request_costs_nothing)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1024);
    for (int i = 0; i < 100; i++)
        cr_assert_null(dv_arena_alloc(arena, 1025));
    cr_assert_not_null(dv_arena_alloc(arena, 1024));
}

Test(arena, a_ceiling_of_nothing_gives_nothing)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(0);
    cr_assert_not_null(arena);
    cr_assert_null(dv_arena_alloc(arena, 1));
}

Test(arena, sizes_that_overflow_are_refused)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(SIZE_MAX);
    for (size_t i = 0; i < 64; i++)
        cr_assert_null(dv_arena_alloc(arena, SIZE_MAX - i));
    cr_assert_null(dv_arena_array(arena, SIZE_MAX / 2, 3));
    cr_assert_null(dv_arena_array(arena, SIZE_MAX / 8 + 1, 8));
    cr_assert_null(dv_arena_strndup(arena, "abc", SIZE_MAX));
    cr_assert_not_null(dv_arena_array(arena, 10, 8));
}

Test(arena, texts_are_copied)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(MIB);
    char source[] = "abcdef";
    char *whole = dv_arena_strdup(arena, source);
    char *part = dv_arena_strndup(arena, source, 3);
    char *empty = dv_arena_strndup(arena, NULL, 0);
    char *bytes = dv_arena_strndup(arena, "a\0b", 3);
    memset(source, 'x', sizeof(source) - 1);
    cr_assert_str_eq(whole, "abcdef");
    cr_assert_str_eq(part, "abc");
    cr_assert_str_eq(empty, "");
    cr_assert_arr_eq(bytes, "a\0b", 4);
}

Test(arena, texts_are_formatted_at_any_length)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(MIB);
    cr_assert_str_eq(dv_arena_printf(arena, "%s-%d", "a", 7), "a-7");
    cr_assert_str_eq(dv_arena_printf(arena, "%s", ""), "");
    char *text = dv_arena_printf(arena, "%5000d", 1);
    cr_assert_eq(strlen(text), 5000);
    cr_assert_eq(text[4999], '1');
}

Test(arena, an_arena_without_memory_can_be_freed)
{
    dv_arena_free(NULL);
    dv_arena_free(dv_arena_new(10));
}
