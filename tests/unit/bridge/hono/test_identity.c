/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/identity.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static void expect_refused(const char *answer, const char *why)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_identity identity;
    cr_assert_eq(dv_hono_handshake_parse(dv_str_of(answer), &identity, &err), -DV_ERR_INVALID, "%s",
                 answer);
    cr_expect_not_null(strstr(err.text, why), "'%s' does not say '%s'", err.text, why);
}

static struct dv_hono_identity read_answer(const char *answer)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_hono_identity identity;
    cr_assert_eq(dv_hono_handshake_parse(dv_str_of(answer), &identity, &err), 0, "%s", err.text);
    return identity;
}

/* shows: K3, D30 */
Test(hono_identity, comes_from_the_answer_of_the_connector)
{
    struct dv_hono_identity identity =
        read_answer("{\"deviceId\":\"edge:device\",\"tenantId\":\"t1\",\"policyId\":\"edge:p\"}");
    cr_expect_str_eq(identity.thing, "edge:device:edge:containers");
    cr_expect_str_eq(identity.tenant, "t1");
    cr_expect_str_eq(identity.policy, "edge:p");
}

Test(hono_identity, needs_no_policy_and_ignores_other_keys)
{
    struct dv_hono_identity identity =
        read_answer(" {\"DEVICEID\":\"a:b:c\",\"tenantid\":\"t\",\"policyId\":null,\"x\":[1]} ");
    cr_expect_str_eq(identity.thing, "a:b:c:edge:containers");
    cr_expect_str_eq(identity.policy, "");
}

/* shows: handshake-answer */
Test(hono_identity, is_refused_when_it_would_be_unusable)
{
    expect_refused("", "JSON");
    expect_refused("null", "object");
    expect_refused("[]", "object");
    expect_refused("{}", "device id is missing");
    expect_refused("{\"deviceId\":\"a:b\"}", "tenant id is missing");
    expect_refused("{\"deviceId\":\"a:b\",\"tenantId\":\"\"}", "tenant id is missing");
    expect_refused("{\"deviceId\":\"\",\"tenantId\":\"t\"}", "device id is missing");
    expect_refused("{\"deviceId\":\"gw\",\"tenantId\":\"t\"}", "<namespace>:<name>");
    expect_refused("{\"deviceId\":\":gw\",\"tenantId\":\"t\"}", "<namespace>:<name>");
    expect_refused("{\"deviceId\":\"gw:\",\"tenantId\":\"t\"}", "<namespace>:<name>");
    expect_refused("{\"deviceId\":\"a:b/c\",\"tenantId\":\"t\"}", "printable");
    expect_refused("{\"deviceId\":\"a:b\",\"tenantId\":\"#\"}", "printable");
    expect_refused("{\"deviceId\":5,\"tenantId\":\"t\"}", "'deviceId' must be a string");
    expect_refused("{\"deviceId\":\"a:b\",\"tenantId\":\"t\",\"policyId\":{}}", "'policyId'");
}

Test(hono_identity, has_a_limited_length)
{
    char answer[DV_HONO_HANDSHAKE_MAX + 100], id[400];
    memset(id, 'x', sizeof(id));
    snprintf(answer, sizeof(answer), "{\"deviceId\":\"a:%.*s\",\"tenantId\":\"t\"}", 240, id);
    expect_refused(answer, "longer than 240 bytes");
    memset(answer, ' ', sizeof(answer) - 1);
    answer[sizeof(answer) - 1] = '\0';
    expect_refused(answer, "more than 4096 bytes");
}
