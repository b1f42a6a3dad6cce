/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/cell.h"

#include "actors/kit/failure.h"
#include "actors/kit/host.h"
#include "actors/kit/memory.h"
#include "actors/kit/spawn.h"
#include "messages/messages.h"

#include <string.h>

#define NS_PER_MS 1000000

/* A delay beyond this many milliseconds (a hundred years) would overflow the clock. */
#define DELAY_MAX_MS (INT64_C(100) * 366 * 86400 * 1000)

void *dv_cell_state(struct dv_cell *cell)
{
    return cell->state;
}

const char *dv_cell_address(const struct dv_cell *cell)
{
    return cell->address;
}

const void *dv_cell_env(const struct dv_cell *cell)
{
    return cell->host->world.env;
}

const struct dv_clock *dv_cell_clock(const struct dv_cell *cell)
{
    return cell->host->world.clock;
}

uint64_t dv_cell_random(struct dv_cell *cell)
{
    return cell->host->port.random(cell->host->port.ctx);
}

bool dv_cell_is_ending(const struct dv_cell *cell)
{
    return cell->is_ending;
}

const char *dv_cell_sender(const struct dv_cell *cell)
{
    const struct dv_envelope *current = cell->host->current;
    return current && current->from ? current->from : "";
}

int64_t dv_cell_sequence(const struct dv_cell *cell)
{
    return cell->host->current ? cell->host->current->sequence : 0;
}

static int64_t due_ns(const struct dv_cell *cell, int64_t delay_ms)
{
    if (delay_ms < 0)
        delay_ms = 0;
    if (delay_ms > DELAY_MAX_MS)
        delay_ms = DELAY_MAX_MS;
    return dv_clock_monotonic_ns(cell->host->world.clock) + delay_ms * NS_PER_MS;
}

/* Posts, events. */

static void
post(struct dv_cell *cell, const char *to, uint16_t kind, const void *body, const char *verb)
{
    struct dv_envelope envelope = {.from = cell->address};
    struct dv_error err = DV_ERROR_INIT;
    if (dv_host_send(cell->host, to, &envelope, kind, body, &err) < 0)
        dv_log(DV_LOG_ERROR, "%s: %s %s: %s, message dropped", cell->address, verb,
               dv_kind_name(kind), err.text);
}

void dv_post(struct dv_cell *cell, const char *to, uint16_t kind, const void *body)
{
    post(cell, to, kind, body, "post");
}

void dv_publish(struct dv_cell *cell, uint16_t kind, const void *body)
{
    post(cell, DV_PUBLISH_ADDRESS, kind, body, "publish");
}

void dv_subscribe(struct dv_cell *cell, uint16_t kind)
{
    struct dv_subscribe body = {.kind = kind};
    post(cell, DV_BUS_ADDRESS, DV_KIND_subscribe, &body, "post");
}

void dv_unsubscribe(struct dv_cell *cell, uint16_t kind)
{
    struct dv_unsubscribe body = {.kind = kind};
    post(cell, DV_BUS_ADDRESS, DV_KIND_unsubscribe, &body, "post");
}

/* Asks. */

static void on_deadline(struct dv_cell *cell, void *ctx)
{
    struct dv_ask *ask = dv_asks_take(&cell->host->asks, ((struct dv_ask *)ctx)->correlation, cell);
    if (!ask)
        return;
    struct dv_error error = DV_ERROR_INIT;
    if (ask->error)
        error = *ask->error;
    else
        (void)dv_error_set(&error, DV_ERR_TIMED_OUT, "'%s' did not answer %s in time", ask->to,
                           dv_kind_name(ask->kind));
    struct dv_outcome outcome = {.error = &error};
    dv_host_end_ask(cell->host, ask, &outcome);
}

static struct dv_ask *
make_ask(struct dv_cell *cell, const char *to, uint16_t kind, dv_outcome_fn *fn, void *ctx)
{
    size_t len = strlen(to) + 1;
    struct dv_ask *ask = dv_need(calloc(1, sizeof(*ask) + len));
    ask->correlation = ++cell->host->last_correlation;
    ask->asked_ns = dv_clock_monotonic_ns(cell->host->world.clock);
    ask->cell = cell;
    ask->fn = fn;
    ask->ctx = ctx;
    ask->kind = kind;
    memcpy(ask->to, to, len);
    return ask;
}

/* The function gets the error soon; at once if the cell is in its stop(), which nothing follows. */
static void fail_ask(struct dv_cell *cell, struct dv_ask *ask, const struct dv_error *error)
{
    if (cell->is_stopped) {
        struct dv_outcome outcome = {.error = error};
        dv_host_end_ask(cell->host, ask, &outcome);
        return;
    }
    dv_log(DV_LOG_WARN, "%s: ask %s: %s", cell->address, dv_kind_name(ask->kind), error->text);
    ask->error = dv_need(malloc(sizeof(*error)));
    *ask->error = *error;
    ask->timer = dv_timers_set(&cell->host->timers, ask->asked_ns, cell, on_deadline, ask);
    dv_asks_add(&cell->host->asks, ask);
}

static int send_ask(struct dv_cell *cell,
                    struct dv_ask *ask,
                    const void *body,
                    int64_t deadline_ns,
                    struct dv_error *err)
{
    struct dv_envelope envelope = {
        .from = cell->address,
        .reply_to = cell->address,
        .correlation = ask->correlation,
        .deadline_ns = deadline_ns,
    };
    if (cell->is_stopped)
        return dv_error_set(err, DV_ERR_CANCELED, "'%s' has ended", cell->address);
    if (cell->host->asks.count >= DV_ASKS_MAX)
        return dv_error_set(err, DV_ERR_LIMIT, "ask '%s': %u asks of '%s' and its host are open",
                            ask->to, DV_ASKS_MAX, cell->address);
    return dv_host_send(cell->host, ask->to, &envelope, ask->kind, body, err);
}

int64_t dv_ask(struct dv_cell *cell,
               const char *to,
               uint16_t kind,
               const void *body,
               int64_t timeout_ms,
               dv_outcome_fn *fn,
               void *ctx)
{
    struct dv_ask *ask = make_ask(cell, to, kind, fn, ctx);
    int64_t correlation = ask->correlation;
    int64_t deadline_ns = due_ns(cell, timeout_ms);
    struct dv_error err = DV_ERROR_INIT;
    if (send_ask(cell, ask, body, deadline_ns, &err) < 0) {
        fail_ask(cell, ask, &err);
        return correlation;
    }
    ask->timer = dv_timers_set(&cell->host->timers, deadline_ns, cell, on_deadline, ask);
    dv_asks_add(&cell->host->asks, ask);
    return correlation;
}

/* Requests and answers. */

struct dv_request *dv_request_adopt(struct dv_cell *cell,
                                    const char *reply_to,
                                    int64_t correlation,
                                    int64_t deadline_ns)
{
    size_t len = strlen(reply_to) + 1;
    struct dv_request *request = dv_need(calloc(1, sizeof(*request) + len));
    request->correlation = correlation;
    request->deadline_ns = deadline_ns;
    memcpy(request->reply_to, reply_to, len);
    request->next = cell->requests;
    if (cell->requests)
        cell->requests->previous = request;
    cell->requests = request;
    return request;
}

void dv_request_forward(struct dv_cell *cell, struct dv_request **request)
{
    struct dv_request *gone = dv_steal(request);
    if (gone->previous)
        gone->previous->next = gone->next;
    else
        cell->requests = gone->next;
    if (gone->next)
        gone->next->previous = gone->previous;
    free(gone);
}

static int send_answer(struct dv_cell *cell,
                       const struct dv_request *request,
                       uint16_t kind,
                       const void *body,
                       struct dv_error *err)
{
    /* The deadline tells the bus until when it is worth holding the answer. */
    struct dv_envelope envelope = {
        .from = cell->address,
        .correlation = request->correlation,
        .deadline_ns = request->deadline_ns,
        .is_answer = true,
    };
    return dv_host_send(cell->host, request->reply_to, &envelope, kind, body, err);
}

static void
send_failure(struct dv_cell *cell, const struct dv_request *request, const struct dv_error *error)
{
    char text[DV_ERROR_TEXT_MAX];
    struct dv_failure failure;
    dv_failure_of_error(error, text, &failure);
    struct dv_error err = DV_ERROR_INIT;
    if (send_answer(cell, request, DV_KIND_failure, &failure, &err) < 0)
        dv_log(DV_LOG_ERROR, "%s: answer to '%s': %s", cell->address, request->reply_to, err.text);
}

void dv_answer(struct dv_cell *cell, struct dv_request **request, uint16_t kind, const void *body)
{
    struct dv_error err = DV_ERROR_INIT;
    if (send_answer(cell, *request, kind, body, &err) < 0) {
        dv_log(DV_LOG_ERROR, "%s: answer %s: %s", cell->address, dv_kind_name(kind), err.text);
        send_failure(cell, *request, &err);
    }
    dv_request_forward(cell, request);
}

void dv_answer_done(struct dv_cell *cell, struct dv_request **request)
{
    dv_answer(cell, request, DV_KIND_done, NULL);
}

void dv_answer_error(struct dv_cell *cell,
                     struct dv_request **request,
                     const struct dv_error *error)
{
    send_failure(cell, *request, error);
    dv_request_forward(cell, request);
}

const char *dv_request_reply_to(const struct dv_request *request)
{
    return request->reply_to;
}

int64_t dv_request_correlation(const struct dv_request *request)
{
    return request->correlation;
}

int64_t dv_request_deadline_ns(const struct dv_request *request)
{
    return request->deadline_ns;
}

/* Timers and watches. */

uint64_t dv_timer_set(struct dv_cell *cell, int64_t delay_ms, dv_timer_fn *fn, void *ctx)
{
    return dv_timers_set(&cell->host->timers, due_ns(cell, delay_ms), cell, fn, ctx);
}

void dv_timer_cancel(struct dv_cell *cell, uint64_t timer)
{
    dv_timers_cancel(&cell->host->timers, timer);
}

int dv_watch(
    struct dv_cell *cell, int fd, short events, dv_watch_fn *fn, void *ctx, struct dv_error *err)
{
    return dv_watches_set(&cell->host->watches, (struct dv_watch_row){cell, fn, ctx, fd, events},
                          err);
}

/* Other cells. */

void dv_spawn(struct dv_cell *cell,
              const char *address,
              const char *type,
              const void *start,
              int64_t timeout_ms,
              dv_outcome_fn *fn,
              void *ctx)
{
    DV_AUTO_IN_PLACE(dv_buf) encoded = DV_BUF_INIT(DV_MESSAGE_BYTES_MAX);
    struct dv_cell_spawn_cmd cmd = {.address = (char *)address, .type = (char *)type};
    struct dv_error err = DV_ERROR_INIT;
    if (dv_spawn_fill(cell->host->world.types, start, &encoded, &cmd, &err) == 0)
        (void)dv_ask(cell, DV_BUS_ADDRESS, DV_KIND_cell_spawn_cmd, &cmd, timeout_ms, fn, ctx);
    else
        fail_ask(cell, make_ask(cell, address, DV_KIND_cell_spawn_cmd, fn, ctx), &err);
}

void dv_stop_cell(
    struct dv_cell *cell, const char *address, int64_t timeout_ms, dv_outcome_fn *fn, void *ctx)
{
    struct dv_cell_stop_cmd cmd = {.address = (char *)address};
    (void)dv_ask(cell, DV_BUS_ADDRESS, DV_KIND_cell_stop_cmd, &cmd, timeout_ms, fn, ctx);
}

void dv_cell_end(struct dv_cell *cell)
{
    if (cell->is_ending)
        return;
    cell->is_ending = true;
    struct dv_cell_ending body = {.address = cell->address};
    post(cell, DV_BUS_ADDRESS, DV_KIND_cell_ending, &body, "post");
}
