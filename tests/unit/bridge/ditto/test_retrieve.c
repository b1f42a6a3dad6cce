/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/retrieve.h"

#include <criterion/criterion.h>
#include <string.h>

#define THING "org.example:gw1:edge:containers"
#define TOPIC "\"topic\":\"org.example/gw1:edge:containers/things/twin/commands/retrieve\""
#define OURS  "\"headers\":{\"correlation-id\":\"c1\"}"

static struct dv_error err;

static int read_text(const char *text, struct dv_arena *arena, struct dv_twin_seen *ret)
{
    err = DV_ERROR_INIT;
    return dv_ditto_read_retrieved(dv_str_of(text), THING, "c1", arena, ret, &err);
}

/* shows: twin-truth */
Test(retrieve, asks_for_names_only_and_wants_an_answer)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_ditto_write_retrieve(THING, "c1", &out, &err), 0, "%s", err.text);
    cr_assert_str_eq(out.data, "{" TOPIC ",\"headers\":{\"correlation-id\":\"c1\","
                               "\"response-required\":true},\"path\":\"/\","
                               "\"fields\":\"thingId,features/*/definition\"}");
}

Test(retrieve, reads_the_ids_of_features)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    struct dv_twin_seen seen;
    cr_assert_eq(
        read_text("{" TOPIC "," OURS ",\"path\":\"/\",\"status\":200,\"value\":{\"thingId\":"
                  "\"" THING "\",\"features\":{\"ContainerFactory\":{},\"Container:a\":{}}}}",
                  arena, &seen),
        0, "%s", err.text);
    cr_assert_eq(seen.features.count, 2);
    cr_assert_str_eq(seen.features.items[0], "ContainerFactory");
    cr_assert_str_eq(seen.features.items[1], "Container:a");
}

Test(retrieve, a_thing_without_features_has_none)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    struct dv_twin_seen seen;
    cr_assert_eq(
        read_text("{" TOPIC "," OURS ",\"path\":\"/\",\"status\":200,\"value\":{}}", arena, &seen),
        0, "%s", err.text);
    cr_assert_eq(seen.features.count, 0);
}

Test(retrieve, anything_else_is_not_the_answer)
{
    static const struct {
        const char *text;
        enum dv_error_class class;
    } table[] = {
        {"", DV_ERR_INVALID},
        {"null", DV_ERR_NOT_FOUND},
        {"[]", DV_ERR_NOT_FOUND},
        {"{" TOPIC ",\"headers\":{\"correlation-id\":\"c2\"},\"status\":200,\"value\":{}}",
         DV_ERR_NOT_FOUND},
        {"{" TOPIC ",\"headers\":7,\"status\":200,\"value\":{}}", DV_ERR_NOT_FOUND},
        {"{\"topic\":\"org.example/gw2:edge:containers/things/twin/commands/retrieve\"," OURS
         ",\"status\":200,\"value\":{}}",
         DV_ERR_NOT_FOUND},
        {"{" TOPIC "," OURS ",\"value\":{}}", DV_ERR_NOT_FOUND},
        {"{" TOPIC "," OURS ",\"status\":404,\"value\":{}}", DV_ERR_INVALID},
        {"{" TOPIC "," OURS ",\"status\":200}", DV_ERR_INVALID},
        {"{" TOPIC "," OURS ",\"status\":200,\"value\":{\"features\":[]}}", DV_ERR_INVALID},
    };
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 20);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct dv_twin_seen seen;
        cr_expect_eq(read_text(table[i].text, arena, &seen), -(int)table[i].class, "row %zu: %s", i,
                     err.text);
    }
}
