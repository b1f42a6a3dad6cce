/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/session/session.h"

#include "actors/addresses.h"
#include "actors/env.h"
#include "base/fault.h"
#include "base/journal.h"
#include "base/log.h"
#include "bridge/bridge.h"
#include "messages/codec.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define NS_PER_MS 1000000
/* Events taken from the bridge before other mail gets its turn. */
#define EVENTS_AT_ONCE 64
#define TELL_AGAIN_MS  50
#define RETRY_MS       1000
#define DAY_MS         (24LL * 3600 * 1000)

/* A command of before the restart that took effect and lacks its answer. */
struct done {
    struct done *next;
    int64_t sequence;
    char id[];
};

/* An acknowledgement that the core has not heard of yet. */
struct sent {
    struct sent *next;
    struct dv_twin_sent body;
};

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    const struct dv_bridge_setup *setup;
    struct dv_bridge *bridge;
    struct dv_bridge_sink sink; /* paho's threads call it; it uses only what never changes */
    struct dv_address core;     /* bridge/<name> */
    struct done *done;
    int64_t replayed; /* number of the last command of before the restart that was handed back */
    uint64_t timer;
    bool has_more; /* the bridge has events that the last round did not take */
    struct sent *sent;
    uintptr_t link_number; /* of the newest change of the link */
    enum dv_link_status link_status;
    char link_note[1025];
    char link_identity[513];
};

/* What an answer to the other side needs when the core cannot give one. */
struct in_progress {
    char *feature;
    char *operation;
    char *token;
    int64_t sequence;
    bool wants_reply;
};

static void drain(struct state *s);

/* Runs in threads of the bridge. The journal is thread-safe and returns after the group commit. */
static int accept_raw(struct dv_bridge_sink *sink,
                      const void *raw,
                      size_t len,
                      int64_t *ret_sequence,
                      struct dv_error *err)
{
    struct state *s = (struct state *)((char *)sink - offsetof(struct state, sink));
    struct dv_store_command body = {
        .bridge = (char *)s->setup->name,
        .raw = {(uint8_t *)raw, len},
    };
    DV_AUTO_IN_PLACE(dv_buf) buf = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    int r = dv_encode(&dv_schema_store_command, &body, &buf, err);
    if (r < 0)
        return r;
    uint64_t sequence;
    r = dv_journal_append(s->env->journal, DV_KIND_store_command, buf.data, buf.len, &sequence,
                          err);
    DV_FAULT(COMMAND_DURABLE);
    if (r == 0)
        *ret_sequence = (int64_t)sequence;
    return r;
}

/* -- commands in ---------------------------------------------------------------------------- */

static void in_progress_free(struct in_progress *p)
{
    if (!p)
        return;
    free(p->feature);
    free(p->operation);
    free(p->token);
    free(p);
}

static struct in_progress *in_progress_new(const struct dv_command *command)
{
    struct in_progress *p = calloc(1, sizeof(*p));
    if (!p)
        return NULL;
    p->feature = strdup(command->feature);
    p->operation = strdup(command->operation);
    p->token = strdup(command->token ? command->token : "");
    p->sequence = command->sequence;
    p->wants_reply = command->wants_reply;
    if (p->feature && p->operation && p->token)
        return p;
    in_progress_free(p);
    return NULL;
}

static void send_reply(struct state *s, const struct dv_command_reply *reply)
{
    struct dv_error err = DV_ERROR_INIT;
    if (s->bridge->ops->reply(s->bridge, reply, &err) < 0)
        dv_log(DV_LOG_WARN, "bridge %s: the answer to %s of %s is lost: %s", s->setup->name,
               reply->operation, reply->feature, err.text);
}

static void on_journaled(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    if (outcome->error && !dv_cell_is_ending(cell))
        dv_log(
            DV_LOG_ERROR,
            "%s: the end of a command is not in the journal, it may run again after a restart: %s",
            dv_cell_address(cell), outcome->error->text);
}

/* The command is over. After a crash before this is durable it is answered again: by what it did,
 * if that is durable, else by running it. */
static void journal_answer(struct state *s, const struct dv_command_reply *reply)
{
    if (!reply->sequence)
        return;
    struct dv_store_answered body = {
        .sequence = reply->sequence,
        .wall_ns = dv_clock_wall_ns(dv_cell_clock(s->cell)),
        .uptime_ns = dv_clock_monotonic_ns(dv_cell_clock(s->cell)),
        .boot = s->env->settings->boot,
        .bridge = (char *)s->setup->name,
    };
    struct dv_command_reply remembered = *reply;
    if (reply->repeat_key && reply->repeat_key[0]) {
        remembered.repeat_key = NULL;
        body.repeat_key = reply->repeat_key;
        body.reply = &remembered;
    }
    dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_answered, &body,
           s->env->settings->command_timeout_ms, on_journaled, NULL);
}

static void answer(struct state *s, const struct in_progress *p, struct dv_command_reply *reply)
{
    /* A repeat gets the answer of the first one, under its own token and number. */
    reply->token = p->token;
    reply->sequence = p->sequence;
    if (p->wants_reply)
        send_reply(s, reply);
    journal_answer(s, reply);
}

static void on_answered(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    struct in_progress *p = ctx;
    if (!outcome->error) {
        struct dv_command_reply reply = *(const struct dv_command_reply *)outcome->body;
        answer(s, p, &reply);
    } else if (outcome->error->class != DV_ERR_CANCELED) {
        struct dv_command_reply refusal = {
            .feature = p->feature,
            .operation = p->operation,
            .status = dv_error_status(outcome->error->class),
            .error_class = (int64_t)outcome->error->class,
            .error_text = (char *)outcome->error->text,
        };
        answer(s, p, &refusal);
    }
    in_progress_free(p);
}

static struct done *take_done(struct state *s, int64_t sequence)
{
    struct done **at = &s->done;
    while (*at && (*at)->sequence != sequence)
        at = &(*at)->next;
    struct done *found = *at;
    if (found)
        *at = found->next;
    return found;
}

static void add_done(struct state *s, const struct dv_open_command *command)
{
    size_t size = strlen(command->done_id) + 1;
    struct done *done = calloc(1, sizeof(*done) + size);
    if (!done) {
        dv_log(DV_LOG_ERROR, "bridge %s: no memory, a command may run twice", s->setup->name);
        return;
    }
    done->sequence = command->sequence;
    memcpy(done->id, command->done_id, size);
    done->next = s->done;
    s->done = done;
}

static void take_command(struct state *s, const struct dv_command *command)
{
    struct in_progress *p = in_progress_new(command);
    if (!p) {
        dv_log(DV_LOG_ERROR, "bridge %s: no memory for a command", s->setup->name);
        return;
    }
    dv_autofree struct done *done = take_done(s, command->sequence);
    struct dv_command asked = *command;
    asked.done_id = done ? done->id : NULL;
    dv_ask(s->cell, s->core.text, DV_KIND_command, &asked, 3 * DAY_MS, on_answered, p);
}

/* -- what the core must hear ---------------------------------------------------------------- */

/* A mailbox may be full. An acknowledgement that was lost would close the window of the outbox for
 * good, a lost link would leave the bridge deaf: both are told until they are heard. */
static void tell_sent(struct state *s, struct sent *sent);

/* A late answer means that it was heard: told again, it would count twice. */
static bool is_unheard(const struct dv_outcome *outcome)
{
    return outcome->error && outcome->error->class == DV_ERR_BUSY;
}

static void drop_sent(struct state *s, struct sent *sent)
{
    struct sent **at = &s->sent;
    while (*at != sent)
        at = &(*at)->next;
    *at = sent->next;
    free(sent);
}

static void on_sent_due(struct dv_cell *cell, void *ctx)
{
    tell_sent(dv_cell_state(cell), ctx);
}

static void on_sent_told(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    if (is_unheard(outcome))
        dv_timer_set(cell, TELL_AGAIN_MS, on_sent_due, ctx);
    else
        drop_sent(dv_cell_state(cell), ctx);
}

static void tell_sent(struct state *s, struct sent *sent)
{
    dv_ask(s->cell, s->core.text, DV_KIND_twin_sent, &sent->body,
           s->env->settings->command_timeout_ms, on_sent_told, sent);
}

static void take_sent(struct state *s, const struct dv_twin_sent *body)
{
    struct sent *sent = calloc(1, sizeof(*sent));
    if (!sent) {
        dv_post(s->cell, s->core.text, DV_KIND_twin_sent, body);
        return;
    }
    sent->body = *body;
    sent->next = s->sent;
    s->sent = sent;
    tell_sent(s, sent);
}

static void tell_link(struct state *s);

static void on_link_due(struct dv_cell *cell, void *ctx)
{
    struct state *s = dv_cell_state(cell);
    if ((uintptr_t)ctx == s->link_number)
        tell_link(s);
}

static void on_link_told(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (!dv_cell_is_ending(cell) && is_unheard(outcome))
        dv_timer_set(cell, TELL_AGAIN_MS, on_link_due, ctx);
}

static void tell_link(struct state *s)
{
    struct dv_link_changed body = {
        .status = s->link_status,
        .note = s->link_note,
        .identity = s->link_identity,
        .number = (int64_t)s->link_number,
    };
    dv_ask(s->cell, s->core.text, DV_KIND_link_changed, &body, s->env->settings->command_timeout_ms,
           on_link_told, (void *)s->link_number);
}

/* Only the newest counts. */
static void take_link(struct state *s, const struct dv_link_changed *link)
{
    s->link_number++;
    s->link_status = link->status;
    snprintf(s->link_note, sizeof(s->link_note), "%s", link->note ? link->note : "");
    snprintf(s->link_identity, sizeof(s->link_identity), "%s",
             link->identity ? link->identity : "");
    tell_link(s);
}

static void take_event(struct state *s, const struct dv_bridge_event *event)
{
    switch (event->type) {
    case DV_BRIDGE_NOTHING:
        break;
    case DV_BRIDGE_LINK:
        take_link(s, event->body);
        break;
    case DV_BRIDGE_COMMAND:
        take_command(s, event->body);
        break;
    case DV_BRIDGE_SENT:
        take_sent(s, event->body);
        break;
    case DV_BRIDGE_TWIN: {
        struct dv_twin_seen seen = *(const struct dv_twin_seen *)event->body;
        seen.link = (int64_t)s->link_number;
        dv_post(s->cell, s->core.text, DV_KIND_twin_seen, &seen);
        break;
    }
    case DV_BRIDGE_FINISHED:
        dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_answered, event->body,
               s->env->settings->command_timeout_ms, on_journaled, NULL);
        break;
    }
}

static void on_time(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->timer = 0;
    drain(s);
}

/* After each call that may leave the bridge with something to do. */
static void arm(struct state *s)
{
    dv_timer_cancel(s->cell, s->timer);
    s->timer = 0;
    int64_t deadline = s->bridge->ops->deadline_ns(s->bridge);
    if (!s->has_more && deadline == INT64_MAX)
        return;
    int64_t now = dv_clock_monotonic_ns(dv_cell_clock(s->cell));
    /* Compared first: a deadline of INT64_MIN means at once, and nothing can be taken from it. */
    int64_t wait_ms =
        s->has_more || deadline <= now ? 0 : (deadline - now + NS_PER_MS - 1) / NS_PER_MS;
    s->timer = dv_timer_set(s->cell, wait_ms, on_time, NULL);
}

static void drain(struct state *s)
{
    unsigned taken = 0;
    for (; taken < EVENTS_AT_ONCE; taken++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(8U << 20);
        if (!arena)
            break;
        struct dv_error err = DV_ERROR_INIT;
        struct dv_bridge_event event = {.type = DV_BRIDGE_NOTHING};
        if (s->bridge->ops->next(s->bridge, arena, &event, &err) < 0)
            dv_log(DV_LOG_WARN, "bridge %s: %s", s->setup->name, err.text);
        if (event.type == DV_BRIDGE_NOTHING)
            break;
        take_event(s, &event);
    }
    s->has_more = taken == EVENTS_AT_ONCE;
    arm(s);
}

static void on_readable(struct dv_cell *cell, int fd, short events, void *ctx)
{
    (void)fd;
    (void)events;
    (void)ctx;
    drain(dv_cell_state(cell));
}

/* -- replay --------------------------------------------------------------------------------- */

static void ask_open(struct state *s, int64_t after);

/* Nothing is taken from the bridge before: commands of before the restart come first. */
static void begin(struct state *s)
{
    struct dv_error err = DV_ERROR_INIT;
    if (dv_watch(s->cell, s->bridge->ops->fd(s->bridge), POLLIN, on_readable, NULL, &err) < 0)
        dv_log(DV_LOG_ERROR, "bridge %s: %s", s->setup->name, err.text);
    drain(s);
}

static void on_ask_again(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    ask_open(s, s->replayed);
}

static void on_open(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell))
        return;
    if (outcome->error) {
        bool is_late = dv_error_is_retryable(outcome->error->class);
        dv_log(DV_LOG_ERROR, "bridge %s: commands taken before the restart cannot be read%s: %s",
               s->setup->name, is_late ? ", asking again" : "", outcome->error->text);
        if (is_late)
            (void)dv_timer_set(cell, RETRY_MS, on_ask_again, NULL);
        else
            begin(s);
        return;
    }
    const struct dv_store_open *open = outcome->body;
    for (size_t i = 0; i < open->commands.count; i++) {
        const struct dv_open_command *command = &open->commands.items[i];
        struct dv_error err = DV_ERROR_INIT;
        s->replayed = command->sequence;
        if (command->done_id && command->done_id[0])
            add_done(s, command);
        if (s->bridge->ops->replay(s->bridge, command->raw.data, command->raw.len,
                                   command->sequence, &err) < 0)
            dv_log(DV_LOG_ERROR, "bridge %s: command %lld from before the restart is lost: %s",
                   s->setup->name, (long long)command->sequence, err.text);
    }
    if (open->more)
        ask_open(s, s->replayed);
    else
        begin(s);
}

static void ask_open(struct state *s, int64_t after)
{
    struct dv_store_open_query query = {.bridge = (char *)s->setup->name, .after = after};
    dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_open_query, &query,
           s->env->settings->command_timeout_ms, on_open, NULL);
}

/* -- out ------------------------------------------------------------------------------------ */

static int
on_twin(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    struct state *s = dv_cell_state(cell);
    const struct dv_twin_change *change = body;
    if (change->link != (int64_t)s->link_number)
        return 0; /* what it follows was lost with its link; the next one gets everything */
    int r = s->bridge->ops->twin(s->bridge, change, err);
    if (r < 0) {
        struct dv_twin_sent failed = {.number = change->number, .is_failed = true};
        take_sent(s, &failed);
        return dv_error_prefix(err, "bridge %s: twin of %s: ", s->setup->name, change->feature);
    }
    arm(s);
    return 0;
}

static int
on_outbox(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    struct state *s = dv_cell_state(cell);
    int r = s->bridge->ops->outbox(s->bridge, body, err);
    arm(s);
    return r;
}

static int on_features_ready(struct dv_cell *cell,
                             const void *body,
                             struct dv_request **request,
                             struct dv_error *err)
{
    (void)request;
    struct state *s = dv_cell_state(cell);
    const struct dv_features_ready *ready = body;
    if (ready->link != (int64_t)s->link_number)
        return 0; /* published on a link that is gone */
    int r = s->bridge->ops->features_ready(s->bridge, err);
    arm(s);
    return r;
}

static int on_twin_check(struct dv_cell *cell,
                         const void *body,
                         struct dv_request **request,
                         struct dv_error *err)
{
    (void)request;
    struct state *s = dv_cell_state(cell);
    const struct dv_twin_check_cmd *question = body;
    int r = 0;
    if (s->bridge->ops->check_twin)
        r = s->bridge->ops->check_twin(s->bridge, (unsigned)question->thing, err);
    arm(s);
    return r;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_twin_check_cmd, on_twin_check},
    {DV_KIND_twin_change, on_twin},
    {DV_KIND_outbox_message, on_outbox},
    {DV_KIND_features_ready, on_features_ready},
};

static const struct dv_bridge_setup *find_setup(const struct dv_actor_env *env, const char *name)
{
    for (const struct dv_bridge_setup *setup = env->bridges; setup->name; setup++)
        if (strcmp(setup->name, name) == 0)
            return setup;
    return NULL;
}

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    const struct dv_bridge_start_args *args = start;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    s->setup = find_setup(s->env, args->name);
    if (!s->setup)
        return dv_error_set(err, DV_ERR_INTERNAL, "there is no bridge '%s'", args->name);
    s->core = dv_address_of("bridge/", s->setup->name);
    s->sink.accept = accept_raw;
    struct dv_bridge_env env = {
        .clock = dv_cell_clock(cell),
        .sink = &s->sink,
        .config = s->setup->config,
    };
    int r = s->setup->ops->open(&env, &s->bridge, err);
    if (r < 0)
        return dv_error_prefix(err, "bridge %s: ", s->setup->name);
    ask_open(s, 0);
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    while (s->sent)
        drop_sent(s, s->sent);
    if (s->bridge)
        s->bridge->ops->free(s->bridge);
    while (s->done) {
        struct done *next = s->done->next;
        free(s->done);
        s->done = next;
    }
}

const struct dv_cell_type dv_session_cell = {
    .name = "session",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .start_kind = DV_KIND_bridge_start_args,
    .may_block = true,
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
