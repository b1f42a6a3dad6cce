/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/store/values.h"

#include <stdlib.h>
#include <string.h>

struct value {
    char *name;
    struct dv_bytes bytes;
    uint64_t entry;
};

struct dv_values {
    struct value values[DV_VALUES_MAX];
    size_t count;
};

struct dv_values *dv_values_new(void)
{
    return calloc(1, sizeof(struct dv_values));
}

static void clear(struct value *value)
{
    free(value->name);
    free(value->bytes.data);
}

void dv_values_free(struct dv_values *values)
{
    if (!values)
        return;
    for (size_t i = 0; i < values->count; i++)
        clear(&values->values[i]);
    free(values);
}

static size_t place_of(const struct dv_values *values, const char *name)
{
    size_t place = 0;
    while (place < values->count && strcmp(values->values[place].name, name) != 0)
        place++;
    return place;
}

bool dv_values_put(struct dv_values *values,
                   const char *name,
                   struct dv_bytes value,
                   uint64_t entry)
{
    size_t place = place_of(values, name);
    if (value.len == 0) {
        if (place < values->count) {
            clear(&values->values[place]);
            values->values[place] = values->values[--values->count];
        }
        return true;
    }
    if (place == DV_VALUES_MAX)
        return false;
    struct value fresh = {.entry = entry, .bytes = {malloc(value.len), value.len}};
    fresh.name = strdup(name);
    if (!fresh.name || !fresh.bytes.data) {
        clear(&fresh);
        return false;
    }
    memcpy(fresh.bytes.data, value.data, value.len);
    if (place < values->count)
        clear(&values->values[place]);
    else
        values->count++;
    values->values[place] = fresh;
    return true;
}

struct dv_bytes dv_values_get(const struct dv_values *values, const char *name)
{
    size_t place = place_of(values, name);
    return place < values->count ? values->values[place].bytes : (struct dv_bytes){NULL, 0};
}

bool dv_values_is_of(const struct dv_values *values, uint64_t entry)
{
    for (size_t i = 0; i < values->count; i++)
        if (values->values[i].entry == entry)
            return true;
    return false;
}
