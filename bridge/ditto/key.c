/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/ditto/key.h"

#include "base/sha256.h"

#include <stdbool.h>

/* Hexadecimal digits of the digest that end a shortened key: 80 bits. */
#define DIGEST_LEN 20

static bool is_plain(char c)
{
    return c >= ' ' && c <= '~' && c != '/' && c != '%';
}

/* As many whole characters as fit into `room` bytes. */
static int append_encoded(struct dv_buf *out, struct dv_str name, size_t room, struct dv_error *err)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];
        char encoded[] = {'%', digits[c >> 4], digits[c & 15]};
        size_t len = is_plain(name.data[i]) ? 1 : sizeof(encoded);
        if (len > room)
            break;
        int r = dv_buf_append(out, len == 1 ? &name.data[i] : encoded, len, err);
        if (r < 0)
            return r;
        room -= len;
    }
    return 0;
}

static size_t encoded_len(struct dv_str name)
{
    size_t len = 0;
    for (size_t i = 0; i < name.len; i++)
        len += is_plain(name.data[i]) ? 1 : 3;
    return len;
}

int dv_ditto_append_key(struct dv_buf *out, struct dv_str name, struct dv_error *err)
{
    if (name.len > 0 && encoded_len(name) <= DV_DITTO_KEY_MAX)
        return append_encoded(out, name, DV_DITTO_KEY_MAX, err);
    int r = append_encoded(out, name, DV_DITTO_KEY_MAX - DIGEST_LEN - 1, err);
    if (r < 0)
        return r;
    struct dv_sha256 sha;
    char hex[DV_SHA256_HEX_SIZE];
    dv_sha256_init(&sha);
    dv_sha256_add(&sha, name.data, name.len);
    return dv_buf_printf(out, err, "~%.*s", DIGEST_LEN, dv_sha256_finish_hex(&sha, hex));
}

int dv_ditto_append_key_path(struct dv_buf *out, struct dv_str path, struct dv_error *err)
{
    struct dv_str key, rest;
    while (dv_str_cut(path, '/', &key, &rest)) {
        int r = dv_ditto_append_key(out, key, err);
        if (r < 0 || (r = dv_buf_append_str(out, "/", err)) < 0)
            return r;
        path = rest;
    }
    return dv_ditto_append_key(out, key, err);
}
