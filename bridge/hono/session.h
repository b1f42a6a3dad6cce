/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The state of a bridge on its session thread; private to bridge/hono. session.c moves it from one
 * connection to the next, outgoing.c keeps what is on its way to the broker, hono.c is the port.
 */
#include "base/clock.h"
#include "bridge/bridge.h"
#include "bridge/hono/hono.h"
#include "bridge/hono/identity.h"
#include "bridge/hono/inbox.h"
#include "bridge/hono/link.h"
#include "bridge/hono/url.h"

#include <stdbool.h>
#include <stdint.h>

/* Unacknowledged messages, in number and bytes: more than the daemon ever has open, since it stops
 * at 20 twin changes and at its limit of commands. */
#define DV_HONO_OUTGOING_MAX       8192
#define DV_HONO_OUTGOING_BYTES_MAX (64U << 20)

enum dv_hono_phase {
    DV_HONO_WAITING,     /* until `deadline_ns`, then a new link */
    DV_HONO_CONNECTING,  /* for CONNECTED */
    DV_HONO_SUBSCRIBING, /* for the subscription of the handshake's answer */
    DV_HONO_ASKING,      /* for the answer; at `deadline_ns` it is asked for again */
    DV_HONO_UP,          /* identity confirmed */
};

enum dv_hono_outgoing_kind {
    DV_HONO_OUT_OTHER,  /* handshake, live message (`number`: its batch): nobody waits for it */
    DV_HONO_OUT_TWIN,   /* SENT with `number` is owed */
    DV_HONO_OUT_ANSWER, /* `item` is kept and sent again on the next link */
};

struct dv_hono_outgoing {
    struct dv_hono_outgoing *next;
    enum dv_hono_outgoing_kind kind;
    int token;
    int64_t number;
    size_t bytes;
    int64_t sent_ns;
    struct dv_hono_item *item;
};

/* An event that waits for next(). */
struct dv_hono_news {
    struct dv_hono_news *next;
    enum dv_bridge_event_type type;
    int64_t number; /* SENT: of the change; FINISHED: of the journal */
    bool is_failed;
    enum dv_link_status status;
    char identity[DV_HONO_THING_MAX + 1];
    char note[512];
};

struct dv_hono {
    struct dv_bridge bridge;
    const struct dv_clock *clock;
    struct dv_bridge_sink *sink;
    const struct dv_hono_config *config;
    struct dv_hono_url url;
    char client_id[64];
    struct dv_hono_inbox *inbox;

    struct dv_hono_link *link;
    enum dv_hono_phase phase;
    int64_t deadline_ns; /* of the phase; INT64_MAX: none */
    int64_t pause_ns;    /* before the next but one connection, without its jitter */
    bool is_mqtt31;
    int handshake_token; /* of its subscription */

    bool is_identity_fixed;
    struct dv_hono_identity identity; /* confirmed while UP, else the last one; may be empty */
    bool is_filter_wanted;            /* features_ready() was called for this identity */
    unsigned filters_open;            /* subscriptions of commands that are waited for */
    int64_t filter_deadline_ns;       /* INT64_MAX: none */

    /* Correlation id of the question about the twin that waits for its answer; empty: none. */
    char twin_question[48];
    unsigned twin_thing; /* that it is about */

    struct dv_hono_outgoing *out_first, **out_end;
    size_t out_count, out_bytes;
    /* Answers for the next link, oldest first: at most what was in the inbox and on its way. */
    struct dv_hono_item *answers_first, **answers_end;

    struct dv_hono_news *news_first, **news_end;
};

/* ---- session.c ---- */

/* Handles everything that has happened and is due; what it has to tell is in the news. */
void dv_hono_session_work(struct dv_hono *hono);
int64_t dv_hono_session_deadline_ns(const struct dv_hono *hono);
/* Subscribes the commands of all things of the confirmed identity; a failure ends the link. */
void dv_hono_session_subscribe_commands(struct dv_hono *hono);
/* Leaves the link, if there is one, and pauses. `why` is shown to people. */
void dv_hono_session_drop_link(struct dv_hono *hono, const char *why);

/* ---- outgoing.c ---- */

void dv_hono_out_init(struct dv_hono *hono);
void dv_hono_out_done(struct dv_hono *hono);
/* Publishes and remembers; takes the item of an ANSWER, on success only. */
__attribute__((warn_unused_result)) int dv_hono_out_send(struct dv_hono *hono,
                                                         enum dv_hono_outgoing_kind kind,
                                                         int64_t number,
                                                         const char *topic,
                                                         struct dv_str payload,
                                                         struct dv_hono_item **item,
                                                         struct dv_error *err);
/* Sends an answer now or on the next link; always takes the item. */
void dv_hono_out_answer(struct dv_hono *hono, struct dv_hono_item *item);
/* Sends the answers that wait, as many as there is room for. */
void dv_hono_out_send_answers(struct dv_hono *hono);
void dv_hono_out_acknowledged(struct dv_hono *hono, int token, bool is_failed);
/* The link is gone: changes are reported as not sent, answers wait for the next link. */
void dv_hono_out_link_gone(struct dv_hono *hono);
/* When the oldest message must be acknowledged; INT64_MAX: none is on its way. */
int64_t dv_hono_out_deadline_ns(const struct dv_hono *hono);

/* ---- news, in outgoing.c ---- */

/* NULL when memory is short: then it is logged, and told by the next LINK event at the latest. */
struct dv_hono_news *dv_hono_news_add(struct dv_hono *hono, enum dv_bridge_event_type type);
struct dv_hono_news *dv_hono_news_take(struct dv_hono *hono);
