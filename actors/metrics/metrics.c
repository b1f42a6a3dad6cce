/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/metrics/metrics.h"

#include "actors/addresses.h"
#include "actors/env.h"
#include "actors/metrics/baselines.h"
#include "base/arena.h"
#include "base/log.h"
#include "messages/codec.h"
#include "spec/metrics.h"

#include <stdlib.h>
#include <string.h>

#define NS_PER_MS       1000000
#define NS_PER_S        1000000000
#define REQUEST_BYTES   (4U << 20)
#define VALUE_BYTES_MAX (256U << 10) /* of store_value */
#define VALUE_NAME      "metrics"
#define BRIDGE_PREFIX   "bridge/"
#define LOCAL_BRIDGE    "local"
#define RETRY_MS        1000
/* What an envelope adds to a value: topic, path, headers; two thing ids of at most 256 bytes. */
#define ENVELOPE_BYTES 1024U

/* A request with all it points to. */
struct kept {
    struct dv_arena *arena;
    struct dv_metrics_request *request;
};

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    struct kept current; /* request NULL: there never was one */
    bool is_loaded;      /* the value of before the restart is known, or overtaken */

    uint64_t timer;
    int64_t due_ns; /* of the next tick */
    struct dv_baselines baselines;
    struct dv_metrics_data data;

    uintptr_t pass; /* number of the newest; answers of another one are late */
    bool is_passing;
    bool is_silent; /* the pass only takes baselines */
    int64_t batch;
};

/* A request that is on its way into the journal. */
struct pending {
    struct kept kept;
    struct dv_request *request;
};

static void drop_kept(struct kept *kept)
{
    dv_arena_free(kept->arena);
    *kept = (struct kept){NULL, NULL};
}

/* -- a pass --------------------------------------------------------------------------------- */

static void ask_samples(struct state *s, int64_t pass, int64_t from);

static void flush(struct state *s, int64_t wall_ns)
{
    const struct dv_metrics_request *request = s->current.request;
    struct dv_error err = DV_ERROR_INIT;
    if (!s->data.originators)
        return;
    int64_t unit_ns = s->env->settings->metrics_in_seconds ? NS_PER_S : NS_PER_MS;
    if (dv_metrics_data_end(&s->data, wall_ns / unit_ns, &err) < 0) {
        dv_log(DV_LOG_ERROR, "metrics: %s", err.text);
    } else {
        struct dv_address bridge = dv_address_of(BRIDGE_PREFIX, request->bridge);
        struct dv_outbox_message message = {
            .feature = (char *)DV_ADDRESS_METRICS,
            .subject = (char *)"data",
            .value = s->data.value.data,
            .is_documented_dialect = request->is_documented_dialect,
            .batch = s->batch,
        };
        dv_post(s->cell, bridge.text, DV_KIND_outbox_message, &message);
    }
    dv_metrics_data_clear(&s->data);
}

static void
take_sample(struct state *s, const struct dv_samples *page, const struct dv_sample *sample)
{
    struct dv_error err = DV_ERROR_INIT;
    bool is_full = false;
    struct dv_measurements measured = {.id = sample->id, .name = sample->name, .sample = sample};
    if (sample->cpu_ns.is_set && page->cpu_total_ns > 0)
        measured.has_utilization =
            dv_baselines_look(&s->baselines, sample->id ? sample->id : "", sample->pid,
                              sample->cpu_ns.value, page->cpu_total_ns, &measured.cpu_utilization);
    if (s->is_silent)
        return;
    int r = dv_metrics_data_add(&s->data, s->current.request, &measured, &is_full, &err);
    if (r == 0 && is_full) {
        flush(s, page->wall_ns);
        r = dv_metrics_data_add(&s->data, s->current.request, &measured, &is_full, &err);
    }
    if (r < 0)
        dv_log(DV_LOG_ERROR, "metrics: %s", err.text);
}

static void on_samples(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell) || (uintptr_t)ctx != s->pass || !s->is_passing)
        return;
    if (outcome->error) {
        dv_log(DV_LOG_WARN, "metrics: nothing is sent this time: %s", outcome->error->text);
        dv_metrics_data_clear(&s->data);
        s->is_passing = false;
        return;
    }
    const struct dv_samples *page = outcome->body;
    if (page->host && dv_metrics_wants_system(s->current.request))
        take_sample(s, page, page->host);
    for (size_t i = 0; i < page->containers.count; i++)
        take_sample(s, page, &page->containers.items[i]);
    if (page->more) {
        ask_samples(s, page->pass, page->next);
        return;
    }
    flush(s, page->wall_ns);
    dv_baselines_sweep(&s->baselines);
    s->is_passing = false;
}

static void ask_samples(struct state *s, int64_t pass, int64_t from)
{
    struct dv_samples_query query = {
        .pass = pass,
        .from = from,
        .again_ms = s->current.request->period_ms,
    };
    dv_ask(s->cell, DV_ADDRESS_SAMPLER, DV_KIND_samples_query, &query,
           s->env->settings->command_timeout_ms, on_samples, (void *)s->pass);
}

static void begin_pass(struct state *s, bool is_silent)
{
    s->pass++;
    s->batch++;
    s->is_passing = true;
    s->is_silent = is_silent;
    dv_metrics_data_clear(&s->data);
    dv_baselines_begin(&s->baselines);
    ask_samples(s, 0, 0);
}

/* -- the period ----------------------------------------------------------------------------- */

static void on_tick(struct dv_cell *cell, void *ctx);

static void arm(struct state *s)
{
    int64_t now_ns = dv_clock_monotonic_ns(dv_cell_clock(s->cell));
    int64_t wait_ns = s->due_ns > now_ns ? s->due_ns - now_ns : 0;
    s->timer = dv_timer_set(s->cell, (wait_ns + NS_PER_MS - 1) / NS_PER_MS, on_tick, NULL);
}

static void on_tick(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    int64_t period_ns = s->current.request->period_ms * NS_PER_MS;
    int64_t late_ns = dv_clock_monotonic_ns(dv_cell_clock(cell)) - s->due_ns;
    s->due_ns += (late_ns > 0 ? late_ns / period_ns + 1 : 1) * period_ns;
    arm(s);
    if (!s->is_passing)
        begin_pass(s, false);
}

/* The request is in force: the first data comes one period later, against a baseline of now. */
static void enforce(struct state *s, struct kept *kept)
{
    drop_kept(&s->current);
    s->current = *kept;
    *kept = (struct kept){NULL, NULL};
    dv_timer_cancel(s->cell, s->timer);
    s->timer = 0;
    s->pass++;
    s->is_passing = false;
    if (!s->current.request->period_ms) {
        dv_baselines_done(&s->baselines);
        return;
    }
    s->due_ns =
        dv_clock_monotonic_ns(dv_cell_clock(s->cell)) + s->current.request->period_ms * NS_PER_MS;
    arm(s);
    begin_pass(s, true);
}

/* -- requests ------------------------------------------------------------------------------- */

static void on_kept(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct state *s = dv_cell_state(cell);
    struct pending *pending = ctx;
    if (outcome->error) {
        if (pending->request)
            dv_answer_error(cell, &pending->request, outcome->error);
    } else if (!dv_cell_is_ending(cell)) {
        struct dv_command_result done = {0};
        enforce(s, &pending->kept);
        if (pending->request)
            dv_answer(cell, &pending->request, DV_KIND_command_result, &done);
    }
    drop_kept(&pending->kept);
    free(pending);
}

static int keep(struct state *s, struct pending *pending, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) bytes = DV_BUF_INIT(VALUE_BYTES_MAX);
    int r = dv_encode(&dv_schema_metrics_request, pending->kept.request, &bytes, err);
    if (r < 0)
        return r;
    struct dv_store_value value = {
        .name = (char *)VALUE_NAME,
        .value = {(uint8_t *)bytes.data, bytes.len},
    };
    dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_value, &value,
           s->env->settings->command_timeout_ms, on_kept, pending);
    return 0;
}

static int read_request(struct state *s,
                        const struct dv_command *command,
                        struct kept *kept,
                        struct dv_error *err)
{
    const char *sender = dv_cell_sender(s->cell);
    size_t prefix = strncmp(sender, BRIDGE_PREFIX, sizeof(BRIDGE_PREFIX) - 1) == 0
                        ? sizeof(BRIDGE_PREFIX) - 1
                        : 0;
    struct dv_spec_notes notes;
    kept->arena = dv_arena_new(REQUEST_BYTES);
    kept->request = kept->arena ? dv_arena_alloc(kept->arena, sizeof(*kept->request)) : NULL;
    if (!kept->request)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a request for metrics");
    int r = dv_spec_metrics_request(dv_str_of(command->args ? command->args : ""), kept->arena,
                                    kept->request, &notes, err);
    if (r < 0)
        return r;
    for (size_t i = 0; i < notes.count; i++)
        dv_log(DV_LOG_WARN, "metrics: request: %s", notes.texts[i]);
    kept->request->bridge = dv_arena_strdup(kept->arena, sender + prefix);
    kept->request->is_documented_dialect = command->is_documented_dialect;
    kept->request->sequence = command->sequence;
    return kept->request->bridge
               ? 0
               : dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a request for metrics");
}

/* A command of before a crash runs again; one that is older than what is in force must not. */
static bool is_overtaken(const struct state *s, const struct dv_metrics_request *request)
{
    const struct dv_metrics_request *current = s->current.request;
    return current && request->sequence && request->sequence < current->sequence &&
           strcmp(request->bridge, current->bridge) == 0;
}

static int on_command(struct dv_cell *cell,
                      const void *body,
                      struct dv_request **request,
                      struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_command *command = body;
    if (strcmp(command->operation, "request") != 0)
        return dv_error_set(err, DV_ERR_NOT_FOUND,
                            "feature '%s' has no operation '%s', only 'request'", command->feature,
                            command->operation);
    if (strcmp(dv_cell_sender(cell), BRIDGE_PREFIX LOCAL_BRIDGE) == 0)
        return dv_error_set(err, DV_ERR_UNSUPPORTED,
                            "metrics are sent to the cloud only; use `davit stats` here");
    struct pending *pending = calloc(1, sizeof(*pending));
    if (!pending)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a request for metrics");
    int r = read_request(s, command, &pending->kept, err);
    if (r == 0 && is_overtaken(s, pending->kept.request)) {
        struct dv_command_result done = {0};
        if (*request)
            dv_answer(cell, request, DV_KIND_command_result, &done);
        drop_kept(&pending->kept);
        free(pending);
        return 0;
    }
    s->is_loaded |= r == 0;
    if (r == 0) {
        pending->request = dv_steal(request);
        r = keep(s, pending, err);
        if (r < 0)
            *request = dv_steal(&pending->request);
    }
    if (r < 0) {
        drop_kept(&pending->kept);
        free(pending);
    }
    return r;
}

static int on_feature_query(struct dv_cell *cell,
                            const void *body,
                            struct dv_request **request,
                            struct dv_error *err)
{
    (void)body;
    (void)err;
    struct dv_feature_event event = {
        .feature = (char *)DV_ADDRESS_METRICS,
        .definition = (char *)DV_METRICS_DEFINITION,
    };
    if (*request)
        dv_answer(cell, request, DV_KIND_feature_event, &event);
    return 0;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_command, on_command},
    {DV_KIND_feature_query, on_feature_query},
};

/* -- of before the restart ------------------------------------------------------------------ */

static void ask_kept(struct state *s);

static void on_ask_again(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    ask_kept(dv_cell_state(cell));
}

static void restore(struct state *s, const struct dv_bytes *bytes)
{
    struct kept kept = {.arena = dv_arena_new(REQUEST_BYTES)};
    struct dv_error err = DV_ERROR_INIT;
    void *request = NULL;
    int r = kept.arena ? dv_decode(&dv_schema_metrics_request, bytes->data, bytes->len, kept.arena,
                                   &request, &err)
                       : dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory");
    kept.request = request;
    if (r == 0 && kept.request->bridge)
        enforce(s, &kept);
    if (r < 0)
        dv_log(DV_LOG_ERROR, "metrics: the request of before the restart is lost: %s", err.text);
    drop_kept(&kept);
}

static void on_value(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    if (dv_cell_is_ending(cell) || s->is_loaded)
        return;
    if (outcome->error) {
        dv_log(DV_LOG_WARN, "metrics: the request of before the restart, asked for again: %s",
               outcome->error->text);
        (void)dv_timer_set(cell, RETRY_MS, on_ask_again, NULL);
        return;
    }
    const struct dv_store_value *value = outcome->body;
    s->is_loaded = true;
    if (value->value.len)
        restore(s, &value->value);
}

static void ask_kept(struct state *s)
{
    struct dv_store_value_query query = {.name = (char *)VALUE_NAME};
    dv_ask(s->cell, DV_ADDRESS_STORE, DV_KIND_store_value_query, &query,
           s->env->settings->command_timeout_ms, on_value, NULL);
}

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    (void)err;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    s->data.max = s->env->settings->message_bytes_max - ENVELOPE_BYTES;
    ask_kept(s);
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    drop_kept(&s->current);
    dv_baselines_done(&s->baselines);
    dv_buf_done(&s->data.value);
}

const struct dv_cell_type dv_metrics_cell = {
    .name = "Metrics",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
