/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/create.h"
#include "spec/resources.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define TEXT(literal) ((char *)(literal))
#define MIB           (1LL << 20)

static struct dv_error err;

/* shows: K31, D9 */
Test(resources, texts_become_bytes)
{
    static const struct {
        struct dv_resources resources;
        struct dv_memory_limits bytes;
    } rows[] = {
        {{NULL, NULL, NULL}, {-1, -1, -1}},
        {{TEXT(""), TEXT(""), TEXT("")}, {-1, -1, -1}},
        {{TEXT("0"), TEXT("0"), TEXT("0")}, {-1, -1, -1}},
        {{TEXT("64M"), NULL, NULL}, {64 * MIB, -1, -1}},
        {{TEXT("64M"), TEXT("32 m"), TEXT("-1")}, {64 * MIB, 32 * MIB, -1}},
        {{TEXT("67108864"), TEXT("32768K"), TEXT("0.125G")}, {64 * MIB, 32 * MIB, 128 * MIB}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_memory_limits bytes;
        err = DV_ERROR_INIT;
        cr_assert_eq(dv_resources_bytes(&rows[i].resources, &bytes, &err), 0, "%s", err.text);
        cr_expect_eq(bytes.memory, rows[i].bytes.memory, "row %zu", i);
        cr_expect_eq(bytes.reservation, rows[i].bytes.reservation, "row %zu", i);
        cr_expect_eq(bytes.swap, rows[i].bytes.swap, "row %zu", i);
    }
    struct dv_memory_limits none;
    cr_assert_eq(dv_resources_bytes(NULL, &none, NULL), 0);
    cr_expect_eq(none.memory, DV_UNLIMITED);
}

Test(resources, text_that_is_no_size_is_named_with_its_field)
{
    static const struct {
        struct dv_resources resources;
        const char *says;
    } rows[] = {
        {{TEXT("lots"), NULL, NULL}, "config.resources.memory: 'lots' is not a size"},
        {{TEXT("-1"), NULL, NULL}, "config.resources.memory: '-1' is not a size"},
        {{NULL, TEXT("-1"), NULL}, "config.resources.memoryReservation: '-1'"},
        {{NULL, NULL, TEXT("-2")}, "config.resources.memorySwap: '-2' is not a size"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct dv_memory_limits bytes;
        err = DV_ERROR_INIT;
        cr_expect_eq(dv_resources_bytes(&rows[i].resources, &bytes, &err), -DV_ERR_INVALID);
        cr_expect(strstr(err.text, rows[i].says), "%s", err.text);
    }
}

Test(resources, limit_that_the_machine_refuses_is_named_with_the_reason)
{
    static const struct dv_limit_refusals no_memory = {"no memory", "no memory", "no memory"};
    static const struct dv_limit_refusals no_swap = {.swap = "swap is not counted"};
    static const struct dv_limit_refusals no_reservation = {.reservation = "no soft limits"};
    static const struct {
        const struct dv_limit_refusals *refusals;
        struct dv_resources resources;
        const char *says; /* NULL: accepted */
    } rows[] = {
        {&no_memory, {NULL, NULL, NULL}, NULL},
        {&no_memory, {NULL, NULL, TEXT("-1")}, NULL},
        {&no_memory,
         {TEXT("64M"), NULL, NULL},
         "config.resources.memory: '64M' cannot be enforced here: no memory"},
        {&no_memory, {NULL, TEXT("8M"), NULL}, "config.resources.memoryReservation: '8M'"},
        {&no_swap, {TEXT("64M"), TEXT("32M"), TEXT("-1")}, NULL},
        {&no_swap, {TEXT("64M"), NULL, NULL}, NULL},
        {&no_swap,
         {TEXT("64M"), NULL, TEXT("64M")},
         "config.resources.memorySwap: '64M' cannot be enforced here: swap is not counted"},
        {&no_reservation, {TEXT("64M"), NULL, TEXT("64M")}, NULL},
        {&no_reservation, {NULL, TEXT("64M"), NULL}, "config.resources.memoryReservation: '64M'"},
        {NULL, {TEXT("64M"), TEXT("64M"), TEXT("64M")}, NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        err = DV_ERROR_INIT;
        int r = dv_resources_check_machine(&rows[i].resources, rows[i].refusals, &err);
        cr_expect_eq(r, rows[i].says ? -DV_ERR_UNSUPPORTED : 0, "row %zu: %s", i, err.text);
        cr_expect(!rows[i].says || strstr(err.text, rows[i].says), "row %zu: %s", i, err.text);
    }
}

Test(resources, swap_limit_of_a_description_goes_if_it_is_the_default_of_a_create)
{
    static const struct dv_limit_refusals no_swap = {.swap = "swap is not counted"};
    struct dv_resources doubled = {TEXT("200M"), NULL, TEXT("400M")};
    struct dv_resources other = {TEXT("200M"), NULL, TEXT("300M")};
    err = DV_ERROR_INIT;
    cr_expect_eq(dv_resources_fit_machine(&doubled, NULL, &err), 0);
    cr_expect_str_eq(doubled.memory_swap, "400M", "this machine holds it");
    cr_expect_eq(dv_resources_fit_machine(&doubled, &no_swap, &err), 0, "%s", err.text);
    cr_expect_null(doubled.memory_swap);
    cr_expect_eq(dv_resources_fit_machine(&other, &no_swap, &err), -DV_ERR_UNSUPPORTED);
    cr_expect_eq(dv_resources_fit_machine(NULL, &no_swap, NULL), 0);
}

Test(resources, same_limits_in_other_words_are_the_same)
{
    struct dv_resources a = {TEXT("64M"), NULL, TEXT("-1")};
    struct dv_resources b = {TEXT("65536K"), TEXT("0"), NULL};
    struct dv_resources c = {TEXT("64M"), TEXT("32M"), NULL};
    struct dv_resources nothing = {NULL, TEXT(""), TEXT("-1")};
    cr_expect(dv_resources_are_same(&a, &b));
    cr_expect_not(dv_resources_are_same(&a, &c));
    cr_expect_not(dv_resources_are_same(&a, NULL));
    cr_expect(dv_resources_are_same(&nothing, NULL));
    cr_expect(dv_resources_are_same(NULL, NULL));
}

static int fit(const char *resources, const struct dv_limit_refusals *refusals, char swap[32])
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_create_request request = {0};
    char value[300];
    snprintf(value, sizeof(value), "{\"imageRef\":\"r/a:1\",\"config\":{\"resources\":{%s}}}",
             resources);
    err = DV_ERROR_INIT;
    cr_assert_eq(dv_spec_create_with_config(dv_str_of(value), "id", arena, &request, &err), 0, "%s",
                 err.text);
    int r = dv_spec_fit_machine(&request, refusals, &err);
    const char *text = request.record->spec->resources->memory_swap;
    snprintf(swap, 32, "%s", text ? text : "none");
    return r;
}

/* shows: kernel-limits */
Test(resources, swap_limit_by_default_goes_where_swap_is_not_counted)
{
    static const struct dv_limit_refusals no_swap = {.swap = "swap is not counted"};
    char swap[32];
    cr_assert_eq(fit("\"memory\":\"64M\"", NULL, swap), 0);
    cr_expect_str_eq(swap, "128M");
    cr_assert_eq(fit("\"memory\":\"64M\"", &no_swap, swap), 0, "%s", err.text);
    cr_expect_str_eq(swap, "none");
    cr_assert_eq(fit("\"memory\":\"64M\",\"memorySwap\":\"128M\"", &no_swap, swap),
                 -DV_ERR_UNSUPPORTED, "what was asked for is refused");
    cr_expect(strstr(err.text, "config.resources.memorySwap: '128M'"), "%s", err.text);
    cr_assert_eq(fit("\"memory\":\"0\",\"memoryReservation\":\"1M\"", NULL, swap), 0);
    cr_expect_str_eq(swap, "none");
}
