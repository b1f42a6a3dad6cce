/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/failure.h"

#include "base/str.h"

#include <string.h>

void dv_failure_of_error(const struct dv_error *error,
                         char text[DV_ERROR_TEXT_MAX],
                         struct dv_failure *ret)
{
    enum dv_error_class class = error->class == DV_ERR_NONE ? DV_ERR_INTERNAL : error->class;
    const char *from = error->text[0] ? error->text : dv_error_summary(class);
    size_t len = strnlen(from, DV_ERROR_TEXT_MAX - 1);
    memcpy(text, from, len);
    text[len] = '\0';
    if (!dv_str_is_utf8((struct dv_str){text, len})) {
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)text[i] >= 0x80)
                text[i] = '?';
    }
    *ret = (struct dv_failure){
        .class = class,
        .sys = error->sys >= 0 && error->sys <= 65535 ? error->sys : 0,
        .text = text,
    };
}

void dv_failure_to_error(const struct dv_failure *failure, struct dv_error *ret)
{
    enum dv_error_class class = dv_error_class_of(failure->class);
    *ret = DV_ERROR_INIT;
    (void)dv_error_set(ret, class == DV_ERR_NONE ? DV_ERR_INTERNAL : class, "%s",
                       failure->text ? failure->text : "");
    ret->sys = (int)failure->sys;
}
