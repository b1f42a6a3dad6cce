/* SPDX-License-Identifier: Apache-2.0 */
#include "messages/json/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(const uint8_t *bytes, size_t len, char *text)
{
    for (; len >= 3; bytes += 3, len -= 3) {
        *text++ = alphabet[bytes[0] >> 2];
        *text++ = alphabet[(bytes[0] & 3U) << 4 | bytes[1] >> 4];
        *text++ = alphabet[(bytes[1] & 15U) << 2 | bytes[2] >> 6];
        *text++ = alphabet[bytes[2] & 63U];
    }
    if (len) {
        uint8_t second = len == 2 ? bytes[1] : 0;
        *text++ = alphabet[bytes[0] >> 2];
        *text++ = alphabet[(bytes[0] & 3U) << 4 | second >> 4];
        *text++ = len == 2 ? alphabet[(second & 15U) << 2] : '=';
        *text++ = '=';
    }
    *text = '\0';
}

static bool value_of(char c, uint32_t *ret)
{
    const char *at = c ? strchr(alphabet, c) : NULL;
    if (at)
        *ret = (uint32_t)(at - alphabet);
    return at != NULL;
}

bool base64_decode(const char *text, size_t len, uint8_t *bytes, size_t *ret_len)
{
    size_t out = 0;
    if (len % 4)
        return false;
    for (size_t i = 0; i < len; i += 4) {
        uint32_t v[4] = {0};
        size_t padding = 0;
        if (i + 4 == len)
            padding =
                (size_t)(text[i + 3] == '=') + (size_t)(text[i + 2] == '=' && text[i + 3] == '=');
        for (size_t k = 0; k < 4 - padding; k++)
            if (!value_of(text[i + k], &v[k]))
                return false;
        uint32_t word = v[0] << 18 | v[1] << 12 | v[2] << 6 | v[3];
        for (size_t k = 0; k < 3 - padding; k++)
            bytes[out++] = (uint8_t)(word >> (16 - 8 * k));
    }
    *ret_len = out;
    return true;
}
