/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/etc.h"

#include <string.h>
#include <strings.h>

static const char localhost_block[] = "127.0.0.1\tlocalhost\n"
                                      "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                      "fe00::0\tip6-localnet\n"
                                      "ff00::0\tip6-mcastprefix\n"
                                      "ff02::1\tip6-allnodes\n"
                                      "ff02::2\tip6-allrouters\n";

static int
append_extra_hosts(const struct dv_texts *extra_hosts, struct dv_buf *out, struct dv_error *err)
{
    for (size_t i = 0; i < extra_hosts->count; i++) {
        const char *item = extra_hosts->items[i];
        const char *colon = strchr(item, ':');
        if (!colon || colon == item || !colon[1])
            return dv_error_set(err, DV_ERR_INVALID,
                                "extra host '%s' is not of the form name:address", item);
        /* What these lead to is known to the network, which writes the file again. */
        if (strncmp(colon + 1, "host_ip", 7) == 0 || strncmp(colon + 1, "container_", 10) == 0)
            continue;
        int r = dv_buf_printf(out, err, "%s\t%.*s\n", colon + 1, (int)(colon - item), item);
        if (r < 0)
            return r;
    }
    return 0;
}

int dv_oci_etc_hosts(const char *host_name,
                     const char *domain_name,
                     const char *address,
                     const struct dv_texts *extra_hosts,
                     struct dv_buf *out,
                     struct dv_error *err)
{
    int r = dv_buf_append_str(out, localhost_block, err);
    if (r == 0)
        r = append_extra_hosts(extra_hosts, out, err);
    if (r < 0)
        return r;
    const char *at = address ? address : "127.0.1.1";
    if (domain_name && domain_name[0])
        return dv_buf_printf(out, err, "%s\t%s.%s %s\n", at, host_name, domain_name, host_name);
    return dv_buf_printf(out, err, "%s\t%s\n", at, host_name);
}

int dv_oci_etc_hosts_of_host(struct dv_str host_file,
                             const struct dv_texts *extra_hosts,
                             struct dv_buf *out,
                             struct dv_error *err)
{
    if (extra_hosts->count == 0)
        return dv_buf_append(out, host_file.data, host_file.len, err);
    int r = dv_buf_append_str(out, localhost_block, err);
    return r < 0 ? r : append_extra_hosts(extra_hosts, out, err);
}

int dv_oci_etc_hostname(const char *host_name, struct dv_buf *out, struct dv_error *err)
{
    return dv_buf_printf(out, err, "%s\n", host_name);
}

enum line_kind {
    LINE_OTHER,
    LINE_SERVER,
    LINE_USELESS_SERVER,
};

/* ::1 and fe80::/10, whatever the scope. */
static bool is_near_ip6(struct dv_str address)
{
    return dv_str_eq(address, "::1") ||
           (address.len > 4 && strncasecmp(address.data, "fe", 2) == 0 && address.data[4] == ':' &&
            strchr("89abAB", address.data[2]));
}

static enum line_kind kind_of(struct dv_str line, bool has_ip6)
{
    static const char word[] = "nameserver";
    size_t len = sizeof(word) - 1;
    if (!dv_str_starts_with(line, word) || line.len <= len ||
        (line.data[len] != ' ' && line.data[len] != '\t'))
        return LINE_OTHER;
    struct dv_str address = {line.data + len, line.len - len};
    while (address.len > 0 && (*address.data == ' ' || *address.data == '\t')) {
        address.data++;
        address.len--;
    }
    bool is_ip6 = memchr(address.data, ':', address.len) != NULL;
    bool is_useless =
        is_ip6 ? !has_ip6 || is_near_ip6(address) : dv_str_starts_with(address, "127.");
    return is_useless ? LINE_USELESS_SERVER : LINE_SERVER;
}

bool dv_oci_etc_is_stub(struct dv_str host_file)
{
    bool has_stub = false;
    struct dv_str line;
    struct dv_str rest = host_file;
    while (rest.len > 0) {
        struct dv_str tail = {NULL, 0};
        dv_str_cut(rest, '\n', &line, &tail);
        rest = tail;
        if (kind_of(line, false) == LINE_SERVER)
            return false;
        has_stub |= dv_str_eq(line, "nameserver 127.0.0.53");
    }
    return has_stub;
}

int dv_oci_etc_resolv(struct dv_str host_file,
                      bool has_ip6,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    bool has_server = false;
    int r = 0;
    bool has_more = host_file.len > 0;
    while (has_more && r == 0) {
        struct dv_str line;
        struct dv_str rest;
        has_more = dv_str_cut(host_file, '\n', &line, &rest);
        host_file = rest;
        has_more = has_more && rest.len > 0;
        enum line_kind kind = kind_of(line, has_ip6);
        has_server |= kind == LINE_SERVER;
        if (kind != LINE_USELESS_SERVER)
            r = dv_buf_printf(out, err, "%.*s\n", DV_STR_ARG(line));
    }
    if (r == 0 && !has_server)
        r = dv_buf_append_str(out, "nameserver 8.8.8.8\nnameserver 8.8.4.4\n", err);
    return r;
}
