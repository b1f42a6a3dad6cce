/* SPDX-License-Identifier: Apache-2.0 */
#include "bridge/hono/url.h"

#include "base/str.h"

#include <stdio.h>

struct scheme {
    const char *name;
    const char *paho;
    int port;
    bool is_tls;
    bool has_path;
};

static const struct scheme schemes[] = {
    {"tcp", "tcp", 1883, false, false},  {"mqtt", "tcp", 1883, false, false},
    {"ssl", "ssl", 8883, true, false},   {"tls", "ssl", 8883, true, false},
    {"mqtts", "ssl", 8883, true, false}, {"mqtt+ssl", "ssl", 8883, true, false},
    {"tcps", "ssl", 8883, true, false},  {"ws", "ws", 80, false, true},
    {"wss", "wss", 443, true, true},
};

static const struct scheme *find_scheme(struct dv_str name)
{
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        if (dv_str_ieq(name, schemes[i].name))
            return &schemes[i];
    }
    return NULL;
}

/* Splits host[:port]; the host keeps the brackets of an IPv6 address. */
static bool split_port(struct dv_str authority, struct dv_str *ret_host, struct dv_str *ret_port)
{
    size_t end = 0;
    if (authority.len > 0 && authority.data[0] == '[') {
        const char *bracket = memchr(authority.data, ']', authority.len);
        if (!bracket)
            return false;
        end = (size_t)(bracket - authority.data) + 1;
    } else {
        while (end < authority.len && authority.data[end] != ':')
            end++;
    }
    *ret_host = (struct dv_str){authority.data, end};
    *ret_port = (struct dv_str){"", 0};
    if (end == authority.len)
        return end > 0;
    *ret_port = (struct dv_str){authority.data + end + 1, authority.len - end - 1};
    return end > 0 && authority.data[end] == ':' && ret_port->len > 0;
}

int dv_hono_url_parse(const char *text, struct dv_hono_url *ret, struct dv_error *err)
{
    struct dv_str rest = dv_str_of(text), authority, path = {"", 0}, host, port;
    const struct scheme *scheme = &schemes[0];
    const char *separator = text ? strstr(text, "://") : NULL;
    if (separator) {
        struct dv_str name = {text, (size_t)(separator - text)};
        scheme = find_scheme(name);
        if (!scheme)
            return dv_error_set(err, DV_ERR_INVALID,
                                "broker address '%s' has the unknown scheme '%.*s'; known are tcp, "
                                "mqtt, ssl, tls, mqtts, mqtt+ssl, tcps, ws and wss",
                                text, DV_STR_ARG(name));
        rest = dv_str_of(separator + 3);
    }
    if (dv_str_cut(rest, '/', &authority, &path) && path.len > 0 && !scheme->has_path)
        return dv_error_set(err, DV_ERR_INVALID, "broker address '%s' must not have a path", text);
    if (memchr(authority.data ? authority.data : "", '@', authority.len))
        return dv_error_set(err, DV_ERR_INVALID,
                            "the broker address must not hold credentials; use client_username "
                            "and client_password");
    if (!split_port(authority, &host, &port))
        return dv_error_set(err, DV_ERR_INVALID,
                            "broker address '%s' must have the form [scheme://]host[:port]",
                            text ? text : "");
    int64_t number = scheme->port;
    int r = port.len > 0 ? dv_str_to_i64(port, 1, 65535, &number, err) : 0;
    if (r < 0) {
        dv_error_prefix(err, "port of broker address '%s': ", text);
        return r;
    }
    struct dv_hono_url url = {.is_tls = scheme->is_tls};
    int len = snprintf(url.uri, sizeof(url.uri), "%s://%.*s:%d%s%.*s", scheme->paho,
                       DV_STR_ARG(host), (int)number, path.len > 0 ? "/" : "", DV_STR_ARG(path));
    if (len < 0 || (size_t)len >= sizeof(url.uri))
        return dv_error_set(err, DV_ERR_INVALID, "broker address is longer than %d bytes",
                            DV_HONO_URL_MAX - 1);
    *ret = url;
    return 0;
}
