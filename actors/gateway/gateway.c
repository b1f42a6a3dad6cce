/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/gateway/gateway.h"

#include "actors/addresses.h"
#include "actors/env.h"
#include "actors/gateway/answer.h"
#include "actors/gateway/halt.h"
#include "actors/gateway/images.h"
#include "actors/gateway/status.h"
#include "base/log.h"
#include "messages/catalog.h"
#include "messages/codec.h"
#include "messages/json/json_codec.h"
#include "spec/record.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VALUE_BYTES        (1U << 20)
#define LOCAL_SESSION      "session/local"
#define TRACE_TEXT_MAX     4096
#define HALT_TIMEOUT_MAX_S 86400

struct state {
    struct dv_cell *cell;
    const struct dv_actor_env *env;
    int64_t started_ns;
    bool is_tracing;
};

void gateway_answer(struct dv_cell *cell,
                    struct dv_request **request,
                    const struct dv_schema *schema,
                    const void *body)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(VALUE_BYTES);
    struct dv_json_writer w;
    struct dv_error err = DV_ERROR_INIT;
    dv_jw_init(&w, &text);
    dv_message_write_json(&w, schema, body);
    if (dv_jw_done(&w, &err) < 0) {
        dv_answer_error(cell, request, &err);
        return;
    }
    struct dv_command_result result = {.value = text.data};
    dv_answer(cell, request, DV_KIND_command_result, &result);
}

/* -- list ----------------------------------------------------------------------------------- */

static char *log_path_of(const struct dv_actor_env *env,
                         const struct dv_container_record *record,
                         struct dv_arena *arena)
{
    const struct dv_log_config *log = record->spec->log;
    if (log->type == DV_LOG_TYPE_NONE)
        return NULL;
    if (log->root_dir)
        return dv_arena_printf(arena, "%s/%s/json.log", log->root_dir, record->id);
    return dv_arena_printf(arena, "%s/containers/%s/json.log", env->home_dir, record->id);
}

static void summarize(const struct dv_actor_env *env,
                      const struct dv_container_record *record,
                      int64_t now_ns,
                      struct dv_arena *arena,
                      struct dv_container_summary *ret)
{
    const struct dv_container_state *state = record->state;
    *ret = (struct dv_container_summary){
        .id = record->id,
        .name = record->name,
        .image = record->spec->image_ref,
        .status = state->status,
        .pid = state->pid,
        .exit_code = state->exit_code,
        .error = state->error,
        .created_ns = record->created_ns,
        .started_ns = state->started_ns,
        .finished_ns = state->finished_ns,
        .restart_count = record->restart_count,
        .restart_type = record->spec->restart_policy->type,
        .manually_stopped = record->manually_stopped,
        .is_oom_killed = state->is_oom_killed,
        .log_path = log_path_of(env, record, arena),
        .network_mode = record->spec->network_mode,
        .warnings = record->warnings,
        .network = record->network,
        .for_ms = dv_record_state_ms(record, now_ns),
    };
}

static void on_list(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    const struct state *s = dv_cell_state(cell);
    struct dv_request *request = ctx;
    struct dv_error err = DV_ERROR_INIT;
    if (outcome->error) {
        dv_answer_error(cell, &request, outcome->error);
        return;
    }
    const struct dv_container_list *list = outcome->body;
    DV_AUTO(dv_arena) arena = dv_arena_new(64U << 20);
    struct dv_container_summaries summaries = {0};
    if (arena)
        summaries.containers.items =
            dv_arena_array(arena, list->containers.count, sizeof(struct dv_container_summary));
    if (!summaries.containers.items) {
        dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for the list");
        dv_answer_error(cell, &request, &err);
        return;
    }
    for (size_t i = 0; i < list->containers.count; i++)
        summarize(s->env, &list->containers.items[i], dv_clock_monotonic_ns(dv_cell_clock(cell)),
                  arena, &summaries.containers.items[summaries.containers.count++]);
    gateway_answer(cell, &request, &dv_schema_container_summaries, &summaries);
}

static void on_inspect(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_request *request = ctx;
    struct dv_error err = DV_ERROR_INIT;
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(VALUE_BYTES);
    if (outcome->error) {
        dv_answer_error(cell, &request, outcome->error);
        return;
    }
    const struct dv_container_list *list = outcome->body;
    if (list->containers.count != 1 ||
        dv_record_encode(&list->containers.items[0], &text, &err) < 0) {
        if (err.class == DV_ERR_NONE)
            dv_error_set(&err, DV_ERR_STATE, "the container is being created");
        dv_answer_error(cell, &request, &err);
        return;
    }
    struct dv_command_result result = {.value = text.data};
    dv_answer(cell, &request, DV_KIND_command_result, &result);
}

static void on_why(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_request *request = ctx;
    if (outcome->error)
        dv_answer_error(cell, &request, outcome->error);
    else
        gateway_answer(cell, &request, &dv_schema_container_why, outcome->body);
}

static void on_why_found(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    const struct state *s = dv_cell_state(cell);
    struct dv_request *request = ctx;
    struct dv_container_why_query query;
    if (outcome->error) {
        dv_answer_error(cell, &request, outcome->error);
        return;
    }
    const struct dv_container_list *list = outcome->body;
    struct dv_address address = dv_address_of(DV_CONTAINER_PREFIX, list->id);
    dv_ask(cell, address.text, DV_KIND_container_why_query, &query,
           s->env->settings->command_timeout_ms, on_why, request);
}

static void
ask_roster(struct state *s, const char *name, dv_outcome_fn *fn, struct dv_request *request)
{
    struct dv_container_list_query query = {.name = (char *)name};
    dv_ask(s->cell, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
           s->env->settings->command_timeout_ms, fn, request);
}

/* -- trace ---------------------------------------------------------------------------------- */

static bool is_of_the_trace(const char *address)
{
    return strcmp(address, LOCAL_SESSION) == 0 || strcmp(address, DV_ADDRESS_GATEWAY) == 0;
}

static int
on_traced(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    const struct state *s = dv_cell_state(cell);
    const struct dv_traced *traced = body;
    DV_AUTO(dv_arena) arena = dv_arena_new(8U << 20);
    DV_AUTO_IN_PLACE(dv_buf) printed = DV_BUF_INIT(1U << 20);
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(VALUE_BYTES);
    void *decoded;
    if (!s->is_tracing || !arena)
        return 0;
    int r = dv_decode(&dv_schema_envelope, traced->envelope.data, traced->envelope.len, arena,
                      &decoded, err);
    if (r < 0)
        return r;
    const struct dv_envelope *envelope = decoded;
    /* What carries the trace would be traced for ever. */
    if (is_of_the_trace(traced->to) || (envelope->from && is_of_the_trace(envelope->from)))
        return 0;
    const struct dv_schema *schema = dv_schema_of_kind((uint16_t)envelope->kind);
    if (schema && traced->body.len &&
        dv_decode(schema, traced->body.data, traced->body.len, arena, &decoded, NULL) == 0)
        r = dv_print(schema, decoded, &printed, err);
    else
        r = dv_buf_printf(&printed, err, "kind %lld", (long long)envelope->kind);
    if (r < 0)
        return r;
    if (printed.len > TRACE_TEXT_MAX) {
        printed.len = TRACE_TEXT_MAX;
        while (printed.len && ((unsigned char)printed.data[printed.len] & 0xC0U) == 0x80U)
            printed.len--;
        dv_buf_terminate(&printed);
    }
    struct dv_local_trace line = {
        .from = envelope->from,
        .to = traced->to,
        .message = printed.data,
        .correlation = envelope->correlation,
        .is_answer = envelope->is_answer,
        .dropped = traced->dropped,
    };
    struct dv_json_writer w;
    dv_jw_init(&w, &text);
    dv_message_write_json(&w, &dv_schema_local_trace, &line);
    r = dv_jw_done(&w, err);
    if (r < 0)
        return r;
    struct dv_outbox_message message = {
        .feature = (char *)DV_ADDRESS_GATEWAY, .subject = (char *)"trace", .value = text.data};
    dv_post(cell, LOCAL_SESSION, DV_KIND_outbox_message, &message);
    return 0;
}

static void set_trace(struct state *s, bool is_on)
{
    struct dv_trace_cmd command = {.is_on = is_on};
    s->is_tracing = is_on;
    dv_post(s->cell, DV_BUS_ADDRESS, DV_KIND_trace_cmd, &command);
}

/* -- samples -------------------------------------------------------------------------------- */

static void on_samples(struct dv_cell *cell, void *ctx, const struct dv_outcome *outcome)
{
    struct dv_request *request = ctx;
    if (outcome->error)
        dv_answer_error(cell, &request, outcome->error);
    else
        gateway_answer(cell, &request, &dv_schema_samples, outcome->body);
}

/* A pass, or the rest of one; who wants to know shares looks twice. */
static int ask_samples(struct state *s,
                       const struct dv_json *args,
                       struct dv_request **request,
                       struct dv_error *err)
{
    struct dv_samples_query query = {0};
    const struct dv_json *pass = dv_json_get(args, "pass");
    const struct dv_json *from = dv_json_get(args, "from");
    if ((pass && (!dv_json_to_i64(pass, &query.pass) || query.pass < 0)) ||
        (from && (!dv_json_to_i64(from, &query.from) || query.from < 0 || query.from > INT32_MAX)))
        return dv_error_set(err, DV_ERR_INVALID,
                            "pass and from: whole numbers of the answer before, or nothing");
    dv_ask(s->cell, DV_ADDRESS_SAMPLER, DV_KIND_samples_query, &query,
           s->env->settings->command_timeout_ms, on_samples, dv_steal(request));
    return 0;
}

/* -- commands ------------------------------------------------------------------------------- */

static int run(struct state *s,
               const struct dv_command *command,
               const struct dv_json *args,
               struct dv_request **request,
               struct dv_error *err)
{
    if (strcmp(command->operation, "list") == 0) {
        ask_roster(s, NULL, on_list, dv_steal(request));
        return 0;
    }
    bool is_why = strcmp(command->operation, "why") == 0;
    if (is_why || strcmp(command->operation, "inspect") == 0) {
        const char *name = dv_json_text(dv_json_get(args, "name"));
        if (!name || !name[0] || strlen(name) > 253)
            return dv_error_set(err, DV_ERR_INVALID, "name: id or name of a container is required");
        ask_roster(s, name, is_why ? on_why_found : on_inspect, dv_steal(request));
        return 0;
    }
    if (strcmp(command->operation, "halt") == 0) {
        double seconds = dv_json_number(dv_json_get(args, "timeout"));
        if (!(seconds >= 0 && seconds <= HALT_TIMEOUT_MAX_S))
            return dv_error_set(err, DV_ERR_INVALID, "timeout: at most %d seconds",
                                HALT_TIMEOUT_MAX_S);
        return gateway_halt(s->cell, s->env, (int64_t)(seconds * 1000), request, err);
    }
    if (strcmp(command->operation, "samples") == 0)
        return ask_samples(s, args, request, err);
    if (strcmp(command->operation, "status") == 0)
        return gateway_status(s->cell, s->env, s->started_ns, request, err);
    if (strcmp(command->operation, "trace") == 0) {
        struct dv_command_result nothing = {0};
        set_trace(s, dv_json_bool(dv_json_get(args, "on")));
        dv_answer(s->cell, request, DV_KIND_command_result, &nothing);
        return 0;
    }
    int r;
    if (gateway_images(s->cell, s->env, command->operation, args, request, &r, err))
        return r;
    return dv_error_set(err, DV_ERR_NOT_FOUND, "feature '%s' has no operation '%s'",
                        command->feature, command->operation);
}

static int on_command(struct dv_cell *cell,
                      const void *body,
                      struct dv_request **request,
                      struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_command *command = body;
    DV_AUTO(dv_json) args = NULL;
    if (!*request)
        return 0;
    if (command->args && command->args[0]) {
        int r = dv_json_parse(command->args, strlen(command->args), &args, err);
        if (r < 0)
            return r;
    }
    return run(s, command, args, request, err);
}

static const struct dv_handler handlers[] = {
    {DV_KIND_command, on_command},
    {DV_KIND_traced, on_traced},
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    (void)err;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->env = dv_cell_env(cell);
    s->started_ns = dv_clock_monotonic_ns(dv_cell_clock(cell));
    return 0;
}

const struct dv_cell_type dv_gateway_cell = {
    .name = "gateway",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
};
