/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/keys.h"

#include "base/str.h"

#include <string.h>

static bool read_key(struct dv_str text, char *ret)
{
    static const char prefix[] = "ctrl-";
    size_t len = sizeof(prefix) - 1;
    if (text.len == 1 && text.data[0] > ' ' && text.data[0] < 0x7F) {
        *ret = text.data[0];
        return true;
    }
    if (text.len != len + 1 || strncmp(text.data, prefix, len) != 0)
        return false;
    char c = text.data[len];
    if (c >= 'a' && c <= 'z')
        c = (char)(c - 'a' + 'A');
    else if (!c || !strchr("@[\\]^_", c))
        return false;
    *ret = (char)(c & 0x1F);
    return true;
}

int cli_keys_parse(const char *text, struct cli_keys *ret, struct dv_error *err)
{
    struct cli_keys keys = {.count = 0};
    struct dv_str rest = dv_str_of(text);
    bool is_more = rest.len > 0;
    while (is_more) {
        struct dv_str key;
        is_more = dv_str_cut(rest, ',', &key, &rest);
        if (keys.count == CLI_KEYS_MAX)
            return dv_error_set(err, DV_ERR_LIMIT, "--detach-keys: more than %d keys",
                                CLI_KEYS_MAX);
        if (!read_key(key, &keys.keys[keys.count++]))
            return dv_error_set(err, DV_ERR_INVALID,
                                "--detach-keys: '%.*s' is no key; a character is, or ctrl- and one "
                                "of a-z @ [ \\ ] ^ _",
                                DV_STR_ARG(key));
    }
    *ret = keys;
    return 0;
}

/* One more key does not fit: how much of the end of what was typed may begin the keys. */
static size_t begins_again(const struct cli_keys *keys, const char *typed, size_t len)
{
    for (size_t part = len - 1; part > 0; part--)
        if (memcmp(typed + len - part, keys->keys, part) == 0)
            return part;
    return 0;
}

bool cli_keys_filter(struct cli_keys *keys, const char *typed, size_t len, struct dv_buf *out)
{
    for (size_t i = 0; i < len; i++) {
        char kept[CLI_KEYS_MAX + 1];
        size_t kept_len = keys->matched + 1;
        memcpy(kept, keys->keys, keys->matched);
        kept[keys->matched] = typed[i];
        if (keys->count && typed[i] == keys->keys[keys->matched])
            keys->matched++;
        else
            keys->matched = begins_again(keys, kept, kept_len);
        if (keys->count && keys->matched == keys->count) {
            keys->matched = 0;
            return true;
        }
        (void)!dv_buf_append(out, kept, kept_len - keys->matched, NULL);
    }
    return false;
}
