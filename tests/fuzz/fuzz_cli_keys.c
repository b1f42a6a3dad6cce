/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that detach, then what is typed: the first line names them. What is sent and what is kept
 * back is what was typed, until the keys were. */
#include "cli/keys.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool is_so)
{
    if (!is_so)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *end = size ? memchr(data, '\n', size) : NULL;
    struct dv_error err = DV_ERROR_INIT;
    struct cli_keys keys;
    char text[256];
    size_t len = end ? (size_t)(end - data) : 0;
    if (!end || len >= sizeof(text) || size > 65536)
        return 0;
    memcpy(text, data, len);
    text[len] = '\0';
    if (cli_keys_parse(text, &keys, &err) < 0) {
        require(err.class && err.text[0]);
        return 0;
    }
    const char *typed = (const char *)end + 1;
    size_t typed_len = size - len - 1;
    size_t half = typed_len / 2;
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(typed_len + 2U * CLI_KEYS_MAX);
    bool is_over = cli_keys_filter(&keys, typed, half, &out) ||
                   cli_keys_filter(&keys, typed + half, typed_len - half, &out);
    require(out.len == 0 || memcmp(out.data, typed, out.len) == 0);
    require(is_over ? out.len + keys.count <= typed_len : out.len + keys.matched == typed_len);
    return 0;
}
