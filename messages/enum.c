/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/schema.h"

#include <stdio.h>
#include <string.h>

static char fold(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

static bool equals(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if (fold(*a) != fold(*b))
            return false;
    return *a == *b;
}

static const struct dv_enum_value *value_of(const struct dv_enum_table *table, int64_t number)
{
    for (size_t i = 0; i < table->count; i++)
        if (table->values[i].number == number)
            return &table->values[i];
    return NULL;
}

bool dv_enum_parse(const struct dv_enum_table *table, const char *text, int64_t *ret)
{
    for (size_t i = 0; i < table->count; i++) {
        if (!equals(text, table->values[i].api) && !equals(text, table->values[i].record))
            continue;
        *ret = table->values[i].number;
        return true;
    }
    return false;
}

const char *dv_enum_api(const struct dv_enum_table *table, int64_t number)
{
    const struct dv_enum_value *value = value_of(table, number);
    return value ? value->api : "?";
}

const char *dv_enum_record(const struct dv_enum_table *table, int64_t number)
{
    const struct dv_enum_value *value = value_of(table, number);
    return value ? value->record : "?";
}

char *dv_enum_allowed(const struct dv_enum_table *table, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < table->count && used < size; i++) {
        int wrote = snprintf(text + used, size - used, "%s%s", i ? ", " : "", table->values[i].api);
        if (wrote < 0)
            break;
        used += (size_t)wrote;
    }
    return text;
}
