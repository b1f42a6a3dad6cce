/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Base64 of RFC 4648 with padding. Private to messages/json. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BASE64_SIZE(len) (((len) + 2) / 3 * 4 + 1) /* with the NUL */

void base64_encode(const uint8_t *bytes, size_t len, char *text);
/* False for anything but well-formed, padded text; *ret_len bytes, at most 3/4 of the text. */
bool base64_decode(const char *text, size_t len, uint8_t *bytes, size_t *ret_len);
