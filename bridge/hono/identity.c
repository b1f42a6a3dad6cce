/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/identity.h"

#include "json/json.h"
#include <stdio.h>

#define THING_SUFFIX ":edge:containers"

/* Ids become parts of topics and of Ditto paths. */
static int check_id(const char *what, const char *id, size_t max, struct dv_error *err)
{
    if (!id || !id[0])
        return dv_error_set(err, DV_ERR_INVALID, "%s is missing or empty", what);
    if (strlen(id) > max)
        return dv_error_set(err, DV_ERR_INVALID, "%s is longer than %zu bytes", what, max);
    if (!dv_hono_is_topic_part(dv_str_of(id)))
        return dv_error_set(err, DV_ERR_INVALID,
                            "%s '%s' must be printable ASCII without blanks, '/', '+' and '#'",
                            what, id);
    return 0;
}

int dv_hono_identity_make(const char *device,
                          const char *tenant,
                          const char *policy,
                          struct dv_hono_identity *ret,
                          struct dv_error *err)
{
    struct dv_hono_identity identity;
    int r = check_id("device id", device, DV_HONO_THING_MAX - strlen(THING_SUFFIX), err);
    if (r < 0 || (r = check_id("tenant id", tenant, DV_HONO_TENANT_MAX, err)) < 0)
        return r;
    const char *colon = strchr(device, ':');
    if (!colon || colon == device || !colon[1])
        return dv_error_set(err, DV_ERR_INVALID,
                            "device id '%s' must have the form <namespace>:<name>", device);
    if (policy && strlen(policy) > DV_HONO_POLICY_MAX)
        return dv_error_set(err, DV_ERR_INVALID, "policy id is longer than %d bytes",
                            DV_HONO_POLICY_MAX);
    snprintf(identity.thing, sizeof(identity.thing), "%s" THING_SUFFIX, device);
    snprintf(identity.tenant, sizeof(identity.tenant), "%s", tenant);
    snprintf(identity.policy, sizeof(identity.policy), "%s", policy ? policy : "");
    *ret = identity;
    return 0;
}

static int
read_id(const struct dv_json *root, const char *key, const char **ret, struct dv_error *err)
{
    const struct dv_json *node = dv_json_get(root, key);
    *ret = dv_json_text(node);
    if (!node || *ret || dv_json_is(node, DV_JSON_NULL))
        return 0;
    return dv_error_set(err, DV_ERR_INVALID, "'%s' must be a string, not %s", key,
                        dv_json_type_name(dv_json_type_of(node)));
}

int dv_hono_handshake_parse(struct dv_str bytes, struct dv_hono_identity *ret, struct dv_error *err)
{
    DV_AUTO(dv_json) root = NULL;
    const char *device, *tenant, *policy;
    if (bytes.len > DV_HONO_HANDSHAKE_MAX)
        return dv_error_set(err, DV_ERR_INVALID, "more than %d bytes", DV_HONO_HANDSHAKE_MAX);
    int r = dv_json_parse(bytes.data, bytes.len, &root, err);
    if (r < 0)
        return r;
    if (!dv_json_is(root, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_INVALID, "must be an object, not %s",
                            dv_json_type_name(dv_json_type_of(root)));
    if ((r = read_id(root, "deviceId", &device, err)) < 0 ||
        (r = read_id(root, "tenantId", &tenant, err)) < 0 ||
        (r = read_id(root, "policyId", &policy, err)) < 0)
        return r;
    return dv_hono_identity_make(device, tenant, policy, ret, err);
}
