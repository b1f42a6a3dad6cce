/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/bridge/bridge_cell.h"

#include "actors/addresses.h"
#include "actors/bridge/publisher.h"
#include "actors/bridge/remembered.h"
#include "actors/bridge/repeats.h"
#include "actors/bridge/twin_check.h"
#include "actors/env.h"
#include "base/fault.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS    1000000
#define DAY_MS       (24LL * 3600 * 1000)
#define REPUBLISH_MS 1000
#define LOCAL_BRIDGE "local"

/* Features that are no containers. One whose cell does not run does not exist. */
static const char *const features[] = {DV_ADDRESS_METRICS, DV_ADDRESS_SOFTWARE};

#define FEATURE_COUNT (sizeof(features) / sizeof(features[0]))

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    char name[65];
    struct dv_address session;
    struct dv_publisher *publisher;
    struct dv_repeats *repeats;
    struct dv_twin_check twin_check;
    struct dv_remembered remembered;
    bool is_offered[FEATURE_COUNT]; /* of `features` */
    bool is_up;
    bool is_linked; /* the publisher was told that it is */
    int64_t link_number;
    bool is_announced; /* features_ready was sent for this link */
    uint64_t republish_timer;
    unsigned in_progress;
    struct dv_bridge_note note;
    char note_text[256];
    char identity[513];
};

/* A command that a feature works on. */
struct in_progress {
    struct dv_request *request;
    char *feature;
    char *operation;
    char *token;
    char *repeat_key;
    int64_t sequence;
};

/* -- twin out ------------------------------------------------------------------------------- */

static void pump(struct state *s);

static void on_republish(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->republish_timer = 0;
    dv_publisher_again(s->publisher);
    pump(s);
}

static void on_list(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct state *s = dv_cell_state(cell);
    if (outcome->error)
        dv_log(DV_LOG_WARN, "bridge %s: list of containers: %s", s->name, outcome->error->text);
    dv_publisher_list(s->publisher, (int64_t)(intptr_t)ctx, outcome->error ? NULL : outcome->body);
    pump(s);
}

static void on_feature(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    if (dv_cell_is_ending(cell))
        return;
    struct state *s = dv_cell_state(cell);
    if (outcome->error && outcome->error->class != DV_ERR_UNDELIVERABLE)
        dv_log(DV_LOG_WARN, "bridge %s: a feature is not published: %s", s->name,
               outcome->error->text);
    dv_publisher_feature(s->publisher, (int64_t)(intptr_t)ctx,
                         outcome->error ? NULL : outcome->body);
    pump(s);
}

static void ask_features(struct state *s, int64_t number)
{
    struct dv_feature_query query;
    unsigned count = 0;
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        count += s->is_offered[i];
    dv_publisher_await_features(s->publisher, number, count);
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if (s->is_offered[i])
            dv_ask(s->cell, features[i], DV_KIND_feature_query, &query,
                   s->env->settings->command_timeout_ms, on_feature, (void *)(intptr_t)number);
}

/* Moves everything that can go: asks for a list, sends changes, announces the features. */
static void pump(struct state *s)
{
    int64_t list = dv_publisher_wants_list(s->publisher);
    if (list) {
        struct dv_container_list_query query = {0};
        dv_ask(s->cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
               s->env->settings->command_timeout_ms, on_list, (void *)(intptr_t)list);
        ask_features(s, list);
    }
    const struct dv_twin_change *change;
    while ((change = dv_publisher_next(s->publisher)) != NULL) {
        struct dv_twin_change sent = *change;
        sent.link = s->link_number;
        dv_post(s->cell, s->session.text, DV_KIND_twin_change, &sent);
    }
    if (dv_publisher_is_behind(s->publisher) && !s->republish_timer)
        s->republish_timer = dv_timer_set(s->cell, REPUBLISH_MS, on_republish, NULL);
    if (s->is_up && !s->is_announced && dv_publisher_is_complete(s->publisher)) {
        struct dv_features_ready ready = {.link = s->link_number};
        s->is_announced = true;
        dv_post(s->cell, s->session.text, DV_KIND_features_ready, &ready);
    }
}

/* Whether the other side shows a feature until it is deleted, also while nobody is connected. */
static bool remembers_features(const struct state *s)
{
    return strcmp(s->name, LOCAL_BRIDGE) != 0;
}

static int
on_event(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_container_event *event = body;
    struct dv_address feature = dv_address_of(DV_CONTAINER_PREFIX, event->record->id);
    dv_repeats_touch(s->repeats, feature.text);
    dv_publisher_event(s->publisher, event);
    pump(s);
    return 0;
}

/* Only features are reachable from outside, never an actor that happens to have that address. */
static bool is_feature(const struct state *s, const char *feature)
{
    for (size_t i = 0; i < FEATURE_COUNT; i++)
        if (strcmp(feature, features[i]) == 0)
            return s->is_offered[i];
    return strcmp(feature, DV_ADDRESS_FACTORY) == 0 ||
           strncmp(feature, DV_CONTAINER_PREFIX, sizeof(DV_CONTAINER_PREFIX) - 1) == 0 ||
           (strcmp(feature, DV_ADDRESS_GATEWAY) == 0 && strcmp(s->name, LOCAL_BRIDGE) == 0);
}

/* What comes of a feature before the answer to its first query is in that answer, or behind it. */
static void on_feature_again(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell) || outcome->error)
        return; /* with the next link, or the next change */
    (void)dv_publisher_feature_event(s->publisher, outcome->body);
    pump(s);
}

static int on_feature_event(struct dv_cell *cell,
                            const void *body,
                            struct dv_request **request,
                            struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_feature_event *event = body;
    struct dv_feature_query query;
    if (!is_feature(s, event->feature))
        return 0;
    if (!dv_publisher_feature_event(s->publisher, event))
        dv_ask(cell, event->feature, DV_KIND_feature_query, &query,
               s->env->settings->command_timeout_ms, on_feature_again, NULL);
    pump(s);
    return 0;
}

static int
on_missed(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    dv_publisher_again(s->publisher);
    pump(s);
    return 0;
}

static int
on_sent(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_twin_sent *sent = body;
    dv_publisher_acknowledge(s->publisher, sent->number, sent->is_failed);
    dv_autofree char *deleted = dv_publisher_take_deleted(s->publisher);
    if (deleted && remembers_features(s)) {
        struct dv_store_gone_told told = {.id = deleted};
        dv_post(cell, DV_ADDRESS_STORE, DV_KIND_store_gone_told, &told);
    }
    dv_remembered_settle(&s->remembered);
    pump(s);
    if (*request)
        dv_answer_done(cell, request);
    return 0;
}

static int
on_link(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_link_changed *link = body;
    s->link_number = link->number;
    bool was_up = s->is_up;
    s->is_up = link->status == DV_LINK_UP;
    s->note.status = link->status;
    snprintf(s->note_text, sizeof(s->note_text), "%s", link->note ? link->note : "");
    snprintf(s->identity, sizeof(s->identity), "%s", link->identity ? link->identity : "");
    if (was_up != s->is_up || s->is_up)
        dv_log(DV_LOG_INFO, "bridge %s is %s%s%s%s%s", s->name, s->is_up ? "up" : "down",
               s->identity[0] ? " as " : "", s->identity, s->note_text[0] ? ": " : "",
               s->note_text);
    s->is_announced = false;
    dv_timer_cancel(cell, s->republish_timer);
    s->republish_timer = 0;
    s->is_linked = s->is_up && s->remembered.is_ready;
    dv_publisher_link(s->publisher, s->is_linked);
    dv_twin_check_link(&s->twin_check, s->is_up, s->link_number);
    pump(s);
    if (*request)
        dv_answer_done(cell, request);
    return 0;
}

/* A live message is about now: one that cannot go out at once is worth nothing later. */
static int on_outbox_message(struct dv_cell *cell,
                             const void *body,
                             struct dv_request **request,
                             struct dv_error *err)
{
    (void)request;
    (void)err;
    const struct state *s = dv_cell_state(cell);
    if (s->is_up && s->is_announced)
        dv_post(cell, s->session.text, DV_KIND_outbox_message, body);
    return 0;
}

/* -- commands in ---------------------------------------------------------------------------- */

static void in_progress_free(struct in_progress *p)
{
    if (!p)
        return;
    free(p->feature);
    free(p->operation);
    free(p->token);
    free(p->repeat_key);
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
    p->repeat_key = strdup(command->repeat_key ? command->repeat_key : "");
    p->sequence = command->sequence;
    if (p->feature && p->operation && p->token && p->repeat_key)
        return p;
    in_progress_free(p);
    return NULL;
}

struct repeat_answer {
    struct state *state;
    const struct dv_command_reply *reply;
};

static void answer_waiter(void *ctx, struct dv_request *request)
{
    struct repeat_answer *answer = ctx;
    struct state *s = answer->state;
    s->note.repeats++;
    if (request)
        dv_answer(s->cell, &request, DV_KIND_command_reply, answer->reply);
}

/* UNDELIVERABLE is how an unknown container shows: no such cell. The API calls it a bad parameter.
 */
static void fill_error(struct dv_command_reply *reply, struct dv_error *error)
{
    if (error->class == DV_ERR_UNDELIVERABLE) {
        *error = DV_ERROR_INIT;
        dv_error_set(error, DV_ERR_INVALID, "there is no feature '%s'", reply->feature);
        reply->is_before_dispatch = true;
    }
    reply->status = dv_error_status(error->class);
    reply->error_class = (int64_t)error->class;
    reply->error_text = error->text;
}

static void finish(struct state *s, struct in_progress *p, struct dv_command_reply *reply)
{
    reply->feature = p->feature;
    reply->operation = p->operation;
    reply->token = p->token;
    reply->sequence = p->sequence;
    DV_FAULT(COMMAND_OVER);
    /* The session makes it durable when it has gone out. */
    reply->repeat_key = p->repeat_key;
    if (p->request)
        dv_answer(s->cell, &p->request, DV_KIND_command_reply, reply);
    reply->repeat_key = NULL;
    struct repeat_answer answer = {s, reply};
    dv_repeats_answer(s->repeats, p->repeat_key, reply,
                      dv_clock_monotonic_ns(dv_cell_clock(s->cell)), answer_waiter, &answer);
    in_progress_free(p);
}

static void on_result(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    struct in_progress *p = ctx;
    s->in_progress--;
    if (outcome->error && outcome->error->class == DV_ERR_CANCELED) {
        /* davitd stops: the command stays open in the journal and runs after the restart. */
        if (p->request)
            dv_answer_error(cell, &p->request, outcome->error);
        in_progress_free(p);
        return;
    }
    struct dv_command_reply reply = {.feature = p->feature};
    struct dv_error error = DV_ERROR_INIT;
    if (outcome->error) {
        error = *outcome->error;
        fill_error(&reply, &error);
    } else {
        const struct dv_command_result *result = outcome->body;
        reply.value = result->value;
        reply.status = result->value ? 200 : 204;
    }
    finish(s, p, &reply);
}

/* How long a feature may take. Containers end their own stops by timers, pulls end when they stall:
 * for those this is only the last resort. */
static int64_t deadline_ms(const struct state *s, const struct dv_command *command)
{
    static const char *const own_deadline[] = {"create", "createWithConfig", "halt",
                                               "stop",   "stopWithOptions",  "remove"};
    for (size_t i = 0; i < sizeof(own_deadline) / sizeof(own_deadline[0]); i++)
        if (strcmp(command->operation, own_deadline[i]) == 0)
            return 2 * DAY_MS;
    return s->env->settings->command_timeout_ms;
}

static void refuse(struct state *s,
                   const struct dv_command *command,
                   struct dv_request **request,
                   struct dv_error *error)
{
    struct dv_command_reply reply = {
        .feature = command->feature,
        .operation = command->operation,
        .token = command->token,
        .sequence = command->sequence,
    };
    fill_error(&reply, error);
    if (*request)
        dv_answer(s->cell, request, DV_KIND_command_reply, &reply);
}

static void run(struct state *s, const struct dv_command *command, struct dv_request **request)
{
    struct dv_error error = DV_ERROR_INIT;
    if (!is_feature(s, command->feature)) {
        dv_error_set(&error, DV_ERR_UNDELIVERABLE, "not a feature");
        refuse(s, command, request, &error);
        return;
    }
    bool is_done = command->done_id && command->done_id[0];
    if (!is_done && s->in_progress >= s->env->settings->commands_max) {
        s->note.refused++;
        dv_error_set(&error, DV_ERR_BUSY,
                     "%u commands are in progress, the limit; send it again later", s->in_progress);
        refuse(s, command, request, &error);
        return;
    }
    const struct dv_command_reply *old = NULL;
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(s->cell));
    switch (
        dv_repeats_take(s->repeats, command->repeat_key, command->feature, now_ns, request, &old)) {
    case DV_REPEAT_WAITING:
        return;
    case DV_REPEAT_ANSWERED:
        s->note.repeats++;
        if (*request)
            dv_answer(s->cell, request, DV_KIND_command_reply, old);
        return;
    case DV_REPEAT_REFUSED:
        s->note.refused++;
        dv_error_set(&error, DV_ERR_BUSY, "it was sent %d times and runs; wait for its answer",
                     DV_REPEAT_WAITERS_MAX + 1);
        refuse(s, command, request, &error);
        return;
    case DV_REPEAT_NEW:
        break;
    }
    struct in_progress *p = in_progress_new(command);
    if (!p) {
        dv_error_set(&error, DV_ERR_NO_MEMORY, "no memory for the command");
        refuse(s, command, request, &error);
        return;
    }
    p->request = dv_steal(request);
    if (is_done) {
        /* It took effect before the restart, and only its answer did not go out. Creates are not
         * among those: they are over when they are answered. */
        struct dv_command_reply reply = {.status = 204};
        finish(s, p, &reply);
        return;
    }
    s->in_progress++;
    dv_ask(s->cell, command->feature, DV_KIND_command, command, deadline_ms(s, command), on_result,
           p);
}

static int on_command(struct dv_cell *cell,
                      const void *body,
                      struct dv_request **request,
                      struct dv_error *err)
{
    (void)err;
    struct state *s = dv_cell_state(cell);
    s->note.commands++;
    run(s, body, request);
    return 0;
}

static int
on_query(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)body;
    (void)err;
    struct state *s = dv_cell_state(cell);
    struct dv_bridge_note note = s->note;
    note.bridge = s->name;
    note.note = s->note_text;
    note.identity = s->identity;
    note.outbox = (int64_t)dv_publisher_depth(s->publisher);
    struct dv_bridge_thing each[DV_THINGS_MAX];
    dv_things_note(dv_publisher_things(s->publisher), each, &note);
    if (*request)
        dv_answer(cell, request, DV_KIND_bridge_note, &note);
    return 0;
}

/* -- what the twin is elsewhere ------------------------------------------------------------- */

static int on_twin_seen(struct dv_cell *cell,
                        const void *body,
                        struct dv_request **request,
                        struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    dv_twin_check_seen(&s->twin_check, body);
    return 0;
}

static void on_twin_repaired(struct dv_cell *cell)
{
    pump(dv_cell_state(cell));
}

static void on_remembered(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    if (s->is_up && s->remembered.is_ready && !s->is_linked) {
        s->is_linked = true;
        dv_publisher_link(s->publisher, true);
    }
    pump(s);
}

static const struct dv_handler handlers[] = {
    {DV_KIND_twin_seen, on_twin_seen},
    {DV_KIND_command, on_command},
    {DV_KIND_link_changed, on_link},
    {DV_KIND_twin_sent, on_sent},
    {DV_KIND_container_event, on_event},
    {DV_KIND_missed, on_missed},
    {DV_KIND_bridge_query, on_query},
    {DV_KIND_feature_event, on_feature_event},
    {DV_KIND_outbox_message, on_outbox_message},
};

static void choose_features(struct state *s, const struct dv_bridge_setup *setup)
{
    for (size_t i = 0; i < FEATURE_COUNT; i++) {
        s->is_offered[i] = setup->feature_count == 0;
        for (size_t k = 0; k < setup->feature_count; k++)
            s->is_offered[i] |= strcmp(setup->features[k], features[i]) == 0;
    }
}

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    const struct dv_bridge_start_args *args = start;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    snprintf(s->name, sizeof(s->name), "%s", args->name);
    s->session = dv_address_of("session/", args->name);
    const struct dv_actor_settings *settings = s->env->settings;
    const struct dv_bridge_setup *setup = s->env->bridges;
    while (setup->name && strcmp(setup->name, s->name) != 0)
        setup++;
    choose_features(s, setup);
    unsigned things = setup->things ? setup->things : 1;
    s->publisher = dv_publisher_new(
        s->name, dv_things_new(s->name, things, setup->twin_detail, setup->thing_bytes_max),
        settings->outbox_max, settings->twin_in_flight_max);
    s->note.thing_bytes_max = (int64_t)setup->thing_bytes_max;
    s->repeats = dv_repeats_new(settings->repeats_max, settings->repeat_window_ms * NS_PER_MS);
    if (!s->publisher || !s->repeats)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for bridge %s", s->name);
    s->twin_check = (struct dv_twin_check){
        .cell = cell,
        .publisher = s->publisher,
        .bridge = s->name,
        .session = s->session.text,
        .things = things,
        .delay_ms = setup->twin_check_ms,
        .timeout_ms = settings->command_timeout_ms,
        .changed = on_twin_repaired,
    };
    dv_subscribe(cell, DV_KIND_container_event);
    dv_subscribe(cell, DV_KIND_feature_event);
    s->remembered = (struct dv_remembered){
        .cell = cell,
        .bridge = s->name,
        .publisher = s->publisher,
        .repeats = s->repeats,
        .boot = settings->boot,
        .repeat_window_ms = settings->repeat_window_ms,
        .timeout_ms = settings->command_timeout_ms,
        .changed = on_remembered,
    };
    dv_remembered_ask(&s->remembered, remembers_features(s));
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    dv_publisher_free(s->publisher);
    dv_repeats_free(s->repeats);
}

const struct dv_cell_type dv_bridge_cell = {
    .name = "bridge",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .start_kind = DV_KIND_bridge_start_args,
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
