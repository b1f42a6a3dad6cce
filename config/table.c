/* SPDX-License-Identifier: Apache-2.0 */
#include "config/table.h"

#define DEFAULT_TEXT(value)     .text = (value)
#define DEFAULT_SECRET(value)   .text = (value)
#define DEFAULT_TEXTS(value)    .text = (value)
#define DEFAULT_BOOL(value)     .number = (value)
#define DEFAULT_INT(value)      .number = (value)
#define DEFAULT_DURATION(value) .number = (value)

const struct config_key config_keys[] = {
#define K(member, name, kind, fallback, low, high, from, option, words)                            \
    {.path = (name),                                                                               \
     .type = CONFIG_##kind,                                                                        \
     .offset = offsetof(struct dv_config, member),                                                 \
     DEFAULT_##kind(fallback),                                                                     \
     .min = (low),                                                                                 \
     .max = (high),                                                                                \
     .origin = CONFIG_##from,                                                                      \
     .flag = (option),                                                                             \
     .doc = (words)},
#include "config/keys.def"
#undef K
};

const size_t config_key_count = sizeof(config_keys) / sizeof(config_keys[0]);

char *config_duration_text(int64_t ns, char text[CONFIG_DURATION_TEXT])
{
    const int64_t second = DV_CONFIG_SECOND;
    if (ns % second)
        snprintf(text, CONFIG_DURATION_TEXT, "%lldms", (long long)(ns / 1000000));
    else if (ns && ns % (3600 * second) == 0)
        snprintf(text, CONFIG_DURATION_TEXT, "%lldh", (long long)(ns / (3600 * second)));
    else if (ns && ns % (60 * second) == 0)
        snprintf(text, CONFIG_DURATION_TEXT, "%lldm", (long long)(ns / (60 * second)));
    else
        snprintf(text, CONFIG_DURATION_TEXT, "%llds", (long long)(ns / second));
    return text;
}
