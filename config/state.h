/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A loaded configuration with its memory. Private to config/. */
#include "base/arena.h"
#include "config/config.h"

#define CONFIG_WARNINGS_MAX 64

enum config_source {
    CONFIG_FROM_DEFAULT,
    CONFIG_FROM_FILE,
    CONFIG_FROM_OPTION,
};

struct dv_config_file {
    struct dv_config config;
    struct dv_arena *arena;
    enum config_source *sources; /* one a key */
    const char *warnings[CONFIG_WARNINGS_MAX];
    size_t warning_count;
};
