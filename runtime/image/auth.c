/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/auth.h"

#include "base/buf.h"

#include "json/json.h"
#include <openssl/evp.h>
#include <strings.h>

#define CREDENTIALS_MAX  4096
#define TOKEN_URL_MAX    8192
#define TOKEN_FORM_MAX   (60U << 10)
#define TOKEN_DEFAULT_S  60
#define TOKEN_LONGEST_S  (30 * 24 * 3600)
#define PARAMETER_MAX    2048
#define PARAMETERS_LIMIT 64

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "registry login: out of memory");
}

/* ---- challenges (RFC 7235) ---- */

static bool is_token_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (c && strchr("!#$%&'*+-.^_`|~/", c));
}

static void skip(struct dv_str *rest, const char *set)
{
    while (rest->len > 0 && rest->data[0] && strchr(set, rest->data[0])) {
        rest->data++;
        rest->len--;
    }
}

static struct dv_str take_token(struct dv_str *rest)
{
    struct dv_str token = {rest->data, 0};
    while (token.len < rest->len && is_token_char(rest->data[token.len]))
        token.len++;
    rest->data += token.len;
    rest->len -= token.len;
    return token;
}

/* A quoted string without its quotes and escapes, or a token. False when it does not end or is too
 * long. */
static bool take_value(struct dv_str *rest, char value[PARAMETER_MAX])
{
    size_t len = 0;
    if (rest->len == 0 || rest->data[0] != '"') {
        struct dv_str token = take_token(rest);
        if (token.len >= PARAMETER_MAX)
            return false;
        memcpy(value, token.data, token.len);
        value[token.len] = '\0';
        return true;
    }
    for (size_t i = 1; i < rest->len && len + 1 < PARAMETER_MAX; i++) {
        char c = rest->data[i];
        if (c == '"') {
            value[len] = '\0';
            rest->data += i + 1;
            rest->len -= i + 1;
            return true;
        }
        if (c == '\\' && ++i < rest->len)
            c = rest->data[i];
        value[len++] = c;
    }
    return false;
}

enum scheme { SCHEME_NONE, SCHEME_OTHER, SCHEME_BASIC, SCHEME_BEARER };

static enum scheme scheme_of(struct dv_str name)
{
    return dv_str_ieq(name, "bearer")  ? SCHEME_BEARER
           : dv_str_ieq(name, "basic") ? SCHEME_BASIC
                                       : SCHEME_OTHER;
}

static int keep_parameter(struct dv_challenge *challenge,
                          struct dv_str name,
                          const char *value,
                          struct dv_arena *arena,
                          struct dv_error *err)
{
    char **slot = dv_str_ieq(name, "realm")     ? &challenge->realm
                  : dv_str_ieq(name, "service") ? &challenge->service
                  : dv_str_ieq(name, "scope")   ? &challenge->scope
                                                : NULL;
    if (!slot || *slot || !*value)
        return 0;
    *slot = dv_arena_strdup(arena, value);
    return *slot ? 0 : no_memory(err);
}

struct found {
    bool has_basic;
    bool has_bearer;
    struct dv_challenge bearer;
};

/* One header value holds any number of challenges; a name that is followed by '=' is a parameter
 * of the last one, any other name starts a challenge. What cannot be read ends the value. */
static int
parse_value(struct dv_str rest, struct found *found, struct dv_arena *arena, struct dv_error *err)
{
    enum scheme scheme = SCHEME_NONE;
    bool is_first_bearer = false;
    for (unsigned parts = 0; parts < PARAMETERS_LIMIT; parts++) {
        skip(&rest, " \t,");
        struct dv_str name = take_token(&rest);
        if (name.len == 0)
            return 0;
        skip(&rest, " \t");
        if (rest.len == 0 || rest.data[0] != '=' || scheme == SCHEME_NONE) {
            scheme = scheme_of(name);
            found->has_basic |= scheme == SCHEME_BASIC;
            is_first_bearer = scheme == SCHEME_BEARER && !found->has_bearer;
            found->has_bearer |= scheme == SCHEME_BEARER;
            continue;
        }
        skip(&rest, "=");
        skip(&rest, " \t");
        char value[PARAMETER_MAX];
        if (!take_value(&rest, value))
            return 0;
        int r = is_first_bearer ? keep_parameter(&found->bearer, name, value, arena, err) : 0;
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_challenge_parse(const struct dv_http_header_list *headers,
                       struct dv_arena *arena,
                       struct dv_challenge *ret,
                       struct dv_error *err)
{
    struct found found = {0};
    for (size_t i = 0; i < headers->count; i++) {
        const struct dv_http_header *h = &headers->items[i];
        if (!h->name || !h->value || strcasecmp(h->name, "www-authenticate") != 0)
            continue;
        int r = parse_value(dv_str_of(h->value), &found, arena, err);
        if (r < 0)
            return r;
    }
    bool is_https;
    struct dv_str host;
    if (found.has_bearer && found.bearer.realm && strlen(found.bearer.realm) <= DV_REALM_MAX &&
        dv_url_origin(found.bearer.realm, &is_https, &host)) {
        found.bearer.is_bearer = true;
        *ret = found.bearer;
        return 0;
    }
    if (found.has_basic) {
        *ret = (struct dv_challenge){.is_bearer = false};
        return 0;
    }
    if (found.has_bearer)
        return dv_error_set(err, DV_ERR_FAILED,
                            "it asks for a token, but names no usable address to get one from");
    return dv_error_set(err, DV_ERR_FAILED,
                        "it asks for a login (401), but by no method that davit knows (Bearer, "
                        "Basic)");
}

/* ---- tokens ---- */

static int append_encoded(struct dv_buf *out, const char *text, struct dv_error *err)
{
    int r = 0;
    for (const char *c = text; *c && r == 0; c++) {
        bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
                        (*c >= '0' && *c <= '9') || strchr("-._~", *c);
        r = is_plain ? dv_buf_append(out, c, 1, err)
                     : dv_buf_printf(out, err, "%%%02X", (unsigned)(unsigned char)*c);
    }
    return r;
}

int dv_token_url(const struct dv_challenge *challenge,
                 const char *scope,
                 struct dv_arena *arena,
                 char **ret,
                 struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) url = DV_BUF_INIT(TOKEN_URL_MAX);
    int r = dv_buf_append_str(&url, challenge->realm, err);
    if (r == 0)
        r = dv_buf_append_str(&url, strchr(challenge->realm, '?') ? "&" : "?", err);
    if (r == 0 && challenge->service) {
        r = dv_buf_append_str(&url, "service=", err);
        if (r == 0)
            r = append_encoded(&url, challenge->service, err);
        if (r == 0)
            r = dv_buf_append_str(&url, "&", err);
    }
    if (r == 0)
        r = dv_buf_append_str(&url, "scope=", err);
    if (r == 0)
        r = append_encoded(&url, challenge->scope ? challenge->scope : scope, err);
    if (r < 0)
        return r;
    char *text = dv_arena_strdup(arena, url.data);
    if (!text)
        return no_memory(err);
    *ret = text;
    return 0;
}

int dv_token_form(const struct dv_challenge *challenge,
                  const char *scope,
                  const char *identity,
                  struct dv_arena *arena,
                  char **ret,
                  struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) form = DV_BUF_INIT(TOKEN_FORM_MAX);
    int r = dv_buf_append_str(&form, "grant_type=refresh_token&client_id=davit&scope=", err);
    if (r == 0)
        r = append_encoded(&form, challenge->scope ? challenge->scope : scope, err);
    if (r == 0 && challenge->service)
        r = dv_buf_append_str(&form, "&service=", err);
    if (r == 0 && challenge->service)
        r = append_encoded(&form, challenge->service, err);
    if (r == 0)
        r = dv_buf_append_str(&form, "&refresh_token=", err);
    if (r == 0)
        r = append_encoded(&form, identity, err);
    if (r < 0)
        return r;
    char *text = dv_arena_strdup(arena, form.data);
    if (!text)
        return no_memory(err);
    *ret = text;
    return 0;
}

int dv_token_parse(const char *bytes,
                   size_t len,
                   struct dv_arena *arena,
                   struct dv_token *ret,
                   struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    if (len > DV_TOKEN_ANSWER_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "token answer is larger than %u bytes",
                            DV_TOKEN_ANSWER_MAX);
    DV_AUTO(dv_json) root = NULL;
    if (dv_json_parse(bytes, len, &root, &cause) < 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "token answer: %s", cause.text);
    const char *text = dv_json_text(dv_json_get(root, "token"));
    if (!text || !*text)
        text = dv_json_text(dv_json_get(root, "access_token"));
    if (!dv_json_is(root, DV_JSON_OBJECT) || !text || !*text)
        return dv_error_set(err, DV_ERR_CORRUPT, "token answer: it has no token");
    size_t text_len = strlen(text);
    if (text_len > DV_TOKEN_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "token answer: the token is longer than %u bytes",
                            DV_TOKEN_MAX);
    for (size_t i = 0; i < text_len; i++)
        if (text[i] <= ' ' || text[i] > '~')
            return dv_error_set(err, DV_ERR_CORRUPT,
                                "token answer: the token has a character that is not printable");
    struct dv_token token = {.expires_s = TOKEN_DEFAULT_S};
    if (!dv_json_to_i64(dv_json_get(root, "expires_in"), &token.expires_s) ||
        token.expires_s < TOKEN_DEFAULT_S)
        token.expires_s = TOKEN_DEFAULT_S;
    if (token.expires_s > TOKEN_LONGEST_S)
        token.expires_s = TOKEN_LONGEST_S;
    token.text = dv_arena_strdup(arena, text);
    if (!token.text)
        return no_memory(err);
    *ret = token;
    return 0;
}

/* ---- header values ---- */

char *dv_auth_basic(struct dv_arena *arena, const char *user, const char *password)
{
    char *pair = dv_arena_printf(arena, "%s:%s", user, password ? password : "");
    if (!pair || strlen(pair) > CREDENTIALS_MAX)
        return NULL;
    size_t len = strlen(pair);
    unsigned char *text = dv_arena_alloc(arena, 4 * ((len + 2) / 3) + 1);
    if (!text)
        return NULL;
    (void)EVP_EncodeBlock(text, (const unsigned char *)pair, (int)len);
    return dv_arena_printf(arena, "Basic %s", (const char *)text);
}

char *dv_auth_bearer(struct dv_arena *arena, const char *token)
{
    return dv_arena_printf(arena, "Bearer %s", token);
}

/* ---- hosts ---- */

bool dv_url_origin(const char *url, bool *ret_is_https, struct dv_str *ret_host)
{
    struct dv_str rest = dv_str_of(url);
    bool is_https = strncasecmp(url, "https://", 8) == 0;
    if (!is_https && strncasecmp(url, "http://", 7) != 0)
        return false;
    for (size_t i = 0; i < rest.len; i++)
        if (rest.data[i] <= ' ' || rest.data[i] > '~' || strchr("\"<>\\^`{|}#", rest.data[i]))
            return false;
    const char *host = url + (is_https ? 8 : 7);
    size_t len = strcspn(host, "/?");
    if (len == 0 || memchr(host, '@', len))
        return false;
    *ret_is_https = is_https;
    *ret_host = (struct dv_str){host, len};
    return true;
}

/* The last two names of a host name; empty for addresses and single names. */
static struct dv_str domain_of(struct dv_str host)
{
    struct dv_str none = {"", 0};
    if (host.len == 0 || host.data[0] == '[')
        return none;
    const char *colon = memchr(host.data, ':', host.len);
    if (colon)
        host.len = (size_t)(colon - host.data);
    if (host.len == 0 || (host.data[host.len - 1] >= '0' && host.data[host.len - 1] <= '9'))
        return none;
    const char *last = memrchr(host.data, '.', host.len);
    if (!last)
        return none;
    const char *before = memrchr(host.data, '.', (size_t)(last - host.data));
    const char *start = before ? before + 1 : host.data;
    return (struct dv_str){start, (size_t)(host.data + host.len - start)};
}

static bool same(struct dv_str a, struct dv_str b)
{
    return a.len == b.len && strncasecmp(a.data, b.data, a.len) == 0;
}

bool dv_auth_may_send(const char *host, bool host_is_https, const char *realm)
{
    bool realm_is_https = false;
    struct dv_str realm_host;
    if (!dv_url_origin(realm, &realm_is_https, &realm_host) || (host_is_https && !realm_is_https))
        return false;
    struct dv_str own = dv_str_of(host);
    if (same(own, realm_host))
        return true;
    struct dv_str domain = domain_of(own);
    return host_is_https && domain.len > 0 && same(domain, domain_of(realm_host));
}
