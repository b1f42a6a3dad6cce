/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/auth_file.h"

#include "base/durable.h"
#include "base/str.h"
#include "runtime/image/reference.h"

#include "json/json.h"
#include <openssl/evp.h>
#include <string.h>
#include <strings.h>

#define PAIR_MAX 4096

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "credentials file: out of memory");
}

/* ---- which entry ---- */

/* "https://index.docker.io/v1/" is the host index.docker.io; a path that is no version is kept. */
static struct dv_str entry_scope(const char *key)
{
    struct dv_str scope = dv_str_of(key);
    static const char *const schemes[] = {"https://", "http://"};
    for (size_t i = 0; i < 2; i++)
        if (strncasecmp(key, schemes[i], strlen(schemes[i])) == 0) {
            scope.data += strlen(schemes[i]);
            scope.len -= strlen(schemes[i]);
            break;
        }
    while (scope.len > 0 && scope.data[scope.len - 1] == '/')
        scope.len--;
    if (scope.len > 3 &&
        (memcmp(scope.data + scope.len - 3, "/v1", 3) == 0 ||
         memcmp(scope.data + scope.len - 3, "/v2", 3) == 0) &&
        memchr(scope.data, '/', scope.len) == scope.data + scope.len - 3)
        scope.len -= 3;
    return scope;
}

static bool is_docker_hub(struct dv_str host)
{
    return dv_str_ieq(host, "docker.io") || dv_str_ieq(host, "index.docker.io") ||
           dv_str_ieq(host, "registry-1.docker.io");
}

static bool same_host(struct dv_str host, const char *wanted)
{
    return dv_str_ieq(host, wanted) || (is_docker_hub(host) && is_docker_hub(dv_str_of(wanted)));
}

/* Length of the part of the repository that the entry names, -1: it is about something else. */
static long match(const char *key, const struct dv_reference *ref)
{
    struct dv_str scope = entry_scope(key), host, path = {"", 0};
    (void)dv_str_cut(scope, '/', &host, &path);
    if (!same_host(host, ref->host))
        return -1;
    size_t len = strlen(ref->repository);
    bool is_inside =
        path.len == 0 || (path.len <= len && memcmp(path.data, ref->repository, path.len) == 0 &&
                          (path.len == len || ref->repository[path.len] == '/'));
    return is_inside ? (long)path.len : -1;
}

static const struct dv_json *best_entry(const struct dv_json *map, const struct dv_reference *ref)
{
    const struct dv_json *best = NULL;
    long best_len = -1;
    if (!dv_json_is(map, DV_JSON_OBJECT))
        return NULL;
    for (const struct dv_json *entry = dv_json_first(map); entry; entry = dv_json_next(entry)) {
        long len = match(dv_json_key(entry), ref);
        if (len > best_len) {
            best = entry;
            best_len = len;
        }
    }
    return best;
}

/* ---- what it says ---- */

static int keep(struct dv_arena *arena,
                struct dv_str user,
                struct dv_str password,
                struct dv_registry_login *ret,
                struct dv_error *err)
{
    struct dv_registry_login login = {
        .user = dv_arena_strndup(arena, user.data, user.len),
        .password.data = (uint8_t *)dv_arena_strndup(arena, password.data, password.len),
        .password.len = password.len,
    };
    if (!login.user || !login.password.data)
        return no_memory(err);
    *ret = login;
    return 0;
}

/* docker writes these instead of the password where a registry offers it. */
static int keep_identity(struct dv_arena *arena,
                         const char *identity,
                         struct dv_registry_login *ret,
                         struct dv_error *err)
{
    struct dv_registry_login login = {
        .user = dv_arena_strdup(arena, "(identity token)"),
        .identity.data = (uint8_t *)dv_arena_strdup(arena, identity),
        .identity.len = strlen(identity),
    };
    if (!login.user || !login.identity.data)
        return no_memory(err);
    *ret = login;
    return 0;
}

static int say(struct dv_arena *arena,
               const char *entry,
               const char *why,
               struct dv_registry_login *ret,
               struct dv_error *err)
{
    char *note = dv_arena_printf(arena,
                                 "the credentials of '%.200s' in the credentials file are "
                                 "not used: %s",
                                 entry, why);
    if (!note)
        return no_memory(err);
    *ret = (struct dv_registry_login){.note = note};
    return 0;
}

/* `auth` is user:password in base64. */
static int take_pair(const char *key,
                     const char *text,
                     struct dv_arena *arena,
                     struct dv_registry_login *ret,
                     struct dv_error *err)
{
    size_t len = strlen(text), padding = 0;
    while (padding < 2 && padding < len && text[len - padding - 1] == '=')
        padding++;
    unsigned char pair[PAIR_MAX];
    if (len % 4 != 0 || len / 4 * 3 > sizeof(pair))
        return say(arena, key, "auth is not base64 of user:password", ret, err);
    int decoded = EVP_DecodeBlock(pair, (const unsigned char *)text, (int)len);
    struct dv_str user, password;
    if (decoded < 0 || (size_t)decoded < padding ||
        !dv_str_cut((struct dv_str){(const char *)pair, (size_t)decoded - padding}, ':', &user,
                    &password) ||
        user.len == 0 || memchr(pair, '\0', (size_t)decoded - padding) || !dv_str_is_utf8(user))
        return say(arena, key, "auth is not base64 of user:password", ret, err);
    return keep(arena, user, password, ret, err);
}

static int take_entry(const struct dv_json *entry,
                      struct dv_arena *arena,
                      struct dv_registry_login *ret,
                      struct dv_error *err)
{
    const char *key = dv_json_key(entry);
    const char *auth = dv_json_text(dv_json_get(entry, "auth"));
    const char *user = dv_json_text(dv_json_get(entry, "username"));
    const char *password = dv_json_text(dv_json_get(entry, "password"));
    const char *identity = dv_json_text(dv_json_get(entry, "identitytoken"));
    if (identity && *identity)
        return keep_identity(arena, identity, ret, err);
    if (auth && *auth)
        return take_pair(key, auth, arena, ret, err);
    if (user && *user)
        return keep(arena, dv_str_of(user), dv_str_of(password ? password : ""), ret, err);
    return say(arena, key, "the entry is empty", ret, err);
}

int dv_auth_file_parse(const char *bytes,
                       size_t len,
                       const char *reference,
                       struct dv_arena *arena,
                       struct dv_registry_login *ret,
                       struct dv_error *err)
{
    struct dv_reference ref;
    struct dv_error cause = DV_ERROR_INIT;
    int r = dv_reference_parse(dv_str_of(reference), &ref, err);
    if (r < 0)
        return r;
    DV_AUTO(dv_json) root = NULL;
    if (len > DV_AUTH_FILE_MAX || dv_json_parse_cased(bytes, len, &root, &cause) < 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s",
                            cause.text[0] ? cause.text : "it is too large");
    if (!dv_json_is(root, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_CORRUPT, "an object with auths is expected");
    const struct dv_json *helper = best_entry(dv_json_get(root, "credHelpers"), &ref);
    const struct dv_json *entry = best_entry(dv_json_get(root, "auths"), &ref);
    const char *store = dv_json_text(dv_json_get(root, "credsStore"));
    const char *auth = dv_json_text(dv_json_get(entry, "auth"));
    bool is_helped = helper || (store && *store && entry && (!auth || !*auth));
    if (is_helped && (!auth || !*auth))
        return say(arena, dv_json_key(helper ? helper : entry),
                   "a credential helper keeps them, and davit starts none", ret, err);
    if (entry)
        return take_entry(entry, arena, ret, err);
    *ret = (struct dv_registry_login){0};
    return 0;
}

int dv_auth_file_find(const char *path,
                      const char *reference,
                      struct dv_arena *arena,
                      struct dv_registry_login *ret,
                      struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(DV_AUTH_FILE_MAX);
    struct dv_error cause = DV_ERROR_INIT;
    struct dv_registry_login login = {0};
    int r = dv_file_read(path, &text, &cause);
    if (r == 0)
        r = dv_auth_file_parse(text.data ? text.data : "", text.len, reference, arena, &login,
                               &cause);
    if (r < 0 && cause.class == DV_ERR_NO_MEMORY)
        return dv_error_set(err, cause.class, "%s", cause.text);
    if (r < 0 && cause.class != DV_ERR_NOT_FOUND) {
        login = (struct dv_registry_login){
            .note = dv_str_mend(dv_arena_printf(
                arena, "the credentials file '%.256s' is not used: %.400s", path, cause.text))};
        if (!login.note)
            return no_memory(err);
    }
    /* The text was a copy of secrets. */
    if (text.data)
        explicit_bzero(text.data, text.len);
    *ret = login;
    return 0;
}
