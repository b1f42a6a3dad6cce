/* SPDX-License-Identifier: Apache-2.0 */
/* The inbox of bridge/hono between two threads of paho and the session: each gives and takes
 * everything that an inbox carries. paho itself is not instrumented, so it is not in here. */
#include "bridge/hono/inbox.h"
#include "bridge/hono/receive.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define THREADS  2
#define MESSAGES 2000
#define THING    "org.example:gw1:edge:containers"

static const char payload[] =
    "{\"topic\":\"org.example/gw1:edge:containers/things/live/messages/x\""
    ",\"headers\":{\"correlation-id\":\"c\",\"response-required\":true},"
    "\"path\":\"/features/F/inbox/messages/x\"}";

static _Atomic int64_t last_sequence;

static int
keep(struct dv_bridge_sink *sink, const void *raw, size_t len, int64_t *ret, struct dv_error *err)
{
    (void)sink;
    (void)raw;
    (void)len;
    int64_t sequence = ++last_sequence;
    if (sequence % 50 == 0)
        return dv_error_set(err, DV_ERR_IO, "no space");
    *ret = sequence;
    return 0;
}

static void *give(void *context)
{
    struct dv_hono_inbox *inbox = context;
    struct dv_bridge_sink sink = {.accept = keep};
    struct dv_hono_signal signal = {.type = DV_HONO_ACKNOWLEDGED};
    for (int i = 0; i < MESSAGES; i++) {
        dv_hono_receive(inbox, &sink, DV_STR("command//" THING "/req/1/x"), dv_str_of(payload));
        dv_hono_receive(inbox, &sink, DV_STR(DV_HONO_ANSWER), DV_STR("{}"));
        signal.token = i;
        dv_hono_inbox_signal(inbox, &signal);
    }
    return NULL;
}

static size_t take(struct dv_hono_inbox *inbox)
{
    struct dv_hono_item *item;
    struct dv_hono_signal signal;
    size_t taken = 0, len;
    while ((item = dv_hono_inbox_take_command(inbox)) ||
           (item = dv_hono_inbox_take_refusal(inbox))) {
        free(item);
        taken++;
    }
    while (dv_hono_inbox_take_signal(inbox, &signal))
        continue;
    free(dv_hono_inbox_take_handshake(inbox, &len));
    return taken + dv_hono_inbox_take_dropped(inbox);
}

int main(void)
{
    struct dv_hono_inbox_limits limits = {.commands = 100, .bytes = 1U << 20, .signals = 100};
    struct dv_hono_inbox *inbox;
    pthread_t threads[THREADS];
    size_t taken = 0;
    if (dv_hono_inbox_new(&limits, &inbox, NULL) < 0)
        return 1;
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, give, inbox) != 0)
            return 1;
    }
    while (taken < (size_t)THREADS * MESSAGES) {
        struct pollfd wait = {.fd = dv_hono_inbox_fd(inbox), .events = POLLIN};
        if (poll(&wait, 1, 20000) != 1) {
            fprintf(stderr, "only %zu of %d messages arrived\n", taken, THREADS * MESSAGES);
            return 1;
        }
        dv_hono_inbox_silence(inbox);
        dv_hono_inbox_set_thing(inbox, THING, 1);
        taken += take(inbox);
    }
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    taken += take(inbox);
    dv_hono_inbox_free(inbox);
    return taken == (size_t)THREADS * MESSAGES ? 0 : 1;
}
