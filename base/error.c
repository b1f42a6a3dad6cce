/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include "base/str.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct facts {
    const char *name;
    const char *ditto_code;
    const char *summary;
    int status;
    bool is_retryable;
};

static const struct facts facts_table[] = {
    [DV_ERR_NONE] = {"NONE", "", "no error", 200, false},
#define X(name, number, status, retry, ditto, text)                                                \
    [DV_ERR_##name] = {#name, (ditto), (text), (status), (retry)},
#include "base/error.def"
#undef X
};

#define FACTS_COUNT (sizeof(facts_table) / sizeof(facts_table[0]))

static const struct facts *facts_of(enum dv_error_class class)
{
    return &facts_table[dv_error_class_of((long long)class)];
}

enum dv_error_class dv_error_class_of(long long number)
{
    if (number < 0 || (unsigned long long)number >= FACTS_COUNT || !facts_table[number].name)
        return DV_ERR_INTERNAL;
    return (enum dv_error_class)number;
}

int dv_error_set_at(struct dv_error *err,
                    enum dv_error_class class,
                    int sys,
                    const char *where,
                    const char *format,
                    ...)
{
    assert(class != DV_ERR_NONE);
    if (!err)
        return -(int)class;
    assert(err->class == DV_ERR_NONE && "error set twice");
    err->class = class;
    err->sys = sys;
    err->where = where;
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (sys && used >= 0 && (size_t)used < sizeof(err->text)) {
        char name[128];
        snprintf(err->text + used, sizeof(err->text) - (size_t)used, ": %s",
                 strerror_r(sys, name, sizeof(name)));
    }
    /* Every bridge wants UTF-8. */
    dv_str_mend(err->text);
    return -(int)class;
}

int dv_error_prefix(struct dv_error *err, const char *format, ...)
{
    if (!err)
        return -(int)DV_ERR_FAILED;
    assert(err->class != DV_ERR_NONE);
    char old[DV_ERROR_TEXT_MAX];
    memcpy(old, err->text, sizeof(old));
    va_list args;
    va_start(args, format);
    int used = vsnprintf(err->text, sizeof(err->text), format, args);
    va_end(args);
    if (used >= 0 && (size_t)used < sizeof(err->text))
        snprintf(err->text + used, sizeof(err->text) - (size_t)used, "%s", old);
    /* Every bridge wants UTF-8. */
    dv_str_mend(err->text);
    return -(int)err->class;
}

void dv_error_clear(struct dv_error *err)
{
    if (err)
        *err = DV_ERROR_INIT;
}

const char *dv_error_name(enum dv_error_class class)
{
    return facts_of(class)->name;
}

const char *dv_error_ditto_code(enum dv_error_class class)
{
    return facts_of(class)->ditto_code;
}

const char *dv_error_summary(enum dv_error_class class)
{
    return facts_of(class)->summary;
}

int dv_error_status(enum dv_error_class class)
{
    return facts_of(class)->status;
}

bool dv_error_is_retryable(enum dv_error_class class)
{
    return facts_of(class)->is_retryable;
}
