/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * What is known of the servers that blobs come from, so that a dead or busy one is not stormed:
 * the first request to a server goes alone, the others wait for how it fares. One that cannot be
 * reached rests for a moment, and requests fail at once with the same words; one that says "too
 * many requests" is left alone for as long as it wants. Pure bookkeeping of the downloader's
 * thread: it owns no transfer and keeps no time.
 */
#include "base/error.h"

#include <stdbool.h>
#include <stdint.h>

#define HOST_ORIGIN_SIZE 320
#define HOSTS_MAX        1024 /* one more replaces the one that was used longest ago */
#define HOST_REST_MS     1000 /* doubled with each failure */
#define HOST_REST_MAX_MS 5000
#define HOST_PAUSE_MAX_S 120 /* a longer Retry-After is an error for the asker */

enum host_state {
    HOST_UNKNOWN,
    HOST_PROBED,  /* the first request is under way */
    HOST_GOOD,    /* answers */
    HOST_RESTING, /* could not be reached, until `until_ns` */
    HOST_PAUSED,  /* wants to be left alone, until `until_ns` */
};

struct host {
    struct host *next;
    char origin[HOST_ORIGIN_SIZE]; /* scheme://host[:port] */
    enum host_state state;
    int64_t until_ns;
    int64_t rest_ms;
    unsigned pauses; /* one after another */
    int64_t used_ns;
    struct dv_error why; /* RESTING */
};

struct hosts {
    struct host *first;
    unsigned count;
};

void hosts_done(struct hosts *hosts);

/* The server of a URL, new ones UNKNOWN. NULL when memory is short: then nothing is known. A host
 * stays valid until hosts_of is called for another. */
struct host *hosts_of(struct hosts *hosts, const char *url, int64_t now_ns);

enum host_verdict { HOST_GO, HOST_WAIT, HOST_FAIL };

/* Whether a request may go out now. GO for the first one makes it the probe. FAIL sets *err. */
enum host_verdict host_ask(struct host *host, int64_t now_ns, struct dv_error *err);

/* How the requests that went out fared. */
void host_answered(struct host *host);
void host_unreachable(struct host *host, const struct dv_error *why, int64_t now_ns);
/* `wait_ms` is what the server wants; 0: it did not say, then it grows with each time, spread by
 * `random`. Returns for how long it is left alone. */
int64_t host_busy(struct host *host, int64_t wait_ms, uint64_t random, int64_t now_ns);
/* The probe was canceled. */
void host_forget_probe(struct host *host);

/* Retry-After in milliseconds: seconds, or a date against the server's own (`date`, its header of
 * that name, NULL: none), else against `wall_s`; 0 for what is neither. */
int64_t host_retry_after_ms(const char *text, const char *date, int64_t wall_s);
