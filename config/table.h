/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* keys.def as data. Private to config/. */
#include "config/config.h"

enum config_type {
    CONFIG_TEXT,
    CONFIG_SECRET,
    CONFIG_BOOL,
    CONFIG_INT,
    CONFIG_DURATION,
    CONFIG_TEXTS,
};

enum config_origin {
    CONFIG_KANTO,
    CONFIG_IGNORED,
    CONFIG_DAVIT,
};

struct config_key {
    const char *path;
    enum config_type type;
    size_t offset;
    const char *text; /* default of TEXT, SECRET, TEXTS */
    int64_t number;   /* default of the others */
    int64_t min;
    int64_t max;
    enum config_origin origin;
    const char *flag;
    const char *doc;
};

extern const struct config_key config_keys[];
extern const size_t config_key_count;

/* "1m30s" into `text`. */
#define CONFIG_DURATION_TEXT 48
char *config_duration_text(int64_t ns, char text[CONFIG_DURATION_TEXT]);
