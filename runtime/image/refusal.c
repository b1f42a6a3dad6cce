/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/refusal.h"

#include "json/json.h"
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define WORDS_MAX       200
#define ERROR_BODY_MAX  (64U << 10)
#define RETRY_AFTER_MAX 40

const char *dv_header_find(const struct dv_http_header_list *headers, const char *name)
{
    for (size_t i = 0; i < headers->count; i++)
        if (headers->items[i].name && strcasecmp(headers->items[i].name, name) == 0)
            return headers->items[i].value;
    return NULL;
}

static void keep_printable(char *text)
{
    for (char *c = text; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

/* ", UNKNOWN: no such thing" from {"errors":[{"code":..,"message":..}]}; empty when the body is
 * something else. */
static void own_words(const struct dv_bytes *body, char words[WORDS_MAX])
{
    words[0] = '\0';
    DV_AUTO(dv_json) root = NULL;
    if (body->len == 0 || body->len > ERROR_BODY_MAX ||
        dv_json_parse((const char *)body->data, body->len, &root, NULL) < 0)
        return;
    const struct dv_json *first = dv_json_first(dv_json_get(root, "errors"));
    const char *code = dv_json_text(dv_json_get(first, "code"));
    const char *message = dv_json_text(dv_json_get(first, "message"));
    if (!code && !message)
        message = dv_json_text(dv_json_get(root, "details"));
    if (!code && !message)
        return;
    (void)snprintf(words, WORDS_MAX, ", %s%s%s", code ? code : "", code && message ? ": " : "",
                   message ? message : "");
    keep_printable(words);
}

int dv_registry_refusal(const struct dv_download_result *answer,
                        const char *object,
                        struct dv_error *err)
{
    int status = (int)answer->status;
    char words[WORDS_MAX];
    own_words(&answer->body, words);
    char retry[RETRY_AFTER_MAX + 1] = "";
    const char *after = dv_header_find(&answer->headers, "retry-after");
    if (after && *after) {
        (void)snprintf(retry, sizeof(retry), "%s", after);
        keep_printable(retry);
    }
    const char *retry_head = *retry ? "; retry after " : "";
    if (status == 404)
        return dv_error_set(err, DV_ERR_FAILED, "there is no %s (404%s)", object, words);
    if (status == 401 || status == 403)
        return dv_error_set(err, DV_ERR_DENIED, "access to %s is denied (%d%s)", object, status,
                            words);
    if (status == 429)
        return dv_error_set(err, DV_ERR_UNAVAILABLE, "too many requests (429%s)%s%s", words,
                            retry_head, retry);
    if (status >= 500)
        return dv_error_set(err, DV_ERR_UNAVAILABLE, "it fails with server error %d%s%s%s", status,
                            words, retry_head, retry);
    return dv_error_set(err, DV_ERR_PROTOCOL, "unexpected answer %d to the request for %s%s",
                        status, object, words);
}
