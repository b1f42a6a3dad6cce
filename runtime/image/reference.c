/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/reference.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#define HOST_NAME_MAX_BYTES  253
#define HOST_LABEL_MAX_BYTES 63
#define HUB                  "docker.io"
#define HUB_API              "registry-1.docker.io"

/* Every refusal starts by quoting the reference; long ones are cut. */
#define QUOTE_MAX              160
#define refuse(err, text, ...) refuse_at((err), (text), __VA_ARGS__)

__attribute__((format(printf, 3, 4))) static int
refuse_at(struct dv_error *err, struct dv_str text, const char *format, ...)
{
    char rule[400];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(rule, sizeof(rule), format, args);
    va_end(args);
    int shown = text.len > QUOTE_MAX ? QUOTE_MAX : (int)text.len;
    return dv_error_set(err, DV_ERR_INVALID, "image reference '%.*s%s': %s", shown, text.data,
                        text.len > QUOTE_MAX ? "..." : "", rule);
}

static bool is_lower(char c)
{
    return c >= 'a' && c <= 'z';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_alnum(char c)
{
    return is_lower(c) || is_digit(c) || (c >= 'A' && c <= 'Z');
}

static bool host_name_is_valid(struct dv_str name)
{
    if (name.len == 0 || name.len > HOST_NAME_MAX_BYTES)
        return false;
    struct dv_str rest = name;
    bool more = true;
    while (more) {
        struct dv_str label, tail = {NULL, 0};
        more = dv_str_cut(rest, '.', &label, &tail);
        if (label.len == 0 || label.len > HOST_LABEL_MAX_BYTES || label.data[0] == '-' ||
            label.data[label.len - 1] == '-')
            return false;
        for (size_t i = 0; i < label.len; i++)
            if (!is_alnum(label.data[i]) && label.data[i] != '-')
                return false;
        rest = tail;
    }
    return true;
}

static bool ipv6_is_valid(struct dv_str address)
{
    char text[INET6_ADDRSTRLEN + 1];
    if (address.len == 0 || address.len >= sizeof(text))
        return false;
    memcpy(text, address.data, address.len);
    text[address.len] = '\0';
    struct in6_addr ignored;
    return inet_pton(AF_INET6, text, &ignored) == 1;
}

/* Cuts "name:port" or "[address]:port"; *ret_name keeps the brackets. */
static int split_port(struct dv_str text,
                      struct dv_str host,
                      struct dv_str *ret_name,
                      struct dv_str *ret_port,
                      bool *ret_has_port,
                      struct dv_error *err)
{
    const char *colon = NULL;
    if (host.data[0] == '[') {
        const char *close = memchr(host.data, ']', host.len);
        if (!close ||
            !ipv6_is_valid((struct dv_str){host.data + 1, (size_t)(close - host.data) - 1}))
            return refuse(err, text, "'%.*s' is not an IPv6 address in brackets", DV_STR_ARG(host));
        size_t used = (size_t)(close - host.data) + 1;
        if (used < host.len && host.data[used] != ':')
            return refuse(err, text, "behind ']' of the host only ':port' may follow");
        colon = used < host.len ? host.data + used : NULL;
    } else {
        colon = memchr(host.data, ':', host.len);
    }
    size_t name_len = colon ? (size_t)(colon - host.data) : host.len;
    *ret_name = (struct dv_str){host.data, name_len};
    *ret_port = (struct dv_str){host.data + name_len, 0};
    *ret_has_port = colon;
    if (colon)
        *ret_port = (struct dv_str){colon + 1, host.len - name_len - 1};
    return 0;
}

static int
parse_host(struct dv_str text, struct dv_str host, struct dv_reference *ret, struct dv_error *err)
{
    if (host.len == 0)
        return refuse(err, text, "the host before the first '/' is empty");
    struct dv_str name = host, port_text = {NULL, 0};
    bool has_port = false;
    int r = split_port(text, host, &name, &port_text, &has_port, err);
    if (r < 0)
        return r;
    if (host.data[0] != '[' && !host_name_is_valid(name))
        return refuse(
            err, text, "'%.*s' is not a host name (letters, digits, '-' and '.', at most %d)",
            name.len > QUOTE_MAX ? QUOTE_MAX : (int)name.len, name.data, HOST_NAME_MAX_BYTES);
    int written = snprintf(ret->host, sizeof(ret->host), "%.*s", DV_STR_ARG(name));
    for (char *c = ret->host; *c; c++)
        if (*c >= 'A' && *c <= 'Z')
            *c = (char)(*c - 'A' + 'a');
    if (!has_port)
        return 0;
    int64_t port = 0;
    if (port_text.len == 0 || !is_digit(port_text.data[0]) ||
        dv_str_to_i64(port_text, 1, 65535, &port, NULL) < 0)
        return refuse(err, text, "'%.*s' is not a port (1..65535)",
                      port_text.len > 32 ? 32 : (int)port_text.len, port_text.data);
    (void)snprintf(ret->host + written, sizeof(ret->host) - (size_t)written, ":%d", (int)port);
    return 0;
}

/* One component: runs of lower-case letters and digits joined by '.', '_', '__' or dashes. */
static bool component_is_valid(struct dv_str part)
{
    size_t i = 0;
    while (i < part.len) {
        size_t run = i;
        while (i < part.len && (is_lower(part.data[i]) || is_digit(part.data[i])))
            i++;
        if (i == run)
            return false;
        if (i == part.len)
            return true;
        char joint = part.data[i];
        size_t joint_start = i;
        while (i < part.len && part.data[i] == joint)
            i++;
        size_t joint_len = i - joint_start;
        size_t joint_max = joint == '-' ? part.len : joint == '_' ? 2 : joint == '.' ? 1 : 0;
        if (joint_len > joint_max)
            return false;
    }
    return false;
}

static int parse_repository(struct dv_str text,
                            struct dv_str path,
                            struct dv_reference *ret,
                            struct dv_error *err)
{
    if (path.len == 0)
        return refuse(err, text, "the path behind the host is empty");
    struct dv_str rest = path;
    bool more = true;
    while (more) {
        struct dv_str part, tail = {NULL, 0};
        more = dv_str_cut(rest, '/', &part, &tail);
        if (!component_is_valid(part))
            return refuse(err, text,
                          "'%.*s' is not a path component (lower-case letters and digits, joined "
                          "by '.', '_', '__' or '-')",
                          part.len > QUOTE_MAX ? QUOTE_MAX : (int)part.len, part.data);
        rest = tail;
    }
    bool is_hub = strcasecmp(ret->host, HUB) == 0 || strcmp(ret->host, "index." HUB) == 0 ||
                  strcmp(ret->host, HUB_API) == 0;
    if (is_hub)
        (void)snprintf(ret->host, sizeof(ret->host), "%s", HUB);
    const char *prefix = is_hub && !memchr(path.data, '/', path.len) ? "library/" : "";
    if (strlen(prefix) + path.len > DV_REFERENCE_REPOSITORY_MAX)
        return refuse(err, text, "its path is longer than %d bytes", DV_REFERENCE_REPOSITORY_MAX);
    (void)snprintf(ret->repository, sizeof(ret->repository), "%s%.*s", prefix, DV_STR_ARG(path));
    return 0;
}

static int
parse_tag(struct dv_str text, struct dv_str tag, struct dv_reference *ret, struct dv_error *err)
{
    bool is_valid =
        tag.len > 0 && tag.len <= DV_REFERENCE_TAG_MAX && tag.data[0] != '.' && tag.data[0] != '-';
    for (size_t i = 0; is_valid && i < tag.len; i++)
        is_valid = is_alnum(tag.data[i]) || (tag.data[i] && strchr("_.-", tag.data[i]));
    if (!is_valid)
        return refuse(err, text,
                      "'%.*s' is not a tag (1..%d letters, digits, '_', '.' and '-', not starting "
                      "with '.' or '-')",
                      tag.len > QUOTE_MAX ? QUOTE_MAX : (int)tag.len, tag.data,
                      DV_REFERENCE_TAG_MAX);
    (void)snprintf(ret->tag, sizeof(ret->tag), "%.*s", DV_STR_ARG(tag));
    return 0;
}

static int check_bytes(struct dv_str text, struct dv_error *err)
{
    if (text.len == 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "image reference: it is empty; write host[:port]/path:tag");
    for (size_t i = 0; i < text.len; i++)
        if (text.data[i] <= ' ' || text.data[i] > '~')
            return dv_error_set(err, DV_ERR_INVALID,
                                "image reference: byte 0x%02x at position %zu is not allowed",
                                (unsigned)(unsigned char)text.data[i], i);
    if (text.len > DV_REFERENCE_TEXT_MAX)
        return refuse(err, text, "it is longer than %d bytes", DV_REFERENCE_TEXT_MAX);
    return 0;
}

static int parse_parts(struct dv_str text, struct dv_reference *ret, struct dv_error *err)
{
    struct dv_str name, digest = {NULL, 0}, host, path = {NULL, 0};
    bool has_digest = dv_str_cut(text, '@', &name, &digest);
    if (has_digest && !dv_digest_is_valid(digest))
        return refuse(err, text,
                      "behind '@' stands no digest (sha256: and 64, or sha512: and 128 lower-case "
                      "hexadecimal digits)");
    if (!dv_str_cut(name, '/', &host, &path))
        return refuse(err, text,
                      "it names no registry; write host[:port]/path:tag, for example "
                      "docker.io/library/busybox:1.36");
    const char *colon = memrchr(path.data, ':', path.len);
    struct dv_str tag = {NULL, 0};
    if (colon) {
        tag = (struct dv_str){colon + 1, (size_t)(path.data + path.len - colon) - 1};
        path.len = (size_t)(colon - path.data);
    }
    int r = parse_host(text, host, ret, err);
    if (r == 0)
        r = parse_repository(text, path, ret, err);
    if (r == 0 && colon)
        r = parse_tag(text, tag, ret, err);
    if (r < 0)
        return r;
    if (!colon && !has_digest)
        return refuse(err, text,
                      "it has neither a tag nor a digest; append ':tag' or '@sha256:...'");
    if (has_digest)
        (void)snprintf(ret->digest, sizeof(ret->digest), "%.*s", DV_STR_ARG(digest));
    return 0;
}

int dv_reference_parse(struct dv_str text, struct dv_reference *ret, struct dv_error *err)
{
    int r = check_bytes(text, err);
    if (r < 0)
        return r;
    struct dv_reference ref = {0};
    r = parse_parts(text, &ref, err);
    if (r < 0)
        return r;
    (void)snprintf(ref.text, sizeof(ref.text), "%s/%s%c%s", ref.host, ref.repository,
                   ref.digest[0] ? '@' : ':', dv_reference_object(&ref));
    *ret = ref;
    return 0;
}

const char *dv_reference_object(const struct dv_reference *ref)
{
    return ref->digest[0] ? ref->digest : ref->tag;
}

const char *dv_reference_api_host(const struct dv_reference *ref)
{
    return strcmp(ref->host, HUB) == 0 ? HUB_API : ref->host;
}

bool dv_reference_host_is_bare(const struct dv_reference *ref)
{
    return !strpbrk(ref->host, ".:[") && strcmp(ref->host, "localhost") != 0;
}
