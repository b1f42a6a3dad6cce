/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/gateway/images.h"

#include "actors/addresses.h"
#include "actors/gateway/answer.h"
#include "messages/catalog.h"

#include <string.h>

#define LONG_MS (7LL * 24 * 3600 * 1000) /* the image cell ends what stalls */
#define REF_MAX 1024

static void on_answer(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_request *request = ctx;
    struct dv_command_result nothing = {0};
    if (outcome->error)
        dv_answer_error(cell, &request, outcome->error);
    else if (outcome->kind == DV_KIND_done)
        dv_answer(cell, &request, DV_KIND_command_result, &nothing);
    else
        gateway_answer(cell, &request, dv_schema_of_kind(outcome->kind), outcome->body);
}

static int
ask(struct dv_cell *cell, uint16_t kind, const void *body, int64_t ms, struct dv_request **request)
{
    dv_ask(cell, DV_ADDRESS_IMAGE, kind, body, ms, on_answer, dv_steal(request));
    return 0;
}

static int
take_text(const struct dv_json *args, const char *key, size_t max, char **ret, struct dv_error *err)
{
    const char *text = dv_json_text(dv_json_get(args, key));
    if (!text || !text[0] || strlen(text) > max)
        return dv_error_set(err, DV_ERR_INVALID, "%s: a text of 1 to %zu bytes is required", key,
                            max);
    *ret = (char *)(uintptr_t)text;
    return 0;
}

static int load(struct dv_cell *cell,
                const struct dv_json *args,
                struct dv_request **request,
                struct dv_error *err)
{
    struct dv_image_load_cmd command = {0};
    int r = take_text(args, "path", 4096, &command.path, err);
    if (r == 0 && dv_json_get(args, "name"))
        r = take_text(args, "name", REF_MAX, &command.name, err);
    return r < 0 ? r : ask(cell, DV_KIND_image_load_cmd, &command, LONG_MS, request);
}

static int with_ref(struct dv_cell *cell,
                    const char *operation,
                    const struct dv_json *args,
                    struct dv_request **request,
                    struct dv_error *err)
{
    char *ref;
    int r = take_text(args, "ref", REF_MAX, &ref, err);
    if (r < 0)
        return r;
    struct dv_image_pull_cmd pull = {.ref = ref};
    struct dv_image_remove_cmd remove = {.ref = ref};
    struct dv_image_pull_cancel cancel = {.ref = ref};
    if (strcmp(operation, "cancelPull") == 0)
        return ask(cell, DV_KIND_image_pull_cancel, &cancel, LONG_MS, request);
    return strcmp(operation, "pull") == 0
               ? ask(cell, DV_KIND_image_pull_cmd, &pull, LONG_MS, request)
               : ask(cell, DV_KIND_image_remove_cmd, &remove, LONG_MS, request);
}

bool gateway_images(struct dv_cell *cell,
                    const struct dv_actor_env *env,
                    const char *operation,
                    const struct dv_json *args,
                    struct dv_request **request,
                    int *ret,
                    struct dv_error *err)
{
    int64_t soon_ms = env->settings->command_timeout_ms;
    struct dv_image_list_query list = {};
    struct dv_image_pulls_query pulls = {};
    struct dv_image_prune_cmd prune = {.is_all = dv_json_bool(dv_json_get(args, "all"))};
    if (strcmp(operation, "images") == 0)
        *ret = ask(cell, DV_KIND_image_list_query, &list, soon_ms, request);
    else if (strcmp(operation, "pulls") == 0)
        *ret = ask(cell, DV_KIND_image_pulls_query, &pulls, soon_ms, request);
    else if (strcmp(operation, "prune") == 0)
        *ret = ask(cell, DV_KIND_image_prune_cmd, &prune, LONG_MS, request);
    else if (strcmp(operation, "load") == 0)
        *ret = load(cell, args, request, err);
    else if (strcmp(operation, "pull") == 0 || strcmp(operation, "cancelPull") == 0 ||
             strcmp(operation, "rmi") == 0)
        *ret = with_ref(cell, operation, args, request, err);
    else
        return false;
    return true;
}
