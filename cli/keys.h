/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Keys that detach, looked for in what is typed: "ctrl-p,ctrl-q". As much as may be the beginning
 * of them is kept back until the next key shows. Pure, one owner.
 */
#include "base/buf.h"
#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

#define CLI_KEYS_MAX     16
#define CLI_KEYS_DEFAULT "ctrl-p,ctrl-q"

struct cli_keys {
    char keys[CLI_KEYS_MAX];
    size_t count; /* 0: nothing detaches */
    size_t matched;
};

/* Keys with commas between them: a character, or ctrl- and one of a-z @ [ \ ] ^ _. An empty text is
 * no key at all. */
__attribute__((warn_unused_result)) int
cli_keys_parse(const char *text, struct cli_keys *ret, struct dv_error *err);

/* Appends to `out` what is to be sent; true when the keys were typed, what follows them is
 * dropped. `out` has room for len + CLI_KEYS_MAX bytes. */
bool cli_keys_filter(struct cli_keys *keys, const char *typed, size_t len, struct dv_buf *out);
