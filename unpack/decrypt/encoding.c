/* SPDX-License-Identifier: Apache-2.0 */
#include "unpack/decrypt/encoding.h"

#include <string.h>

static int value_of(char c, enum dv_base64 alphabet)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    if (c == '\0')
        return -1;
    if (c == (alphabet == DV_BASE64_URL ? '-' : '+'))
        return 62;
    if (c == (alphabet == DV_BASE64_URL ? '_' : '/'))
        return 63;
    const char *at = strchr(digits, c);
    return at ? (int)(at - digits) : -1;
}

static int bad(const char *what, struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_INVALID, "%s is no base64", what);
}

/* Takes the padding away; false if it is not as it has to be. */
static bool trim(struct dv_str *text, enum dv_base64 alphabet)
{
    if (alphabet == DV_BASE64_URL)
        return text->len % 4 != 1;
    if (text->len % 4 != 0)
        return false;
    for (int i = 0; i < 2 && text->len && text->data[text->len - 1] == '='; i++)
        text->len--;
    return text->len % 4 != 1;
}

int dv_base64_read(struct dv_str text,
                   enum dv_base64 alphabet,
                   const char *what,
                   struct dv_buf *out,
                   struct dv_error *err)
{
    unsigned bits = 0;
    unsigned count = 0;
    if (!trim(&text, alphabet))
        return bad(what, err);
    for (size_t i = 0; i < text.len; i++) {
        int value = value_of(text.data[i], alphabet);
        if (value < 0)
            return bad(what, err);
        bits = (bits << 6 | (unsigned)value) & 0xffffU;
        count += 6;
        if (count < 8)
            continue;
        count -= 8;
        unsigned char byte = (unsigned char)(bits >> count);
        int r = dv_buf_append(out, (const char *)&byte, 1, err);
        if (r < 0)
            return r;
    }
    return bits & ((1U << count) - 1) ? bad(what, err) : 0;
}
