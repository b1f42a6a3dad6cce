/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/topic.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static bool parses(const char *topic)
{
    struct dv_hono_topic parts;
    return dv_hono_topic_parse(dv_str_of(topic), &parts);
}

static bool is_echo(const char *topic)
{
    struct dv_hono_topic parts;
    cr_assert(dv_hono_topic_parse(dv_str_of(topic), &parts));
    return dv_hono_topic_is_echo(&parts);
}

Test(hono_topic, has_three_parts)
{
    struct dv_hono_topic parts;
    cr_assert(dv_hono_topic_parse(DV_STR("command//ns:gw:edge:containers/req/r 1/start"), &parts));
    cr_expect(dv_str_eq(parts.thing, "ns:gw:edge:containers"));
    cr_expect(dv_str_eq(parts.request_id, "r 1"));
    cr_expect(dv_str_eq(parts.subject, "start"));
    cr_assert(dv_hono_topic_parse(DV_STR("command//t/req//start"), &parts));
    cr_expect_eq(parts.request_id.len, 0);
}

Test(hono_topic, of_any_other_form_is_refused)
{
    cr_expect_not(parses(""));
    cr_expect_not(parses("command/t/req/1/start"));
    cr_expect_not(parses("command//t/req/1"));
    cr_expect_not(parses("command//t/req/1/"));
    cr_expect_not(parses("command///req/1/start"));
    cr_expect_not(parses("command//t/req/1/start/more"));
    cr_expect_not(parses("command//t/res/1/start"));
    cr_expect_not(parses("c//t/q/1/start"));
    cr_expect_not(parses("Command//t/req/1/start"));
}

Test(hono_topic, with_an_over_long_part_is_refused)
{
    char topic[3000], id[2000];
    memset(id, 'x', sizeof(id));
    snprintf(topic, sizeof(topic), "command//t/req/%.*s/start", DV_HONO_REQUEST_ID_MAX, id);
    cr_expect(parses(topic));
    snprintf(topic, sizeof(topic), "command//t/req/%.*s/start", DV_HONO_REQUEST_ID_MAX + 1, id);
    cr_expect_not(parses(topic));
    snprintf(topic, sizeof(topic), "command//%.*s/req/1/start", DV_HONO_THING_MAX + 1, id);
    cr_expect_not(parses(topic));
}

Test(hono_topic, echoes_of_a_local_twin_are_known)
{
    cr_expect(is_echo("command//t/req//created"));
    cr_expect(is_echo("command//t/req//modified"));
    cr_expect(is_echo("command//t/req//deleted"));
    cr_expect(is_echo("command//t/req//modify-response"));
    cr_expect(is_echo("command//t/req//errors-response"));
    cr_expect(is_echo("command//t/req//errors"));
    cr_expect(is_echo("command//t/req/1/modify-response"));
    cr_expect_not(is_echo("command//t/req/1/modified"));
    cr_expect_not(is_echo("command//t/req//start"));
}

Test(hono_topic, parts_that_a_broker_punishes_are_not_published)
{
    cr_expect(dv_hono_is_topic_part(DV_STR("Container:7b0c")));
    cr_expect_not(dv_hono_is_topic_part(DV_STR("")));
    cr_expect_not(dv_hono_is_topic_part(DV_STR("a/b")));
    cr_expect_not(dv_hono_is_topic_part(DV_STR("a+")));
    cr_expect_not(dv_hono_is_topic_part(DV_STR("#")));
    cr_expect_not(dv_hono_is_topic_part(DV_STR("a\nb")));
    cr_expect_not(dv_hono_is_topic_part(DV_STR("\xc3\xa4")));
}
