/* SPDX-License-Identifier: Apache-2.0 */
/* curl's multi interface on the cell's watches and timers. */
#include "actors/downloader/downloader.h"

#include "actors/downloader/artifact.h"
#include "actors/downloader/hosts.h"
#include "actors/downloader/transfer.h"
#include "actors/env.h"
#include "base/log.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define RETRY_FIRST_MS 500
#define NS_PER_MS      1000000
#define REFILL_MS      100

struct state {
    struct dv_cell *cell;
    CURLM *multi;
    struct transfer *transfers;
    unsigned count;
    uint64_t timer;
    struct hosts hosts;
    unsigned probes;     /* first requests that are under way */
    uint64_t wake_timer; /* for those that wait for a server */
    int64_t wake_ns;
    int64_t rate_max; /* bytes a second of all blobs together, 0: no limit */
    int64_t budget;   /* bytes that may come now */
    uint64_t refill_timer;
};

static void reap(struct state *s);
static void arm_wake(struct state *s);
static void wake(struct state *s);
static void hear_probes(struct state *s);

static void unlink_transfer(struct state *s, struct transfer *transfer)
{
    struct transfer **at = &s->transfers;
    while (*at != transfer)
        at = &(*at)->next;
    *at = transfer->next;
    s->count--;
}

static int64_t now_of(const struct state *s)
{
    return dv_clock_monotonic_ns(dv_cell_clock(s->cell));
}

static void drop(struct state *s, struct transfer *transfer)
{
    dv_timer_cancel(s->cell, transfer->retry_timer);
    if (transfer->is_probe) {
        host_forget_probe(transfer->host);
        s->probes--;
    }
    curl_multi_remove_handle(s->multi, transfer->easy);
    unlink_transfer(s, transfer);
    transfer_free(transfer);
}

static void act(struct state *s, curl_socket_t socket, int events)
{
    int running;
    curl_multi_socket_action(s->multi, socket, events, &running);
    reap(s);
    if (s->probes)
        hear_probes(s);
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

/* -- the rate of all blobs together --------------------------------------------------------- */

static void on_refill(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    bool is_needed = false;
    int64_t room = s->rate_max; /* saved up for a second at most */
    s->refill_timer = 0;
    s->budget += s->rate_max * REFILL_MS / 1000;
    if (s->budget > room)
        s->budget = room;
    for (struct transfer *t = s->transfers; t && !is_needed; t = t->next)
        is_needed = t->budget != NULL;
    if (!is_needed)
        return;
    s->refill_timer = dv_timer_set(cell, REFILL_MS, on_refill, NULL);
    for (struct transfer *t = s->transfers; t && s->budget > 0; t = t->next) {
        if (!t->is_paused)
            continue;
        t->is_paused = false;
        curl_easy_pause(t->easy, CURLPAUSE_CONT); /* hands over what it holds, at once */
    }
}

/* curl's own limit lets bursts through that are larger than many layers. */
static void limit_rate(struct state *s, struct transfer *transfer)
{
    if (!s->rate_max || !transfer->command->file)
        return;
    transfer->budget = &s->budget;
    if (!s->refill_timer)
        s->refill_timer = dv_timer_set(s->cell, REFILL_MS, on_refill, NULL);
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

static void end_try(struct state *s, struct transfer *transfer, CURLcode code)
{
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

/* -- servers -------------------------------------------------------------------------------- */

static void fail(struct state *s, struct transfer *transfer, const struct dv_error *error)
{
    answer_all(s, transfer, NULL, error);
    unlink_transfer(s, transfer);
    transfer_free(transfer);
}

/* Sends it, lets it wait or fails it, as its server is. */
static void start(struct state *s, struct transfer *transfer)
{
    struct dv_error err = DV_ERROR_INIT;
    enum host_verdict verdict =
        transfer->host ? host_ask(transfer->host, now_of(s), &err) : HOST_GO;
    if (verdict == HOST_FAIL) {
        fail(s, transfer, &err);
        return;
    }
    transfer->is_waiting = verdict == HOST_WAIT;
    if (transfer->is_waiting) {
        arm_wake(s);
        return;
    }
    transfer->is_probe = transfer->host && transfer->host->state == HOST_PROBED;
    s->probes += transfer->is_probe;
    if (transfer->tries)
        transfer_rewind(transfer);
    limit_rate(s, transfer);
    curl_multi_add_handle(s->multi, transfer->easy);
}

/* A server that begins to send something useful is a good one: the others need not wait for the
 * end of what may be a large layer. */
static void hear_probes(struct state *s)
{
    bool is_heard = false;
    for (struct transfer *t = s->transfers; t; t = t->next) {
        if (!t->is_probe || !t->is_heard)
            continue;
        curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &t->status);
        if (t->status < 200 || t->status == 429 || t->status >= 500)
            continue;
        t->is_probe = false;
        s->probes--;
        host_answered(t->host);
        is_heard = true;
    }
    if (is_heard)
        wake(s);
}

static void on_wake(struct dv_cell *cell, void *ctx)
{
    (void)ctx;
    struct state *s = dv_cell_state(cell);
    s->wake_timer = 0;
    wake(s);
}

static bool may_start(const struct transfer *t, int64_t now_ns)
{
    return t->is_waiting && t->host->state != HOST_PROBED &&
           !(t->host->state == HOST_PAUSED && t->host->until_ns > now_ns);
}

/* Sleeps until the next server that wants to be left alone may be asked. */
static void arm_wake(struct state *s)
{
    int64_t now_ns = now_of(s), next_ns = INT64_MAX;
    for (const struct transfer *t = s->transfers; t; t = t->next)
        if (t->is_waiting && t->host->state == HOST_PAUSED && t->host->until_ns < next_ns)
            next_ns = t->host->until_ns;
    dv_timer_cancel(s->cell, s->wake_timer);
    s->wake_timer = 0;
    if (next_ns == INT64_MAX)
        return;
    int64_t wait_ms = next_ns > now_ns ? (next_ns - now_ns) / NS_PER_MS + 1 : 1;
    s->wake_timer = dv_timer_set(s->cell, wait_ms, on_wake, NULL);
}

/* Starts those whose server may be asked. Each start changes the list and the servers, so it begins
 * anew; a loop, because hundreds may wait and the stack is small. */
static void wake(struct state *s)
{
    struct transfer *t;
    do {
        int64_t now_ns = now_of(s);
        for (t = s->transfers; t && !may_start(t, now_ns); t = t->next)
            ;
        if (t)
            start(s, t);
    } while (t);
    arm_wake(s);
}

/* All that wait for a server that cannot be reached fail with the words of the one that tried. */
static void fail_waiting(struct state *s, const struct host *host, const struct dv_error *error)
{
    struct transfer *next;
    for (struct transfer *t = s->transfers; t; t = next) {
        next = t->next;
        if (t->is_waiting && t->host == host)
            fail(s, t, error);
    }
}

/* True when the transfer waits for its server now. */
static bool judge_host(struct state *s, struct transfer *transfer, CURLcode code)
{
    struct host *host = transfer->host;
    s->probes -= transfer->is_probe;
    transfer->is_probe = false;
    if (!host || transfer->artifact)
        return false;
    if (transfer_is_unreachable(transfer, code)) {
        struct dv_error why = DV_ERROR_INIT;
        struct dv_download_result none;
        (void)!transfer_finish(transfer, code, &none, &why);
        host_unreachable(host, &why, now_of(s));
        fail_waiting(s, host, &why);
        return false;
    }
    if (!transfer_is_put_off(transfer, code)) {
        host_answered(host);
        return false;
    }
    int64_t wall_s = dv_clock_wall_ns(dv_cell_clock(s->cell)) / 1000000000LL;
    int64_t wanted_ms = host_retry_after_ms(transfer_header(transfer, "retry-after"),
                                            transfer_header(transfer, "date"), wall_s);
    if (wanted_ms > HOST_PAUSE_MAX_S * 1000LL) {
        host_answered(host);
        return false;
    }
    int64_t wait_ms = host_busy(host, wanted_ms, dv_cell_random(s->cell), now_of(s));
    dv_log(DV_LOG_INFO, "downloader: %s: status %ld, asked again in %lld ms",
           transfer->command->job, transfer->status, (long long)wait_ms);
    transfer->tries++;
    transfer->is_waiting = true;
    return true;
}

static void end(struct state *s, struct transfer *transfer, CURLcode code)
{
    curl_multi_remove_handle(s->multi, transfer->easy);
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &transfer->status);
    bool is_put_off = judge_host(s, transfer, code);
    if (!is_put_off)
        end_try(s, transfer, code);
    wake(s);
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
    transfer->cell = cell;
    transfer->host = hosts_of(&s->hosts, transfer->command->url, now_of(s));
    transfer->next = s->transfers;
    s->transfers = transfer;
    s->count++;
    start(s, transfer);
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
    wake(s);
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
    const struct dv_actor_env *env = dv_cell_env(cell);
    s->cell = cell;
    s->rate_max = env->settings->pull_rate_max;
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
    hosts_done(&s->hosts);
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
