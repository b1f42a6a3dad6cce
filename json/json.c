/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The scanner decides whether bytes are JSON, cJSON builds the tree. `struct dv_json` is a cJSON
 * node under another name.
 */
#include "json/json.h"

#include "json/scan.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const cJSON *c(const struct dv_json *node)
{
    return (const cJSON *)(const void *)node;
}

static const struct dv_json *d(const cJSON *node)
{
    return (const struct dv_json *)(const void *)node;
}

static int compare_folded(const void *a, const void *b)
{
    return strcasecmp(*(const char *const *)a, *(const char *const *)b);
}

static int compare_exactly(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

#define KEYS_ON_STACK 64

/* Sorted copies make this n log n: a hostile object of 100,000 keys must not take minutes. */
static int check_duplicates(const cJSON *object, bool is_cased, struct dv_error *err)
{
    int (*compare)(const void *, const void *) = is_cased ? compare_exactly : compare_folded;
    const char *few[KEYS_ON_STACK];
    dv_autofree const char **many = NULL;
    size_t count = (size_t)cJSON_GetArraySize(object);
    const char **keys = few;
    if (count > KEYS_ON_STACK) {
        many = calloc(count, sizeof(*many));
        if (!many)
            return dv_error_set(err, DV_ERR_NO_MEMORY, "JSON: no memory for %zu keys", count);
        keys = many;
    }
    size_t i = 0;
    for (const cJSON *member = object->child; member; member = member->next)
        keys[i++] = member->string;
    qsort(keys, count, sizeof(*keys), compare);
    for (i = 1; i < count; i++)
        if (compare(&keys[i - 1], &keys[i]) == 0)
            return dv_error_set(err, DV_ERR_INVALID,
                                "JSON: the key '%s' comes twice in one object%s", keys[i],
                                is_cased ? "" : " (case is ignored)");
    return 0;
}

/* Depth is bounded by the scan. */
static int check_tree(const cJSON *node, bool is_cased, struct dv_error *err)
{
    if (cJSON_IsNumber(node) && !isfinite(node->valuedouble))
        return dv_error_set(err, DV_ERR_INVALID, "JSON: a number is too large");
    if (cJSON_IsObject(node)) {
        int r = check_duplicates(node, is_cased, err);
        if (r < 0)
            return r;
    }
    for (const cJSON *child = node->child; child; child = child->next) {
        int r = check_tree(child, is_cased, err);
        if (r < 0)
            return r;
    }
    return 0;
}

static int
parse(const char *bytes, size_t len, bool is_cased, struct dv_json **ret, struct dv_error *err)
{
    if (len > DV_JSON_BYTES_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "JSON of %zu bytes is over the limit of %u", len,
                            DV_JSON_BYTES_MAX);
    int r = dv_json_scan(bytes, len, err);
    if (r < 0)
        return r;
    cJSON *tree = cJSON_ParseWithLength(bytes, len);
    if (!tree)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "JSON of %zu bytes: no memory", len);
    r = check_tree(tree, is_cased, err);
    if (r < 0) {
        cJSON_Delete(tree);
        return r;
    }
    *ret = (struct dv_json *)(void *)tree;
    return 0;
}

int dv_json_parse(const char *bytes, size_t len, struct dv_json **ret, struct dv_error *err)
{
    return parse(bytes, len, false, ret, err);
}

int dv_json_parse_cased(const char *bytes, size_t len, struct dv_json **ret, struct dv_error *err)
{
    return parse(bytes, len, true, ret, err);
}

void dv_json_free(struct dv_json *root)
{
    cJSON_Delete((cJSON *)(void *)root);
}

enum dv_json_type dv_json_type_of(const struct dv_json *node)
{
    const cJSON *item = c(node);
    if (!item || cJSON_IsNull(item))
        return DV_JSON_NULL;
    if (cJSON_IsBool(item))
        return DV_JSON_BOOL;
    if (cJSON_IsNumber(item))
        return DV_JSON_NUMBER;
    if (cJSON_IsString(item))
        return DV_JSON_STRING;
    return cJSON_IsArray(item) ? DV_JSON_ARRAY : DV_JSON_OBJECT;
}

bool dv_json_is(const struct dv_json *node, enum dv_json_type type)
{
    return node && dv_json_type_of(node) == type;
}

const char *dv_json_type_name(enum dv_json_type type)
{
    static const char *const names[] = {
        [DV_JSON_NULL] = "null",       [DV_JSON_BOOL] = "a boolean", [DV_JSON_NUMBER] = "a number",
        [DV_JSON_STRING] = "a string", [DV_JSON_ARRAY] = "an array", [DV_JSON_OBJECT] = "an object",
    };
    return names[type];
}

const struct dv_json *dv_json_get(const struct dv_json *object, const char *key)
{
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return NULL;
    const cJSON *found = NULL;
    for (const cJSON *member = c(object)->child; member; member = member->next) {
        if (strcmp(member->string, key) == 0)
            return d(member);
        if (!found && strcasecmp(member->string, key) == 0)
            found = member;
    }
    return d(found);
}

const struct dv_json *dv_json_first(const struct dv_json *container)
{
    return container ? d(c(container)->child) : NULL;
}

const struct dv_json *dv_json_next(const struct dv_json *node)
{
    return node ? d(c(node)->next) : NULL;
}

const char *dv_json_key(const struct dv_json *member)
{
    return member ? c(member)->string : NULL;
}

size_t dv_json_count(const struct dv_json *container)
{
    size_t count = 0;
    for (const struct dv_json *at = dv_json_first(container); at; at = dv_json_next(at))
        count++;
    return count;
}

const char *dv_json_text(const struct dv_json *node)
{
    return dv_json_is(node, DV_JSON_STRING) ? c(node)->valuestring : NULL;
}

bool dv_json_bool(const struct dv_json *node)
{
    return dv_json_is(node, DV_JSON_BOOL) && cJSON_IsTrue(c(node));
}

double dv_json_number(const struct dv_json *node)
{
    return dv_json_is(node, DV_JSON_NUMBER) ? c(node)->valuedouble : 0;
}

bool dv_json_to_i64(const struct dv_json *node, int64_t *ret)
{
    if (!dv_json_is(node, DV_JSON_NUMBER))
        return false;
    double value = c(node)->valuedouble;
    /* -2^63 is a double, 2^63 - 1 is not: the open upper bound is exact. */
    if (trunc(value) < value || trunc(value) > value || value < -0x1p63 || value >= 0x1p63)
        return false;
    *ret = (int64_t)value;
    return true;
}
