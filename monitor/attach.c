/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Clients of streams, on the log thread. What a container writes goes to all that are attached to
 * it; what they type goes to its terminal or FIFO.
 *
 * Nothing here waits. Output that a client's socket does not take is kept for it; above OUT_HELD
 * the source is not read any more, so that the container waits, and nothing is lost. A client that
 * takes nothing for STALLED_NS is let go; with a log in non-blocking mode, where a container never
 * waits, at once. The process of a session waits for as long as its client is there. Input that is
 * not read is kept up to a frame, then the client is not read any more.
 */
#include "base/arena.h"
#include "base/clock.h"
#include "monitor/log_thread.h"
#include "monitor/protocol.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_MAX      (8U << 20) /* of a client; never reached: what one round reads is far less */
#define OUT_HELD     (256U << 10)
#define OUT_FREE     (64U << 10)
#define STALLED_NS   5000000000LL
#define INPUT_MAX    (2U * DV_MONITOR_DATA_BYTES)
#define FRAME_BYTES  (DV_MONITOR_DATA_BYTES + 1024U)
#define FRAME_ARENA  (64U << 10)
#define FRAMES_ROUND 16
#define NS_PER_MS    1000000

struct attached *attach_new(const char *id, const struct dv_log_client *what)
{
    struct attached *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    client->fd = what->fd;
    client->input = what->input;
    client->is_tty = what->is_tty;
    client->takes_input = what->takes_input;
    client->out = DV_BUF_INIT(OUT_MAX);
    client->in = DV_BUF_INIT(INPUT_MAX);
    snprintf(client->id, sizeof(client->id), "%s", id);
    return client;
}

void attach_free(struct attached *client)
{
    dv_close(&client->fd);
    dv_close(&client->input);
    dv_buf_done(&client->out);
    dv_buf_done(&client->in);
    free(client);
}

static void *tagged(struct attached *client, unsigned tag)
{
    return (char *)client + tag;
}

static void watch(struct dv_log_thread *t, struct attached *client, int operation)
{
    struct epoll_event event = {.data.ptr = tagged(client, TAG_CLIENT)};
    if (!client->in.len)
        event.events |= EPOLLIN;
    if (client->out.len)
        event.events |= EPOLLOUT;
    if (epoll_ctl(t->epoll, operation, client->fd, &event) < 0)
        client->is_dead = true;
}

/* -- output --------------------------------------------------------------------------------- */

static void hold(struct dv_log_thread *t, struct source *source)
{
    if (source->is_held)
        return;
    source->is_held = true;
    log_watch(t, source);
}

static void go_on(struct dv_log_thread *t, struct source *source)
{
    if (!source->is_held)
        return;
    for (const struct attached *client = t->clients; client; client = client->next)
        if (client->source == source && !client->is_dead && client->out.len > OUT_FREE)
            return;
    source->is_held = false;
    log_watch(t, source);
}

static void flush(struct dv_log_thread *t, struct attached *client)
{
    size_t at = 0;
    while (at < client->out.len && !client->is_dead) {
        uint32_t len;
        memcpy(&len, client->out.data + at, sizeof(len));
        ssize_t sent =
            send(client->fd, client->out.data + at + sizeof(len), len, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno == EAGAIN)
            break;
        client->is_dead = sent < 0;
        at += sizeof(len) + len;
    }
    if (at || !client->out.len)
        client->stalled_ns = 0;
    dv_buf_consume(&client->out, at);
    if (client->out.len && !client->stalled_ns)
        client->stalled_ns = dv_clock_monotonic_ns(dv_clock_real());
    if (client->is_told_end && !client->out.len)
        client->is_dead = true;
    if (!client->is_dead)
        watch(t, client, EPOLL_CTL_MOD);
    if (client->source && client->out.len <= OUT_FREE)
        go_on(t, client->source);
}

static void put(struct attached *client, const struct dv_schema *schema, const void *body)
{
    DV_AUTO_IN_PLACE(dv_buf) frame = DV_BUF_INIT(FRAME_BYTES);
    struct dv_error err = DV_ERROR_INIT;
    uint32_t len;
    int r = dv_monitor_encode(schema, body, &frame, &err);
    len = (uint32_t)frame.len;
    if (r == 0)
        r = dv_buf_append(&client->out, &len, sizeof(len), &err);
    if (r == 0)
        r = dv_buf_append(&client->out, frame.data, frame.len, &err);
    if (r < 0) {
        dv_log(DV_LOG_WARN, "a client of '%s' is let go: %s", client->id, err.text);
        dv_buf_clear(&client->out);
        client->is_dead = true;
    }
}

void attach_output(struct dv_log_thread *t,
                   const struct stream *stream,
                   const char *bytes,
                   size_t len)
{
    struct source *source = stream->source;
    for (struct attached *client = t->clients; client; client = client->next) {
        if (client->source != source || client->is_dead)
            continue;
        for (size_t at = 0; at < len && !client->is_dead; at += DV_MONITOR_DATA_BYTES) {
            size_t part = len - at < DV_MONITOR_DATA_BYTES ? len - at : DV_MONITOR_DATA_BYTES;
            struct dv_monitor_output output = {.data = {(uint8_t *)bytes + at, part},
                                               .is_error = stream == &source->streams[1]};
            put(client, &dv_schema_monitor_output, &output);
        }
        flush(t, client);
        if (client->is_dead || client->out.len <= OUT_HELD)
            continue;
        if (!source->buffer_max) {
            hold(t, source);
        } else {
            dv_log(DV_LOG_INFO, "a client of container '%s' does not read and is let go",
                   client->id);
            client->is_dead = true;
        }
    }
}

/* -- the end -------------------------------------------------------------------------------- */

static void finish(struct dv_log_thread *t, struct attached *client)
{
    if (client->source || !client->is_over || client->is_told_end || client->is_dead)
        return;
    struct dv_monitor_ended ended = {.exit_code = client->exit_code,
                                     .is_code_known = client->is_code_known};
    put(client, &dv_schema_monitor_ended, &ended);
    client->is_told_end = true;
    flush(t, client);
}

void attach_source_ended(struct dv_log_thread *t, const struct source *source)
{
    for (struct attached *client = t->clients; client; client = client->next) {
        if (client->source != source)
            continue;
        client->source = NULL;
        finish(t, client);
    }
}

void attach_process_ended(struct dv_log_thread *t, const struct order *order)
{
    for (struct attached *client = t->clients; client; client = client->next) {
        if (client->is_over || strcmp(client->id, order->id) != 0)
            continue;
        client->is_over = true;
        client->is_code_known = order->is_code_known;
        client->exit_code = order->exit_code;
        if (client->source && client->is_session) {
            client->source->is_over = true;
            log_drain(t, client->source);
        }
        finish(t, client);
    }
}

/* -- input ---------------------------------------------------------------------------------- */

static void close_input(struct dv_log_thread *t, struct attached *client)
{
    if (client->input >= 0)
        (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, client->input, NULL);
    dv_close(&client->input);
    dv_buf_clear(&client->in);
}

static void write_input(struct dv_log_thread *t, struct attached *client)
{
    bool had_to_wait = client->in.len > 0;
    while (client->in.len && client->input >= 0) {
        ssize_t written = write(client->input, client->in.data, client->in.len);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0 && errno == EAGAIN) {
            struct epoll_event event = {.events = EPOLLOUT, .data.ptr = tagged(client, TAG_INPUT)};
            (void)epoll_ctl(t->epoll, EPOLL_CTL_ADD, client->input, &event);
            return;
        }
        if (written < 0)
            close_input(t, client); /* nobody will ever read it */
        else
            dv_buf_consume(&client->in, (size_t)written);
    }
    if (client->input < 0)
        dv_buf_clear(&client->in);
    else if (had_to_wait)
        (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, client->input, NULL);
    if (client->is_input_ended)
        close_input(t, client);
}

void attach_input_event(struct dv_log_thread *t, struct attached *client)
{
    if (client->is_dead || client->input < 0)
        return;
    write_input(t, client);
    watch(t, client, EPOLL_CTL_MOD);
}

static void resize(const struct attached *client, const struct dv_monitor_resize *size)
{
    const struct winsize window = {.ws_row = (unsigned short)size->rows,
                                   .ws_col = (unsigned short)size->columns};
    if (client->is_tty && client->input >= 0)
        (void)ioctl(client->input, TIOCSWINSZ, &window);
}

static void
take_frame(struct dv_log_thread *t, struct attached *client, const void *frame, size_t len)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(FRAME_ARENA);
    struct dv_error err = DV_ERROR_INIT;
    uint16_t kind = 0;
    void *body = NULL;
    int r = arena ? dv_monitor_decode(frame, len, arena, &kind, &body, &err)
                  : dv_error_set(&err, DV_ERR_NO_MEMORY, "no memory for a frame");
    if (r == 0 && kind == DV_KIND_monitor_resize) {
        resize(client, body);
    } else if (r == 0 && kind == DV_KIND_monitor_input) {
        const struct dv_monitor_input *input = body;
        /* Other clients may type into a container later: its input never ends. */
        client->is_input_ended |= input->is_end && client->is_session && !client->is_tty;
        if (client->takes_input && client->input >= 0 && input->data.len)
            r = dv_buf_append(&client->in, input->data.data, input->data.len, &err);
        if (r == 0)
            write_input(t, client);
    } else if (r == 0) {
        r = dv_error_set(&err, DV_ERR_PROTOCOL, "a frame of kind %u is not for a stream", kind);
    }
    if (r < 0) {
        dv_log(DV_LOG_WARN, "a client of '%s' is let go: %s", client->id, err.text);
        client->is_dead = true;
    }
}

static void read_frames(struct dv_log_thread *t, struct attached *client)
{
    char frame[FRAME_BYTES];
    for (unsigned i = 0; i < FRAMES_ROUND && !client->in.len && !client->is_dead; i++) {
        ssize_t got = recv(client->fd, frame, sizeof(frame), MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            break;
        if (got > 0 && (size_t)got <= sizeof(frame))
            take_frame(t, client, frame, (size_t)got);
        else
            client->is_dead = true; /* it went, or sent what no frame can be */
    }
    if (!client->is_dead)
        watch(t, client, EPOLL_CTL_MOD);
}

/* -- clients -------------------------------------------------------------------------------- */

void attach_begin(struct dv_log_thread *t, struct attached *client, struct source *source)
{
    client->next = t->clients;
    t->clients = client;
    client->source = source;
    watch(t, client, EPOLL_CTL_ADD);
    /* Only one that was taken over has these already. */
    if (client->in.len)
        attach_input_event(t, client);
}

void attach_event(struct dv_log_thread *t, struct attached *client, uint32_t events)
{
    if (client->is_dead)
        return;
    if (events & EPOLLOUT)
        flush(t, client);
    if (!client->is_dead && (events & EPOLLIN))
        read_frames(t, client);
    else if (events & (EPOLLHUP | EPOLLERR))
        client->is_dead = true;
}

static bool is_stuck(const struct attached *client)
{
    return !client->is_session && client->stalled_ns && client->out.len > OUT_FREE;
}

static void forget(struct dv_log_thread *t, struct attached *client)
{
    struct source *source = client->source;
    (void)epoll_ctl(t->epoll, EPOLL_CTL_DEL, client->fd, NULL);
    close_input(t, client);
    client->source = NULL;
    if (source && client->is_session)
        log_close(t, source);
    else if (source)
        go_on(t, source);
    attach_free(client);
    atomic_fetch_sub(&t->client_count, 1);
}

int attach_look(struct dv_log_thread *t)
{
    int64_t now = dv_clock_monotonic_ns(dv_clock_real());
    int64_t wait = -1;
    struct attached **at = &t->clients;
    while (*at) {
        struct attached *client = *at;
        int64_t left = client->stalled_ns + STALLED_NS - now;
        if (is_stuck(client) && left <= 0 && !client->is_dead) {
            dv_log(DV_LOG_INFO, "a client of container '%s' does not read and is let go",
                   client->id);
            client->is_dead = true;
        } else if (is_stuck(client) && (wait < 0 || left < wait)) {
            wait = left;
        }
        if (!client->is_dead) {
            at = &client->next;
            continue;
        }
        *at = client->next;
        forget(t, client);
    }
    return wait < 0 ? -1 : (int)(wait / NS_PER_MS) + 1;
}
