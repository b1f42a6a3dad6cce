/* SPDX-License-Identifier: Apache-2.0 */
/* curl's multi interface on the cell's watches and timers. */
#include "actors/downloader/downloader.h"

#include "actors/downloader/artifact.h"
#include "actors/downloader/transfer.h"
#include "base/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 500

struct state {
    struct dv_cell *cell;
    CURLM *multi;
    struct transfer *transfers;
    unsigned count;
    uint64_t timer;
};

static void reap(struct state *s);

static void unlink_transfer(struct state *s, struct transfer *transfer)
{
    struct transfer **at = &s->transfers;
    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    s->count--;
}

static void drop(struct state *s, struct transfer *transfer)
{
    dv_timer_cancel(s->cell, transfer->retry_timer);
    curl_multi_remove_handle(s->multi, transfer->easy);
    unlink_transfer(s, transfer);
    transfer_free(transfer);
}

static void act(struct state *s, curl_socket_t socket, int events)
{
    int running;
    curl_multi_socket_action(s->multi, socket, events, &running);
    reap(s);
}

static void on_ready(struct dv_cell *cell, int fd, short events, void *ctx)
{
    (void)ctx;
    int mask = 0;
    if (events & (POLLIN | POLLHUP))
        mask |= CURL_CSELECT_IN;
    if (events & POLLOUT)
        mask |= CURL_CSELECT_OUT;
    if (events & (POLLERR | POLLNVAL))
        mask |= CURL_CSELECT_ERR;
    act(dv_cell_state(cell), fd, mask);
}

/* curl tells which sockets it waits for. */
static int on_socket(CURL *easy, curl_socket_t socket, int what, void *ctx, void *socket_ctx)
{
    (void)easy;
    (void)socket_ctx;
    struct state *s = ctx;
    short events = 0;
    if (what == CURL_POLL_IN || what == CURL_POLL_INOUT)
        events |= POLLIN;
    if (what == CURL_POLL_OUT || what == CURL_POLL_INOUT)
        events |= POLLOUT;
    struct dv_error err = DV_ERROR_INIT;
    if (dv_watch(s->cell, socket, events, on_ready, NULL, &err) < 0)
        dv_log(DV_LOG_ERROR, "downloader: %s", err.text);
    return 0;
}

static void on_due(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->timer = 0;
    act(s, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer(CURLM *multi, long timeout_ms, void *ctx)
{
    (void)multi;
    struct state *s = ctx;
    dv_timer_cancel(s->cell, s->timer);
    s->timer = timeout_ms < 0 ? 0 : dv_timer_set(s->cell, timeout_ms, on_due, NULL);
    return 0;
}

static void on_retry(struct dv_cell *cell, void *ctx)
{
    struct state *s = dv_cell_state(cell);
    struct transfer *transfer = ctx;
    transfer->retry_timer = 0;
    if (transfer->artifact)
        artifact_rewind(transfer);
    else
        transfer_rewind(transfer);
    curl_multi_add_handle(s->multi, transfer->easy);
}

static void answer_all(struct state *s,
                       struct transfer *transfer,
                       const struct dv_download_result *result,
                       const struct dv_error *error)
{
    for (unsigned i = 0; i <= transfer->sharer_count; i++) {
        struct dv_request **request = i ? &transfer->sharers[i - 1] : &transfer->request;
        if (error)
            dv_answer_error(s->cell, request, error);
        else
            dv_answer(s->cell, request, DV_KIND_download_result, result);
    }
}

static void answer_artifact(struct state *s, struct transfer *transfer, CURLcode code)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_artifact_result result;
    if (artifact_finish(transfer, code, &result, &err) < 0)
        dv_answer_error(s->cell, &transfer->request, &err);
    else
        dv_answer(s->cell, &transfer->request, DV_KIND_artifact_result, &result);
    unlink_transfer(s, transfer);
    transfer_free(transfer);
}

static void end(struct state *s, struct transfer *transfer, CURLcode code)
{
    curl_multi_remove_handle(s->multi, transfer->easy);
    int64_t wait_ms = (int64_t)RETRY_FIRST_MS << transfer->tries;
    if (transfer->artifact) /* many gateways may have been cut off by one server */
        wait_ms += (int64_t)(dv_cell_random(s->cell) % (uint64_t)(wait_ms / 2));
    if (transfer->artifact ? artifact_may_retry(transfer, code, wait_ms)
                           : transfer_may_retry(transfer, code)) {
        transfer->tries++;
        dv_log(DV_LOG_INFO, "downloader: %s broke after %lld bytes, goes on in %lld ms: %s",
               transfer->command->job,
               transfer->artifact ? (long long)transfer->body.len : (long long)transfer->stored,
               (long long)wait_ms, transfer->curl_text);
        transfer->retry_timer = dv_timer_set(s->cell, wait_ms, on_retry, transfer);
        return;
    }
    if (transfer->artifact) {
        answer_artifact(s, transfer, code);
        return;
    }
    struct dv_error err = DV_ERROR_INIT;
    struct dv_download_result result;
    bool is_failed = transfer_finish(transfer, code, &result, &err) < 0;
    answer_all(s, transfer, &result, is_failed ? &err : NULL);
    unlink_transfer(s, transfer);
    transfer_free(transfer);
}

static void reap(struct state *s)
{
    int left;
    CURLMsg *message;
    while ((message = curl_multi_info_read(s->multi, &left)) != NULL) {
        if (message->msg != CURLMSG_DONE)
            continue;
        struct transfer *transfer = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
        end(s, transfer, code);
    }
}

/* Two pulls of one layer from one place share its download. */
static struct transfer *find_same_file(const struct state *s, const struct dv_download_cmd *command)
{
    for (struct transfer *transfer = s->transfers; transfer; transfer = transfer->next)
        if (command->file && transfer->command->file &&
            strcmp(transfer->command->file, command->file) == 0 &&
            strcmp(transfer->command->url, command->url) == 0)
            return transfer;
    return NULL;
}

static int on_download(struct dv_cell *cell,
                       const void *body,
                       struct dv_request **request,
                       struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    if (!*request)
        return dv_error_set(err, DV_ERR_INTERNAL, "a download that nobody waits for");
    struct transfer *same = find_same_file(s, body);
    if (same) {
        if (same->sharer_count == TRANSFER_SHARERS_MAX)
            return dv_error_set(err, DV_ERR_BUSY, "too many pulls wait for one layer");
        same->sharers[same->sharer_count++] = dv_steal(request);
        return 0;
    }
    if (s->count >= DV_DOWNLOADS_MAX)
        return dv_error_set(err, DV_ERR_BUSY, "%u downloads run, the limit; try again later",
                            s->count);
    struct transfer *transfer = NULL;
    int r = transfer_new(body, &transfer, err);
    if (r < 0)
        return r;
    transfer->request = dv_steal(request);
    transfer->next = s->transfers;
    s->transfers = transfer;
    s->count++;
    curl_multi_add_handle(s->multi, transfer->easy);
    return 0;
}

static int on_artifact(struct dv_cell *cell,
                       const void *body,
                       struct dv_request **request,
                       struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    if (!*request)
        return dv_error_set(err, DV_ERR_INTERNAL, "an artifact that nobody waits for");
    if (s->count >= DV_DOWNLOADS_MAX)
        return dv_error_set(err, DV_ERR_BUSY, "%u downloads run, the limit; try again later",
                            s->count);
    struct transfer *transfer = NULL;
    int r = artifact_new(cell, body, &transfer, err);
    if (r < 0)
        return r;
    transfer->request = dv_steal(request);
    transfer->next = s->transfers;
    s->transfers = transfer;
    s->count++;
    curl_multi_add_handle(s->multi, transfer->easy);
    return 0;
}

static int
on_cancel(struct dv_cell *cell, const void *body, struct dv_request **request, struct dv_error *err)
{
    (void)request;
    (void)err;
    struct state *s = dv_cell_state(cell);
    const struct dv_download_cancel *cancel = body;
    struct dv_error gone = DV_ERROR_INIT;
    dv_error_set(&gone, DV_ERR_CANCELED, "%s: nobody needs it any more", cancel->job);
    struct transfer *next;
    for (struct transfer *transfer = s->transfers; transfer; transfer = next) {
        next = transfer->next;
        /* One that others share goes on: the canceled asker has its answer thrown away. */
        if (strcmp(transfer->command->job, cancel->job) != 0 || transfer->sharer_count)
            continue;
        answer_all(s, transfer, NULL, &gone);
        drop(s, transfer);
    }
    return 0;
}

static const struct dv_handler handlers[] = {
    {DV_KIND_download_cmd, on_download},
    {DV_KIND_download_cancel, on_cancel},
    {DV_KIND_artifact_cmd, on_artifact},
};

static int start_cell(struct dv_cell *cell, const void *start, struct dv_error *err)
{
    (void)start;
    struct state *s = dv_cell_state(cell);
    s->cell = cell;
    s->multi = curl_multi_init();
    if (!s->multi)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for downloads");
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(s->multi, CURLMOPT_SOCKETDATA, s);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(s->multi, CURLMOPT_TIMERDATA, s);
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    while (s->transfers)
        drop(s, s->transfers);
    if (s->multi)
        curl_multi_cleanup(s->multi);
}

const struct dv_cell_type dv_downloader_cell = {
    .name = "downloader",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = sizeof(handlers) / sizeof(handlers[0]),
    .is_service = true,
    .start = start_cell,
    .stop = stop_cell,
};
