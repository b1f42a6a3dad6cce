/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /etc/hosts of containers. The container driver makes the file before the address is known, and
 * binds it into the container; here it gets its content. It is written in place, since what is
 * bound is the file and not its name.
 */
#include "runtime/network/hosts.h"

#include "base/log.h"
#include "runtime/network/state.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOSTS_BYTES_MAX (256U << 10)

static const char localhost_block[] = "127.0.0.1\tlocalhost\n"
                                      "::1\tlocalhost ip6-localhost ip6-loopback\n"
                                      "fe00::0\tip6-localnet\n"
                                      "ff00::0\tip6-mcastprefix\n"
                                      "ff02::1\tip6-allnodes\n"
                                      "ff02::2\tip6-allrouters\n";

#define HOST_IP   "host_ip"
#define CONTAINER "container_"

/* -- the text ------------------------------------------------------------------------------- */

static int append_extra(const struct dv_hosts *hosts,
                        const char *item,
                        struct dv_buf *out,
                        struct dv_error *err)
{
    char found[DV_IP4_TEXT_MAX];
    const char *colon = strchr(item, ':');
    if (!colon)
        return 0; /* checked at create */
    const char *value = colon + 1;
    bool is_host = strncmp(value, HOST_IP, strlen(HOST_IP)) == 0;
    if (is_host || strncmp(value, CONTAINER, strlen(CONTAINER)) == 0) {
        if (!hosts->resolve(hosts->ctx, value, found))
            return 0;
        value = found;
    }
    return dv_buf_printf(out, err, "%s\t%.*s\n", value, (int)(colon - item), item);
}

static int append_own(const struct dv_hosts *hosts,
                      const char *address,
                      struct dv_buf *out,
                      struct dv_error *err)
{
    if (hosts->domain_name && hosts->domain_name[0])
        return dv_buf_printf(out, err, "%s\t%s.%s %s\n", address, hosts->host_name,
                             hosts->domain_name, hosts->host_name);
    return dv_buf_printf(out, err, "%s\t%s\n", address, hosts->host_name);
}

int dv_hosts_text(const struct dv_hosts *hosts, struct dv_buf *out, struct dv_error *err)
{
    int r = dv_buf_append_str(out, localhost_block, err);
    for (size_t i = 0; r == 0 && i < hosts->extra_hosts->count; i++)
        r = append_extra(hosts, hosts->extra_hosts->items[i], out, err);
    if (r < 0 || !hosts->host_name || !hosts->host_name[0])
        return r;
    r = append_own(hosts, hosts->address, out, err);
    return r < 0 || !hosts->address6 ? r : append_own(hosts, hosts->address6, out, err);
}

/* -- reserved values ------------------------------------------------------------------------ */

/* The first address of an interface that is not loopback's. */
static bool address_of_interface(const char *name, char ret[DV_IP4_TEXT_MAX])
{
    char real[IF_NAMESIZE];
    struct ifaddrs *all = NULL;
    bool is_found = false;
    unsigned index = if_nametoindex(name); /* knows second names too */
    if (!index || !if_indextoname(index, real) || getifaddrs(&all) < 0)
        return false;
    for (const struct ifaddrs *at = all; at && !is_found; at = at->ifa_next) {
        if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || strcmp(at->ifa_name, real) != 0)
            continue;
        const struct sockaddr_in *in = (const void *)at->ifa_addr;
        uint32_t address = ntohl(in->sin_addr.s_addr);
        is_found = address >> 24 != 127;
        if (is_found)
            dv_ip4_text(address, ret);
    }
    freeifaddrs(all);
    return is_found;
}

/* The one container of that host name; none if there are several. */
static const struct endpoint *named(const struct network *n, const char *host_name)
{
    const struct endpoint *found = NULL;
    const struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        const char *own = endpoint->data->wish->host_name;
        if (!own || strcmp(own, host_name) != 0)
            continue;
        if (found)
            return NULL;
        found = endpoint;
    }
    return found;
}

struct resolver {
    const struct network *n;
    const struct endpoint *endpoint;
};

static bool find_address(const struct resolver *resolver, const char *value, char *ret)
{
    const struct network *n = resolver->n;
    if (strcmp(value, HOST_IP) == 0) {
        dv_ip4_text(dv_plan_bridge(&n->plan, resolver->endpoint->slot.segment).address, ret);
        return true;
    }
    if (strncmp(value, HOST_IP "_", strlen(HOST_IP "_")) == 0)
        return address_of_interface(value + strlen(HOST_IP "_"), ret);
    if (strncmp(value, CONTAINER, strlen(CONTAINER)) != 0)
        return false;
    const struct endpoint *other = named(n, value + strlen(CONTAINER));
    if (other)
        snprintf(ret, DV_IP4_TEXT_MAX, "%s", other->data->settings->address);
    return other != NULL;
}

static bool resolve(void *ctx, const char *value, char ret[DV_IP4_TEXT_MAX])
{
    const struct resolver *resolver = ctx;
    bool is_found = find_address(resolver, value, ret);
    if (!is_found)
        dv_log(DV_LOG_INFO, "container '%s': extra host '%s' leads nowhere now, it is left out",
               resolver->endpoint->data->wish->name, value);
    return is_found;
}

/* -- files ---------------------------------------------------------------------------------- */

static int replace_content(const char *path, const struct dv_buf *text, struct dv_error *err)
{
    dv_autoclose int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return dv_error_sys(err, DV_ERR_IO, errno, "open '%s'", path);
    ssize_t wrote = pwrite(fd, text->data, text->len, 0);
    if (wrote < 0 || (size_t)wrote != text->len || ftruncate(fd, (off_t)text->len) < 0)
        return dv_error_sys(err, DV_ERR_IO, wrote < 0 ? errno : ENOSPC, "write '%s'", path);
    return 0;
}

int hosts_write(const struct network *n, const struct endpoint *endpoint, struct dv_error *err)
{
    const struct dv_network_attach_cmd *wish = endpoint->data->wish;
    struct resolver resolver = {n, endpoint};
    struct dv_hosts hosts = {
        .host_name = wish->host_name,
        .domain_name = wish->domain_name,
        .address = endpoint->data->settings->address,
        .address6 = endpoint->data->settings->address6,
        .extra_hosts = &wish->extra_hosts,
        .resolve = resolve,
        .ctx = &resolver,
    };
    char path[PATH_MAX];
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(HOSTS_BYTES_MAX);
    if (!n->options->etc_dir[0])
        return 0;
    snprintf(path, sizeof(path), "%s/%s/hosts", n->options->etc_dir, wish->id);
    int r = dv_hosts_text(&hosts, &text, err);
    return r < 0 ? r : replace_content(path, &text, err);
}

static bool names_others(const struct endpoint *endpoint)
{
    const struct dv_texts *items = &endpoint->data->wish->extra_hosts;
    for (size_t i = 0; i < items->count; i++) {
        const char *colon = strchr(items->items[i], ':');
        if (colon && strncmp(colon + 1, CONTAINER, strlen(CONTAINER)) == 0)
            return true;
    }
    return false;
}

void hosts_update_others(const struct network *n, const struct endpoint *changed)
{
    const struct endpoint *endpoint;
    LIST_FOREACH(endpoint, &n->endpoints, link)
    {
        struct dv_error why = DV_ERROR_INIT;
        if (endpoint != changed && endpoint->has_slot && names_others(endpoint) &&
            hosts_write(n, endpoint, &why) < 0)
            dv_log(DV_LOG_WARN, "container '%s': /etc/hosts stays as it was: %s",
                   endpoint->data->wish->name, why.text);
    }
}
