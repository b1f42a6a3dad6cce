/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/host.h"

#include "actors/kit/failure.h"
#include "actors/kit/memory.h"
#include "actors/kit/spawn.h"
#include "messages/catalog.h"
#include "messages/codec.h"
#include "messages/messages.h"

#include <string.h>

/* A cell that answers the end of its asks with new asks is stopped from doing so for ever. */
#define END_ROUNDS_MAX 100000

void dv_host_init(struct dv_host *host,
                  uint32_t id,
                  const struct dv_host_world *world,
                  const struct dv_host_port *port)
{
    *host = (struct dv_host){.world = *world, .port = *port};
    host->last_correlation = (int64_t)(id & INT32_MAX) << 32;
    dv_packer_init(&host->packer);
}

const char *dv_kind_name(uint16_t kind)
{
    const struct dv_schema *schema = dv_schema_of_kind(kind);
    return schema ? schema->name : "unknown kind";
}

int dv_host_send(struct dv_host *host,
                 const char *to,
                 struct dv_envelope *envelope,
                 uint16_t kind,
                 const void *body,
                 struct dv_error *err)
{
    const struct dv_schema *schema = dv_schema_of_kind(kind);
    if (!schema)
        return dv_error_set(err, DV_ERR_INTERNAL, "send to '%s': there is no message of kind %u",
                            to, (unsigned)kind);
    struct dv_parcel parcel;
    int r = dv_parcel_pack(&host->packer, to, envelope, schema, body, &parcel, err);
    if (r < 0)
        return r;
    host->port.send(host->port.ctx, &parcel);
    return 0;
}

/* What the host itself tells the bus; it cannot fail but by a bug. */
static void tell_bus(struct dv_host *host, uint16_t kind, const void *body)
{
    struct dv_envelope envelope = {0};
    struct dv_error err = DV_ERROR_INIT;
    if (dv_host_send(host, DV_BUS_ADDRESS, &envelope, kind, body, &err) < 0)
        dv_log(DV_LOG_ERROR, "kit: tell the bus: %s", err.text);
}

/* Refuses a message on behalf of a cell; posts and answers are not refused. */
static void refuse(struct dv_host *host,
                   const char *from,
                   const struct dv_envelope *of,
                   const struct dv_error *error)
{
    if (!of->reply_to || of->is_answer)
        return;
    char text[DV_ERROR_TEXT_MAX];
    struct dv_failure failure;
    dv_failure_of_error(error, text, &failure);
    struct dv_envelope envelope = {
        .from = (char *)from,
        .correlation = of->correlation,
        .deadline_ns = of->deadline_ns,
        .is_answer = true,
    };
    struct dv_error err = DV_ERROR_INIT;
    if (dv_host_send(host, of->reply_to, &envelope, DV_KIND_failure, &failure, &err) < 0)
        dv_log(DV_LOG_ERROR, "kit: refuse for '%s': %s", from, err.text);
}

static void log_failed(struct dv_host *host, const char *address, const struct dv_error *error)
{
    unsigned skipped = 0;
    if (dv_log_allow(&host->failed_log, 1, &skipped))
        dv_log(DV_LOG_WARN, "%s: %s, message dropped left_out=%u", address, error->text, skipped);
}

static struct dv_cell *find_cell(const struct dv_host *host, const char *address)
{
    for (struct dv_cell *cell = host->cells; cell; cell = cell->next)
        if (strcmp(cell->address, address) == 0)
            return cell;
    return NULL;
}

/* The end of a cell. */

static void drop_waits(struct dv_cell *cell)
{
    dv_timers_cancel_cell(&cell->host->timers, cell);
    dv_watches_cancel_cell(&cell->host->watches, cell);
}

static void cancel_asks(struct dv_cell *cell)
{
    struct dv_error error = DV_ERROR_INIT;
    (void)dv_error_set(&error, DV_ERR_CANCELED, "'%s' ends", cell->address);
    struct dv_outcome outcome = {.error = &error};
    struct dv_ask *ask;
    for (int i = 0; (ask = dv_asks_take_any(&cell->host->asks, cell)); i++) {
        if (i < END_ROUNDS_MAX) {
            dv_host_end_ask(cell->host, ask, &outcome);
            continue;
        }
        dv_log(DV_LOG_ERROR, "%s: asks again and again while it ends, ending the process",
               cell->address);
        abort();
    }
}

static void fail_requests(struct dv_cell *cell)
{
    struct dv_error error = DV_ERROR_INIT;
    (void)dv_error_set(&error, DV_ERR_CANCELED, "'%s' ended before it had answered", cell->address);
    while (cell->requests) {
        struct dv_request *request = cell->requests;
        dv_answer_error(cell, &request, &error);
    }
}

static void end_cell(struct dv_cell *cell)
{
    struct dv_host *host = cell->host;
    cell->is_ending = true;
    drop_waits(cell);
    cancel_asks(cell);
    cell->is_stopped = true;
    if (cell->type->stop)
        cell->type->stop(cell);
    drop_waits(cell);
    fail_requests(cell);
    struct dv_cell **at = &host->cells;
    while (*at != cell)
        at = &(*at)->next;
    *at = cell->next;
    free(cell->state);
    free(cell);
}

void dv_host_done(struct dv_host *host)
{
    while (host->cells)
        end_cell(host->cells);
    dv_timers_done(&host->timers);
    dv_asks_done(&host->asks);
    dv_watches_done(&host->watches);
    dv_packer_done(&host->packer);
}

/* A cell that failed to start is gone already; the bus still has to know that nothing more comes.
 */
static void stop_cell(struct dv_host *host, const struct dv_cell_stop_cmd *cmd)
{
    struct dv_cell *cell = find_cell(host, cmd->address);
    if (cell)
        end_cell(cell);
    struct dv_cell_ended ended = {.address = cmd->address};
    tell_bus(host, DV_KIND_cell_ended, &ended);
}

/* The start of a cell. */

static struct dv_cell *
make_cell(struct dv_host *host, const struct dv_cell_type *type, const char *address)
{
    size_t len = strlen(address) + 1;
    struct dv_cell *cell = dv_need(calloc(1, sizeof(*cell) + len));
    cell->host = host;
    cell->type = type;
    cell->state = dv_need(calloc(1, type->state_size ? type->state_size : 1));
    memcpy(cell->address, address, len);
    cell->next = host->cells;
    host->cells = cell;
    return cell;
}

static int start_cell(struct dv_host *host,
                      const struct dv_cell_spawn_cmd *cmd,
                      struct dv_arena *arena,
                      struct dv_error *err)
{
    const struct dv_cell_type *type = dv_spawn_type(host->world.types, cmd->type);
    if (!type)
        return dv_error_set(err, DV_ERR_NOT_FOUND, "there is no cell type '%s'", cmd->type);
    void *start = NULL;
    if (type->start_kind) {
        const struct dv_schema *schema = dv_schema_of_kind(type->start_kind);
        if (!schema)
            return dv_error_set(err, DV_ERR_INTERNAL, "type '%s' has no start message %u",
                                cmd->type, (unsigned)type->start_kind);
        int r = dv_decode(schema, cmd->start.data, cmd->start.len, arena, &start, err);
        if (r < 0)
            return r;
    }
    struct dv_cell *cell = make_cell(host, type, cmd->address);
    int r = type->start ? type->start(cell, start, err) : 0;
    if (r < 0) {
        if (err->class == DV_ERR_NONE)
            (void)dv_error_set(err, DV_ERR_INTERNAL, "its start function gave no reason (%d)", r);
        end_cell(cell);
    }
    return r;
}

static void
spawn_cell(struct dv_host *host, const struct dv_cell_spawn_cmd *cmd, struct dv_arena *arena)
{
    struct dv_error err = DV_ERROR_INIT;
    char text[DV_ERROR_TEXT_MAX];
    struct dv_failure failure;
    struct dv_cell_started started = {.address = cmd->address};
    if (start_cell(host, cmd, arena, &err) < 0) {
        (void)dv_error_prefix(&err, "start '%s': ", cmd->address);
        dv_failure_of_error(&err, text, &failure);
        started.failure = &failure;
    }
    tell_bus(host, DV_KIND_cell_started, &started);
}

/* Figures. */

static void answer_figures(struct dv_host *host,
                           const struct dv_host_figures_query *query,
                           struct dv_arena *arena)
{
    size_t count = 0;
    for (const struct dv_cell *cell = host->cells; cell; cell = cell->next)
        count++;
    struct dv_host_figures figures = {
        .round = query->round,
        .late = host->late,
        .malformed = host->malformed,
        .cells = {dv_need(dv_arena_array(arena, count, sizeof(struct dv_cell_figures))), count},
    };
    int64_t now = dv_clock_monotonic_ns(host->world.clock);
    size_t i = 0;
    for (struct dv_cell *cell = host->cells; cell; cell = cell->next) {
        int64_t oldest = 0;
        size_t open = dv_asks_open(&host->asks, cell, &oldest);
        figures.cells.items[i++] = (struct dv_cell_figures){
            .address = cell->address,
            .handled = cell->handled,
            .failed = cell->failed,
            .handler_ns = cell->handler_ns,
            .slowest_ns = cell->slowest_ns,
            .asks_open = (int64_t)open,
            .oldest_ask_ns = open ? now - oldest : 0,
            .received = cell->received,
        };
    }
    tell_bus(host, DV_KIND_host_figures, &figures);
}

/* Dispatch. */

static void handle_control(struct dv_host *host,
                           const struct dv_envelope *envelope,
                           struct dv_parcel *parcel,
                           struct dv_arena *arena)
{
    const struct dv_schema *schema = dv_schema_of_kind((uint16_t)envelope->kind);
    struct dv_error err = DV_ERROR_INIT;
    void *body = NULL;
    if (!schema || dv_parcel_body(parcel, schema, arena, &body, &err) < 0) {
        dv_log(DV_LOG_ERROR, "kit: control message %lld: %s", (long long)envelope->kind, err.text);
        return;
    }
    switch (envelope->kind) {
    case DV_KIND_cell_spawn_cmd:
        spawn_cell(host, body, arena);
        break;
    case DV_KIND_cell_stop_cmd:
        stop_cell(host, body);
        break;
    case DV_KIND_host_figures_query:
        answer_figures(host, body, arena);
        break;
    default:
        dv_log(DV_LOG_ERROR, "kit: a host does not understand %s", schema->name);
    }
}

void dv_host_end_ask(struct dv_host *host, struct dv_ask *ask, const struct dv_outcome *outcome)
{
    dv_timers_cancel(&host->timers, ask->timer);
    ask->fn(ask->cell, ask->ctx, outcome);
    dv_ask_free(ask);
}

static void handle_answer(struct dv_cell *cell,
                          const struct dv_envelope *envelope,
                          struct dv_parcel *parcel,
                          struct dv_arena *arena)
{
    struct dv_host *host = cell->host;
    struct dv_ask *ask =
        cell->is_ending ? NULL : dv_asks_take(&host->asks, envelope->correlation, cell);
    if (!ask) {
        host->late++;
        return;
    }
    const struct dv_schema *schema = dv_schema_of_kind((uint16_t)envelope->kind);
    struct dv_error error = DV_ERROR_INIT;
    void *body = NULL;
    if (!schema) {
        (void)dv_error_set(&error, DV_ERR_PROTOCOL, "'%s' answered with the unknown kind %lld",
                           ask->to, (long long)envelope->kind);
    } else if (dv_parcel_body(parcel, schema, arena, &body, &error) < 0) {
        host->malformed++;
        (void)dv_error_prefix(&error, "answer of '%s': ", ask->to);
    } else if (schema->kind == DV_KIND_failure) {
        dv_failure_to_error(body, &error);
    }
    struct dv_outcome outcome = {.kind = schema ? schema->kind : 0, .body = body};
    if (error.class != DV_ERR_NONE)
        outcome = (struct dv_outcome){.error = &error};
    dv_host_end_ask(host, ask, &outcome);
}

static const struct dv_handler *find_handler(const struct dv_cell_type *type, int64_t kind)
{
    for (size_t i = 0; i < type->handler_count; i++)
        if (type->handlers[i].kind == kind)
            return &type->handlers[i];
    return NULL;
}

/* After the handler: a request that it neither answered nor kept. */
static void settle(struct dv_cell *cell,
                   uint16_t kind,
                   int result,
                   bool is_ask,
                   struct dv_request **request,
                   struct dv_error *error)
{
    if (result < 0) {
        cell->failed++;
        if (error->class == DV_ERR_NONE)
            (void)dv_error_set(error, DV_ERR_INTERNAL, "'%s' failed at %s and gave no reason (%d)",
                               cell->address, dv_kind_name(kind), result);
        if (*request)
            dv_answer_error(cell, request, error);
        else if (!is_ask)
            log_failed(cell->host, cell->address, error);
    } else if (*request) {
        cell->failed++;
        dv_error_clear(error);
        (void)dv_error_set(error, DV_ERR_INTERNAL, "'%s' gave no answer to %s", cell->address,
                           dv_kind_name(kind));
        dv_log(DV_LOG_ERROR, "%s", error->text);
        dv_answer_error(cell, request, error);
    }
}

static void count_time(struct dv_cell *cell, int64_t began_ns)
{
    int64_t took = dv_clock_monotonic_ns(cell->host->world.clock) - began_ns;
    cell->handler_ns += took;
    if (took > cell->slowest_ns)
        cell->slowest_ns = took;
}

static void handle_message(struct dv_cell *cell,
                           const struct dv_envelope *envelope,
                           struct dv_parcel *parcel,
                           struct dv_arena *arena)
{
    struct dv_host *host = cell->host;
    struct dv_error error = DV_ERROR_INIT;
    const struct dv_handler *handler = find_handler(cell->type, envelope->kind);
    const struct dv_schema *schema = handler ? dv_schema_of_kind(handler->kind) : NULL;
    void *body = NULL;
    if (!schema) {
        (void)dv_error_set(&error, DV_ERR_UNSUPPORTED, "'%s' does not understand %s (%lld)",
                           cell->address, dv_kind_name((uint16_t)envelope->kind),
                           (long long)envelope->kind);
    } else if (dv_parcel_body(parcel, schema, arena, &body, &error) < 0) {
        host->malformed++;
        (void)dv_error_prefix(&error, "'%s': ", cell->address);
    }
    if (error.class != DV_ERR_NONE) {
        cell->failed++;
        log_failed(host, cell->address, &error);
        refuse(host, cell->address, envelope, &error);
        return;
    }
    struct dv_request *request = NULL;
    if (envelope->reply_to)
        request = dv_request_adopt(cell, envelope->reply_to, envelope->correlation,
                                   envelope->deadline_ns);
    int64_t began_ns = dv_clock_monotonic_ns(host->world.clock);
    int r = handler->fn(cell, body, &request, &error);
    count_time(cell, began_ns);
    cell->handled++;
    settle(cell, handler->kind, r, envelope->reply_to != NULL, &request, &error);
}

void dv_host_deliver(struct dv_host *host, struct dv_parcel *parcel)
{
    DV_AUTO(dv_arena) arena = dv_need(dv_arena_new(DV_PARCEL_ARENA_MAX));
    char to[DV_ADDRESS_MAX + 1];
    struct dv_envelope *envelope = NULL;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_parcel_open(parcel, arena, to, &envelope, &err) < 0) {
        host->malformed++;
        log_failed(host, "kit", &err);
        return;
    }
    if (!to[0]) {
        handle_control(host, envelope, parcel, arena);
        return;
    }
    struct dv_cell *cell = find_cell(host, to);
    if (cell)
        cell->received++;
    host->current = envelope;
    if (cell && envelope->is_answer) {
        handle_answer(cell, envelope, parcel, arena);
    } else if (cell && !cell->is_ending) {
        handle_message(cell, envelope, parcel, arena);
    } else {
        (void)dv_error_set(&err, DV_ERR_UNDELIVERABLE, "%s to '%s': it is ending",
                           dv_kind_name((uint16_t)envelope->kind), to);
        refuse(host, to, envelope, &err);
    }
    host->current = NULL;
}

bool dv_host_run_timer(struct dv_host *host)
{
    struct dv_timer timer;
    int64_t now_ns = dv_clock_monotonic_ns(host->world.clock);
    if (!dv_timers_take_due(&host->timers, now_ns, &timer))
        return false;
    if (timer.cell->is_ending)
        return true;
    timer.fn(timer.cell, timer.ctx);
    count_time(timer.cell, now_ns);
    return true;
}

void dv_host_ready(struct dv_host *host, const struct dv_cell *cell, int fd, short revents)
{
    const struct dv_watch_row *row = dv_watches_find(&host->watches, cell, fd);
    if (!row || row->cell->is_ending)
        return;
    struct dv_cell *owner = row->cell;
    int64_t began_ns = dv_clock_monotonic_ns(host->world.clock);
    row->fn(owner, fd, revents, row->ctx);
    count_time(owner, began_ns);
}
