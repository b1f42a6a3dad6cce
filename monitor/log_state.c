/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and their clients as frames of a state (state.h), and back as orders for the thread. */
#include "monitor/log_thread.h"
#include "monitor/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_BYTES (1U << 20) /* of one frame */
#define SOURCES_STEP 64U

/* -- save ----------------------------------------------------------------------------------- */

static struct dv_monitor_state_stream save_stream(const struct stream *stream,
                                                  struct mon_state_writer *writer)
{
    return (struct dv_monitor_state_stream){
        .reading_fd = mon_state_fd(writer, stream->fd),
        .rest = {(uint8_t *)stream->lines.rest.data, stream->lines.rest.len},
        .rest_ns = stream->lines.rest_ns,
        .is_long = stream->lines.is_long,
    };
}

static void save_source(const struct source *source, struct mon_state_writer *writer)
{
    struct dv_monitor_log log = {.max_buffer_bytes = source->buffer_max};
    struct dv_monitor_state_stream out = save_stream(&source->streams[0], writer);
    struct dv_monitor_state_stream in_error = save_stream(&source->streams[1], writer);
    if (source->file)
        log.path = (char *)dv_logfile_tell(source->file, &log.max_size_bytes, &log.max_files);
    const struct dv_monitor_state_source frame = {
        .id = (char *)source->id,
        .log = source->file ? &log : NULL,
        .is_session = source->is_session,
        .is_over = source->is_over,
        .is_held = source->is_held,
        .out = &out,
        .err = &in_error,
    };
    mon_state_put(writer, &dv_schema_monitor_state_source, &frame);
}

/* The last in the list is written first: a new source goes to its head. */
static int64_t number_of(const struct source *source)
{
    int64_t number = 0;
    for (; source; source = source->next)
        number++;
    return number;
}

static void save_client(const struct attached *client, struct mon_state_writer *writer)
{
    const struct dv_monitor_state_attached frame = {
        .id = (char *)client->id,
        .source = number_of(client->source),
        .connection_fd = mon_state_fd(writer, client->fd),
        .input_fd = mon_state_fd(writer, client->input),
        .is_tty = client->is_tty,
        .takes_input = client->takes_input,
        .is_session = client->is_session,
        .is_input_ended = client->is_input_ended,
        .is_over = client->is_over,
        .is_code_known = client->is_code_known,
        .is_told_end = client->is_told_end,
        .exit_code = client->exit_code,
        .stalled_ns = client->stalled_ns,
        .input = {(uint8_t *)client->in.data, client->in.len},
    };
    mon_state_put(writer, &dv_schema_monitor_state_attached, &frame);
    for (size_t at = 0; at < client->out.len; at += OUTPUT_BYTES) {
        size_t left = client->out.len - at;
        const struct dv_monitor_state_output output = {
            .data = {(uint8_t *)client->out.data + at, left < OUTPUT_BYTES ? left : OUTPUT_BYTES}};
        mon_state_put(writer, &dv_schema_monitor_state_output, &output);
    }
}

void dv_log_thread_save(const struct dv_log_thread *t, struct mon_state_writer *writer)
{
    const struct source *last = t->sources;
    while (last && last->next)
        last = last->next;
    for (; last; last = last->previous)
        save_source(last, writer);
    for (const struct attached *client = t->clients; client; client = client->next)
        save_client(client, writer);
}

/* -- restore -------------------------------------------------------------------------------- */

static int no_memory(const char *id, struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory to take over the streams of '%s'", id);
}

static int restore_stream(struct stream *stream,
                          const struct dv_monitor_state_stream *what,
                          struct dv_error *err)
{
    stream->lines.rest_ns = what->rest_ns;
    stream->lines.is_long = what->is_long;
    return what->rest.len ? dv_buf_append(&stream->lines.rest, what->rest.data, what->rest.len, err)
                          : 0;
}

static int remember_source(struct dv_log_restore *restore, struct source *source)
{
    if (restore->count == restore->room) {
        struct source **more =
            realloc(restore->sources, (restore->room + SOURCES_STEP) * sizeof(struct source *));
        if (!more)
            return -1;
        restore->sources = more;
        restore->room += SOURCES_STEP;
    }
    restore->sources[restore->count++] = source;
    return 0;
}

static int restore_source(struct dv_log_thread *t,
                          struct dv_log_restore *restore,
                          const struct dv_monitor_state_source *what,
                          struct dv_error *err)
{
    struct order *order = calloc(1, sizeof(*order));
    struct source *source =
        order ? log_source_new(what->id, mon_state_take_fd(what->out->reading_fd),
                               mon_state_take_fd(what->err->reading_fd), what->log)
              : NULL;
    int r = source && remember_source(restore, source) == 0 ? 0 : no_memory(what->id, err);
    if (r == 0)
        r = restore_stream(&source->streams[0], what->out, err);
    if (r == 0)
        r = restore_stream(&source->streams[1], what->err, err);
    if (r < 0) {
        free(order);
        log_source_free(source);
        return r;
    }
    source->is_session = what->is_session;
    source->is_over = what->is_over;
    source->is_held = what->is_held;
    order->type = ORDER_ADD;
    order->source = source;
    log_give(t, order);
    return 0;
}

static int restore_client(struct dv_log_thread *t,
                          struct dv_log_restore *restore,
                          const struct dv_monitor_state_attached *what,
                          struct dv_error *err)
{
    const struct dv_log_client connection = {
        .fd = mon_state_take_fd(what->connection_fd),
        .input = mon_state_take_fd(what->input_fd),
        .is_tty = what->is_tty,
        .takes_input = what->takes_input,
    };
    struct order *order = calloc(1, sizeof(*order));
    struct attached *client = order ? attach_new(what->id, &connection) : NULL;
    int r = client ? 0 : no_memory(what->id, err);
    if (r == 0 && what->input.len)
        r = dv_buf_append(&client->in, what->input.data, what->input.len, err);
    if (r < 0) {
        free(order);
        if (client)
            attach_free(client);
        return r;
    }
    client->is_session = what->is_session;
    client->is_input_ended = what->is_input_ended;
    client->is_over = what->is_over;
    client->is_code_known = what->is_code_known;
    client->is_told_end = what->is_told_end;
    client->exit_code = (int)what->exit_code;
    client->stalled_ns = what->stalled_ns;
    order->type = ORDER_RESTORE;
    order->client = client;
    order->source = what->source > 0 && (size_t)what->source <= restore->count
                        ? restore->sources[what->source - 1]
                        : NULL;
    restore->client = client;
    atomic_fetch_add(&t->client_count, 1);
    log_give(t, order);
    return 0;
}

int dv_log_thread_restore(struct dv_log_thread *t,
                          struct dv_log_restore *restore,
                          uint16_t kind,
                          const void *body,
                          struct dv_error *err)
{
    if (kind == DV_KIND_monitor_state_source)
        return restore_source(t, restore, body, err);
    if (kind == DV_KIND_monitor_state_attached)
        return restore_client(t, restore, body, err);
    if (kind != DV_KIND_monitor_state_output || !restore->client)
        return 0;
    const struct dv_monitor_state_output *output = body;
    return dv_buf_append(&restore->client->out, output->data.data, output->data.len, err);
}
