/* SPDX-License-Identifier: Apache-2.0 */
/* Up to the first line feed a WWW-Authenticate value, behind it the answer of a token server. */
#include "runtime/image/auth.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(16U << 20);
    struct dv_str value, body = {"", 0};
    if (!arena || size == 0)
        return 0;
    (void)dv_str_cut((struct dv_str){(const char *)data, size}, '\n', &value, &body);
    char *text = dv_arena_strndup(arena, value.data, value.len);
    if (!text)
        return 0;
    struct dv_http_header header = {.name = (char[]){"www-authenticate"}, .value = text};
    struct dv_http_header_list headers = {&header, 1};
    struct dv_challenge challenge;
    struct dv_error err = DV_ERROR_INIT;
    char *url = NULL;
    if (dv_challenge_parse(&headers, arena, &challenge, &err) == 0 && challenge.is_bearer) {
        (void)!dv_token_url(&challenge, "repository:x:pull", arena, &url, &err);
        (void)dv_auth_may_send("r.example.com", true, challenge.realm);
    }
    dv_error_clear(&err);
    struct dv_token token;
    if (dv_token_parse(body.data, body.len, arena, &token, &err) == 0)
        for (const char *c = token.text; *c; c++)
            if (*c <= ' ' || *c > '~')
                abort();
    return 0;
}
