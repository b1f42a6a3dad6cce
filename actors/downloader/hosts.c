/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/downloader/hosts.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS     1000000
#define PAUSE_MS      500
#define PAUSES_SHIFT  5 /* at most 16 s without being told */
#define RETRY_MOST_MS (7LL * 24 * 3600 * 1000)

void hosts_done(struct hosts *hosts)
{
    while (hosts->first) {
        struct host *host = hosts->first;
        hosts->first = host->next;
        free(host);
    }
    hosts->count = 0;
}

static void origin_of(const char *url, char origin[HOST_ORIGIN_SIZE])
{
    const char *host = strstr(url, "://");
    size_t scheme = host ? (size_t)(host - url) + 3 : 0;
    size_t len = scheme + strcspn(url + scheme, "/?#");
    snprintf(origin, HOST_ORIGIN_SIZE, "%.*s", (int)len, url);
}

/* The one that was used longest ago and about which nothing must be remembered. */
static struct host *replaceable(struct hosts *hosts)
{
    struct host *oldest = NULL;
    for (struct host *host = hosts->first; host; host = host->next)
        if (host->state != HOST_PROBED && host->state != HOST_PAUSED &&
            (!oldest || host->used_ns < oldest->used_ns))
            oldest = host;
    return oldest;
}

struct host *hosts_of(struct hosts *hosts, const char *url, int64_t now_ns)
{
    char origin[HOST_ORIGIN_SIZE];
    origin_of(url, origin);
    for (struct host *host = hosts->first; host; host = host->next)
        if (strcasecmp(host->origin, origin) == 0) {
            host->used_ns = now_ns;
            return host;
        }
    struct host *host = hosts->count < HOSTS_MAX ? calloc(1, sizeof(*host)) : NULL;
    if (host) {
        host->next = hosts->first;
        hosts->first = host;
        hosts->count++;
    } else {
        host = replaceable(hosts);
        if (!host)
            return NULL;
        struct host *next = host->next;
        *host = (struct host){.next = next};
    }
    snprintf(host->origin, sizeof(host->origin), "%s", origin);
    host->used_ns = now_ns;
    return host;
}

enum host_verdict host_ask(struct host *host, int64_t now_ns, struct dv_error *err)
{
    bool is_over = now_ns >= host->until_ns;
    switch (host->state) {
    case HOST_GOOD:
        return HOST_GO;
    case HOST_PROBED:
        return HOST_WAIT;
    case HOST_RESTING:
        if (is_over)
            break;
        dv_error_set(err, host->why.class, "%s (it is asked again in %lld ms)", host->why.text,
                     (long long)((host->until_ns - now_ns) / NS_PER_MS));
        return HOST_FAIL;
    case HOST_PAUSED:
        if (is_over)
            break;
        return HOST_WAIT;
    case HOST_UNKNOWN:
        break;
    }
    host->state = HOST_PROBED;
    return HOST_GO;
}

void host_answered(struct host *host)
{
    host->state = HOST_GOOD;
    host->rest_ms = 0;
    host->pauses = 0;
}

void host_unreachable(struct host *host, const struct dv_error *why, int64_t now_ns)
{
    host->rest_ms = host->rest_ms ? host->rest_ms * 2 : HOST_REST_MS;
    if (host->rest_ms > HOST_REST_MAX_MS)
        host->rest_ms = HOST_REST_MAX_MS;
    host->state = HOST_RESTING;
    host->until_ns = now_ns + host->rest_ms * NS_PER_MS;
    host->why = *why;
}

int64_t host_busy(struct host *host, int64_t wait_ms, uint64_t random, int64_t now_ns)
{
    unsigned shift = host->pauses < PAUSES_SHIFT ? host->pauses : PAUSES_SHIFT;
    if (!wait_ms)
        wait_ms = (int64_t)PAUSE_MS << shift;
    /* Many gateways were told the same. */
    wait_ms += (int64_t)(random % (uint64_t)(wait_ms / 4 + 1));
    int64_t until_ns = now_ns + wait_ms * NS_PER_MS;
    if (host->state != HOST_PAUSED || until_ns > host->until_ns)
        host->until_ns = until_ns;
    if (host->state != HOST_PAUSED)
        host->pauses++;
    host->state = HOST_PAUSED;
    return (host->until_ns - now_ns) / NS_PER_MS;
}

void host_forget_probe(struct host *host)
{
    if (host->state == HOST_PROBED)
        host->state = HOST_UNKNOWN;
}

int64_t host_retry_after_ms(const char *text, const char *date, int64_t wall_s)
{
    if (!text)
        return 0;
    size_t digits = strspn(text, "0123456789");
    int64_t seconds = 0;
    if (digits > 0 && digits < 10 && text[digits] == '\0') {
        seconds = strtol(text, NULL, 10);
    } else {
        time_t until = curl_getdate(text, NULL);
        time_t from = date ? curl_getdate(date, NULL) : -1;
        int64_t from_s = from > 0 ? (int64_t)from : wall_s;
        seconds = until > 0 && until > from_s ? (int64_t)until - from_s : 0;
    }
    int64_t ms = seconds * 1000;
    return ms > RETRY_MOST_MS ? RETRY_MOST_MS : ms;
}
