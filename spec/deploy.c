/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/deploy.h"

#include "messages/codec.h"

#include "json/json.h"
#include <stdlib.h>
#include <string.h>

#define NS_PER_S 1000000000LL

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sort(struct dv_texts *texts, struct dv_arena *arena, struct dv_error *err)
{
    if (!texts->count)
        return 0;
    char **items = dv_arena_array(arena, texts->count, sizeof(*items));
    if (!items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to compare containers");
    memcpy(items, texts->items, texts->count * sizeof(*items));
    qsort(items, texts->count, sizeof(*items), compare_texts);
    texts->items = items;
    return 0;
}

/* The port that was chosen is no part of the description. */
static int
forget_ports(struct dv_port_mapping_list *ports, struct dv_arena *arena, struct dv_error *err)
{
    if (!ports->count)
        return 0;
    struct dv_port_mapping *items = dv_arena_array(arena, ports->count, sizeof(*items));
    if (!items)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to compare containers");
    memcpy(items, ports->items, ports->count * sizeof(*items));
    for (size_t i = 0; i < ports->count; i++)
        items[i].chosen_port = 0;
    ports->items = items;
    return 0;
}

/* What a replacement depends on, in one order, as bytes. */
static int encode_fixed(const struct dv_container_spec *spec,
                        struct dv_arena *arena,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    struct dv_restart_policy policy = {0};
    struct dv_container_spec part = *spec;
    part.domain_name = NULL;
    part.host_name = NULL;
    part.hooks = (struct dv_hook_list){0};
    part.runtime = NULL;
    part.decryption = NULL;
    part.restart_policy = &policy;
    part.resources = NULL;
    int r = sort(&part.env, arena, err);
    if (r == 0)
        r = sort(&part.extra_hosts, arena, err);
    if (r == 0)
        r = sort(&part.extra_capabilities, arena, err);
    if (r == 0)
        r = forget_ports(&part.port_mappings, arena, err);
    return r < 0 ? r : dv_encode(&dv_schema_container_spec, &part, out, err);
}

/* What `update` changes. */
static int
encode_changeable(const struct dv_container_spec *spec, struct dv_buf *out, struct dv_error *err)
{
    static const struct dv_resources none;
    int r = dv_encode(&dv_schema_restart_policy, spec->restart_policy, out, err);
    return r < 0 ? r
                 : dv_encode(&dv_schema_resources, spec->resources ? spec->resources : &none, out,
                             err);
}

static bool is_same(const struct dv_buf *a, const struct dv_buf *b)
{
    return a->len == b->len && (a->len == 0 || memcmp(a->data, b->data, a->len) == 0);
}

int dv_deploy_compare(const struct dv_container_record *now,
                      const struct dv_container_record *wanted,
                      struct dv_arena *arena,
                      enum dv_deploy_difference *ret,
                      struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) first = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    DV_AUTO_IN_PLACE(dv_buf) second = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    int r = encode_fixed(now->spec, arena, &first, err);
    if (r == 0)
        r = encode_fixed(wanted->spec, arena, &second, err);
    if (r < 0)
        return r;
    if (!is_same(&first, &second)) {
        *ret = DV_DEPLOY_REPLACE;
        return 0;
    }
    dv_buf_clear(&first);
    dv_buf_clear(&second);
    r = encode_changeable(now->spec, &first, err);
    if (r == 0)
        r = encode_changeable(wanted->spec, &second, err);
    if (r == 0)
        *ret = is_same(&first, &second) ? DV_DEPLOY_SAME : DV_DEPLOY_IN_PLACE;
    return r;
}

/* An empty text takes a limit away. */
static void write_limit(struct dv_json_writer *w, const char *key, const char *text)
{
    dv_jw_member_text(w, key, text ? text : "");
}

int dv_deploy_update_args(const struct dv_container_record *wanted,
                          struct dv_buf *out,
                          struct dv_error *err)
{
    static const struct dv_resources none;
    const struct dv_restart_policy *policy = wanted->spec->restart_policy;
    const struct dv_resources *limits = wanted->spec->resources ? wanted->spec->resources : &none;
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_key(&w, "restartPolicy");
    dv_jw_object(&w);
    dv_jw_member_text(&w, "type", dv_enum_api(&dv_enum_restart_type, (int64_t)policy->type));
    dv_jw_member_i64(&w, "maxRetryCount", policy->max_retry_count);
    dv_jw_member_i64(&w, "retryTimeout", policy->retry_timeout_ns / NS_PER_S);
    dv_jw_object_end(&w);
    dv_jw_key(&w, "resources");
    dv_jw_object(&w);
    write_limit(&w, "memory", limits->memory);
    write_limit(&w, "memoryReservation", limits->memory_reservation);
    write_limit(&w, "memorySwap", limits->memory_swap);
    dv_jw_object_end(&w);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}
