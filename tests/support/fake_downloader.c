/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/support/fake_downloader.h"

#include "base/sha256.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct fake_downloads *used;

void fake_downloads_use(struct fake_downloads *downloads)
{
    used = downloads;
}

struct pending {
    struct pending *next;
    struct dv_request *request;
    char url[512];
    uint64_t timer;
};

struct state {
    struct pending *pending;
};

static void answer(struct dv_cell *cell, struct pending *pending)
{
    char name[128] = "";
    char image[256] = "";
    char body[1024];
    char hex[DV_SHA256_HEX_SIZE];
    struct dv_error err = DV_ERROR_INIT;
    bool is_good = sscanf(pending->url, "http://sim/%127[^/]/%255s", name, image) == 2;
    if (used->failures || !is_good) {
        used->failures -= used->failures > 0;
        dv_error_set(&err, DV_ERR_UNAVAILABLE, "%s: nobody answers", pending->url);
        dv_answer_error(cell, &pending->request, &err);
        return;
    }
    snprintf(body, sizeof(body),
             "{\"container_name\":\"%s\",\"image\":{\"name\":\"%s\"},"
             "\"host_config\":{\"restart_policy\":{\"type\":\"unless-stopped\"}}}",
             name, image);
    struct dv_sha256 sha;
    dv_sha256_init(&sha);
    dv_sha256_add(&sha, body, strlen(body));
    struct dv_artifact_result result = {
        .body = {(uint8_t *)body, strlen(body)},
        .sha256 = dv_sha256_finish_hex(&sha, hex),
        .is_unverified = true,
    };
    dv_answer(cell, &pending->request, DV_KIND_artifact_result, &result);
}

static void on_due(struct dv_cell *cell, void *ctx)
{
    struct state *s = dv_cell_state(cell);
    struct pending **at = &s->pending;
    while (*at != ctx)
        at = &(*at)->next;
    struct pending *pending = *at;
    *at = pending->next;
    answer(cell, pending);
    free(pending);
}

static int on_artifact(struct dv_cell *cell,
                       const void *body,
                       struct dv_request **request,
                       struct dv_error *err)
{
    struct state *s = dv_cell_state(cell);
    const struct dv_artifact_cmd *command = body;
    struct pending *pending = calloc(1, sizeof(*pending));
    if (!pending)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory");
    snprintf(pending->url, sizeof(pending->url), "%.*s", (int)command->link->url.len,
             (const char *)command->link->url.data);
    pending->request = *request;
    *request = NULL;
    pending->next = s->pending;
    s->pending = pending;
    pending->timer = dv_timer_set(cell, used->delay_ms, on_due, pending);
    return 0;
}

static void stop_cell(struct dv_cell *cell)
{
    struct state *s = dv_cell_state(cell);
    while (s->pending) {
        struct pending *pending = s->pending;
        s->pending = pending->next;
        free(pending);
    }
}

static const struct dv_handler handlers[] = {{DV_KIND_artifact_cmd, on_artifact}};

const struct dv_cell_type fake_downloader_cell = {
    .name = "downloader",
    .state_size = sizeof(struct state),
    .handlers = handlers,
    .handler_count = 1,
    .is_service = true,
    .stop = stop_cell,
};
