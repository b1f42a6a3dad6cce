/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/config.h"
#include "runtime/image/digest.h"
#include "runtime/image/pull.h"
#include "runtime/image/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Two documents of each depth, a configuration, tokens and addresses: far below. */
#define ARENA_MAX (16U << 20)

/* ---- errors ---- */

int dv_pull_die_for_good(struct dv_pull *pull, const struct dv_error *cause, struct dv_error *err)
{
    enum dv_error_class class = cause->class;
    if (class == DV_ERR_INVALID || class == DV_ERR_NOT_FOUND || class == DV_ERR_LIMIT ||
        class == DV_ERR_UNSUPPORTED || class == DV_ERR_EXISTS || class == DV_ERR_NONE)
        class = DV_ERR_FAILED;
    pull->is_dead = true;
    const char *hint = "";
    if (!pull->is_transport_settled && dv_reference_host_is_bare(&pull->reference))
        hint = " (the text before the first '/' is the registry's host: was it forgotten?)";
    return dv_error_set(
        err, class, "image '%s': registry '%s': %s%s%s%s%s%s", pull->reference.text, pull->host,
        cause->text, hint,
        pull->plain_http.class && !pull->is_transport_settled ? "; and by plain HTTP: " : "",
        pull->is_transport_settled ? "" : pull->plain_http.text,
        pull->mirror_failure.class ? "; and its mirror: " : "", pull->mirror_failure.text);
}

/* From now on that host is asked, as the settings say for it. */
static void ask_host(struct dv_pull *pull, const char *host, const char *configured, bool is_mirror)
{
    pull->host = host;
    pull->is_mirror = is_mirror;
    pull->registry = dv_registry_find(pull->settings, configured);
    bool is_known = pull->registry && pull->registry->user;
    pull->user = is_known ? pull->registry->user : is_mirror ? NULL : pull->found_user;
    pull->password = is_known ? pull->registry->password : is_mirror ? NULL : pull->found_password;
    pull->identity = is_known || is_mirror ? NULL : pull->found_identity;
    pull->is_insecure = dv_registry_is_insecure(pull->settings, configured);
    pull->is_https = !pull->is_insecure;
    pull->is_transport_settled = false;
    pull->plain_http = DV_ERROR_INIT;
    pull->authorization = NULL;
    pull->is_basic = false;
    pull->login++;
    pull->depth = 0;
    for (size_t i = 0; i < FIXED_TASKS; i++)
        pull->tasks[i] = (struct task){.kind = (enum task_kind)i, .what.size = -1};
    struct task *document = &pull->tasks[TASK_DOCUMENT];
    document->stage = STAGE_GET;
    if (pull->reference.digest[0])
        document->what.digest = pull->reference.digest;
}

/* What a mirror does not have or does not give, the registry may. */
int dv_pull_die(struct dv_pull *pull, const struct dv_error *cause, struct dv_error *err)
{
    if (!pull->is_mirror || pull->result.manifest.digest || cause->class == DV_ERR_NO_MEMORY)
        return dv_pull_die_for_good(pull, cause, err);
    (void)dv_error_set(&pull->mirror_failure, cause->class, "%.120s: %.400s", pull->host,
                       cause->text);
    ask_host(pull, dv_reference_api_host(&pull->reference), pull->reference.host, false);
    return 0;
}

int dv_pull_no_memory(struct dv_pull *pull, struct dv_error *err)
{
    pull->is_dead = true;
    return dv_error_set(err, DV_ERR_NO_MEMORY, "image '%s': out of memory for the pull",
                        pull->reference.text);
}

const char *
dv_pull_object(const struct dv_pull *pull, const struct task *task, char text[DV_PULL_OBJECT_SIZE])
{
    static const char *const names[] = {"manifest", "configuration", "token", "room", "layer"};
    const char *id = task->what.digest          ? task->what.digest
                     : task->kind == TASK_TOKEN ? "for it"
                                                : dv_reference_object(&pull->reference);
    (void)snprintf(text, DV_PULL_OBJECT_SIZE, "%s %s", names[task->kind], id);
    return text;
}

/* ---- life ---- */

static int
take_login(struct dv_pull *pull, const struct dv_registry_login *login, struct dv_error *err)
{
    if (!login)
        return 0;
    if (login->note && !(pull->login_note = dv_arena_strdup(pull->arena, login->note)))
        return dv_pull_no_memory(pull, err);
    if (!login->user || !*login->user)
        return 0;
    const char *password = login->password.len ? (const char *)login->password.data : "";
    pull->found_user = dv_arena_strdup(pull->arena, login->user);
    pull->found_password = dv_arena_strndup(pull->arena, password, login->password.len);
    if (login->identity.len)
        pull->found_identity =
            dv_arena_strndup(pull->arena, (const char *)login->identity.data, login->identity.len);
    bool is_copied =
        pull->found_user && pull->found_password && (!login->identity.len || pull->found_identity);
    return is_copied ? 0 : dv_pull_no_memory(pull, err);
}

int dv_pull_new(const struct dv_pull_options *options, struct dv_pull **ret, struct dv_error *err)
{
    DV_AUTO(dv_pull) pull = calloc(1, sizeof(*pull));
    if (!pull || !(pull->arena = dv_arena_new(ARENA_MAX)))
        return dv_error_set(err, DV_ERR_NO_MEMORY, "image '%s': out of memory for the pull",
                            options->reference->text);
    pull->reference = *options->reference;
    pull->settings = options->settings;
    int r = take_login(pull, options->login, err);
    if (r < 0)
        return r;
    pull->platform = options->platform;
    pull->ingest_dir = options->ingest_dir;
    pull->stall_ms = options->stall_ms;
    pull->downloads_max =
        options->downloads_max ? options->downloads_max : DV_PULL_DOWNLOADS_DEFAULT;
    pull->result.reference = pull->reference.text;
    pull->task_count = FIXED_TASKS;
    const char *mirror = dv_registry_mirror(options->settings, pull->reference.host);
    if (mirror)
        ask_host(pull, mirror, mirror, true);
    else
        ask_host(pull, dv_reference_api_host(&pull->reference), pull->reference.host, false);
    *ret = dv_steal(&pull);
    return 0;
}

void dv_pull_free(struct dv_pull *pull)
{
    if (!pull)
        return;
    dv_arena_free(pull->arena);
    free(pull);
}

/* ---- steps ---- */

/* What every request to the registry has in common. */
static int fill_download(struct dv_pull *pull,
                         struct task *task,
                         const char *kind,
                         const char *object,
                         struct dv_error *err)
{
    struct dv_download_cmd *cmd = &task->body.download;
    const char *host = pull->host;
    cmd->url =
        dv_arena_printf(pull->arena, "%s://%s/v2/%s/%s/%s", pull->is_https ? "https" : "http", host,
                        pull->reference.repository, kind, object);
    if (!cmd->url)
        return dv_pull_no_memory(pull, err);
    if (pull->registry && !pull->is_insecure) {
        cmd->root_ca = (char *)(uintptr_t)pull->registry->root_ca;
        cmd->client_cert = (char *)(uintptr_t)pull->registry->client_cert;
        cmd->client_key = (char *)(uintptr_t)pull->registry->client_key;
    }
    cmd->is_unverified = pull->is_insecure;
    if (pull->authorization) {
        cmd->authorization = dv_pull_secret(pull->authorization);
        cmd->secret_host = dv_arena_strdup(pull->arena, host);
        if (!cmd->secret_host)
            return dv_pull_no_memory(pull, err);
    }
    task->login = pull->login;
    return 0;
}

static int fill_blob(struct dv_pull *pull, struct task *task, struct dv_error *err)
{
    struct dv_download_cmd *cmd = &task->body.download;
    int r = fill_download(pull, task, "blobs", task->what.digest, err);
    if (r < 0)
        return r;
    cmd->digest = task->what.digest;
    cmd->size = task->what.size;
    cmd->max_bytes = task->what.size > 0 ? task->what.size : 1;
    return 0;
}

/* Where a layer is downloaded to; also what is adopted. */
static char *ingest_path(struct dv_pull *pull, const char *digest)
{
    struct dv_str algorithm = dv_digest_algorithm(digest), hex = dv_digest_hex(digest);
    return dv_arena_printf(pull->arena, "%s/%.*s-%.*s", pull->ingest_dir, DV_STR_ARG(algorithm),
                           DV_STR_ARG(hex));
}

static int fill_get(struct dv_pull *pull, struct task *task, struct dv_error *err)
{
    struct dv_download_cmd *cmd = &task->body.download;
    *cmd = (struct dv_download_cmd){.stall_ms = pull->stall_ms};
    char object[DV_PULL_OBJECT_SIZE];
    cmd->job = dv_arena_printf(pull->arena, "%.240s: %s", pull->reference.text,
                               dv_pull_object(pull, task, object));
    if (!cmd->job)
        return dv_pull_no_memory(pull, err);
    switch (task->kind) {
    case TASK_TOKEN:
        return dv_pull_fill_token(pull, task, err);
    case TASK_CONFIG:
        return fill_blob(pull, task, err);
    case TASK_LAYER:
        cmd->file = ingest_path(pull, task->what.digest);
        return cmd->file ? fill_blob(pull, task, err) : dv_pull_no_memory(pull, err);
    case TASK_DOCUMENT:
    case TASK_ROOM:
        break;
    }
    task->accept = (struct dv_http_header){.name = (char *)(uintptr_t) "Accept",
                                           .value = (char *)(uintptr_t)dv_manifest_accept};
    cmd->headers = (struct dv_http_header_list){.items = &task->accept, .count = 1};
    cmd->digest = task->what.digest;
    cmd->size = task->what.size > 0 ? task->what.size : 0;
    cmd->max_bytes = DV_PULL_BODY_MAX;
    return fill_download(
        pull, task, "manifests",
        task->what.digest ? task->what.digest : dv_reference_object(&pull->reference), err);
}

/* All layers: the worker knows which of them are stored. */
static int fill_room(struct dv_pull *pull, struct task *task, struct dv_error *err)
{
    size_t count = pull->task_count - FIXED_TASKS;
    struct dv_image_blob *blobs = dv_arena_array(pull->arena, count + 1, sizeof(*blobs));
    if (!blobs)
        return dv_pull_no_memory(pull, err);
    for (size_t i = 0; i < count; i++) {
        const struct dv_descriptor *layer = &pull->tasks[FIXED_TASKS + i].what;
        blobs[i] = (struct dv_image_blob){.digest = layer->digest, .size = layer->size};
    }
    task->body.room =
        (struct dv_image_room_job){.ref = pull->reference.text, .layers = {blobs, count}};
    return 0;
}

static int
fill_step(struct dv_pull *pull, struct task *task, struct dv_pull_step *ret, struct dv_error *err)
{
    int r = 0;
    uint16_t kind = DV_KIND_blob_store_job;
    if (task->stage == STAGE_GET) {
        kind = DV_KIND_download_cmd;
        r = fill_get(pull, task, err);
    } else if (task->stage == STAGE_ADOPT) {
        kind = DV_KIND_blob_adopt_job;
        task->body.adopt = (struct dv_blob_adopt_job){.digest = task->what.digest,
                                                      .file = ingest_path(pull, task->what.digest),
                                                      .is_unverified = task->is_unverified};
        r = task->body.adopt.file ? 0 : dv_pull_no_memory(pull, err);
    } else if (task->kind == TASK_ROOM) {
        kind = DV_KIND_image_room_job;
        r = fill_room(pull, task, err);
    } else {
        task->body.store = (struct dv_blob_store_job){
            .digest = task->what.digest, .content = task->content, .size = task->what.size};
    }
    if (r < 0)
        return r;
    task->is_sent = true;
    task->number = ++pull->last_number;
    *ret = (struct dv_pull_step){.number = task->number, .kind = kind, .body = &task->body};
    return 1;
}

static bool is_started(const struct task *task)
{
    return task->kind == TASK_LAYER && task->stage != STAGE_DONE &&
           (task->is_sent || task->stage != STAGE_ASK);
}

int dv_pull_next(struct dv_pull *pull, struct dv_pull_step *ret, struct dv_error *err)
{
    if (pull->is_dead)
        return 0;
    unsigned started = 0;
    for (size_t i = 0; i < pull->task_count; i++)
        started += is_started(&pull->tasks[i]);
    for (size_t i = 0; i < pull->task_count; i++) {
        struct task *task = &pull->tasks[i];
        if (task->is_sent || task->waits_for_token || task->stage == STAGE_IDLE ||
            task->stage == STAGE_DONE)
            continue;
        bool is_layer = task->kind == TASK_LAYER;
        if (is_layer && pull->tasks[TASK_ROOM].stage != STAGE_DONE)
            continue;
        if (is_layer && task->stage == STAGE_ASK && started >= pull->downloads_max)
            continue;
        return fill_step(pull, task, ret, err);
    }
    return 0;
}

/* ---- documents ---- */

static int add_layers(struct dv_pull *pull, const struct dv_document *document)
{
    pull->result.layer_count = document->layer_count;
    pull->result.layers =
        dv_arena_array(pull->arena, document->layer_count, sizeof(*pull->result.layers));
    if (!pull->result.layers)
        return -DV_ERR_NO_MEMORY;
    for (size_t i = 0; i < document->layer_count; i++) {
        const struct dv_descriptor *layer = &document->layers[i];
        pull->result.layers[i] = (struct dv_pull_layer){
            .digest = layer->digest, .media_type = layer->media_type, .size = layer->size};
        size_t at = FIXED_TASKS;
        while (at < pull->task_count && strcmp(pull->tasks[at].what.digest, layer->digest) != 0)
            at++;
        if (at == pull->task_count)
            pull->tasks[pull->task_count++] =
                (struct task){.kind = TASK_LAYER, .stage = STAGE_ASK, .what = *layer};
    }
    return 0;
}

/* Checks the body against the descriptor, which is completed when it was unknown. */
static int check_body(struct dv_pull *pull,
                      struct task *task,
                      const struct dv_download_result *answer,
                      struct dv_error *cause)
{
    const struct dv_bytes *body = &answer->body;
    if (body->len > DV_PULL_BODY_MAX)
        return dv_error_set(cause, DV_ERR_FAILED, "it is larger than %u bytes", DV_PULL_BODY_MAX);
    if (task->what.size >= 0 && (uint64_t)task->what.size != body->len)
        return dv_error_set(cause, DV_ERR_CORRUPT, "it has %zu bytes, expected are %lld", body->len,
                            (long long)task->what.size);
    task->what.size = (int64_t)body->len;
    if (task->what.digest)
        return dv_digest_verify(task->what.digest, body->data, body->len, cause);
    const char *claimed = dv_header_find(&answer->headers, "docker-content-digest");
    if (claimed && dv_digest_is_valid(dv_str_of(claimed))) {
        int r = dv_digest_verify(claimed, body->data, body->len, cause);
        if (r < 0)
            return r;
    }
    char digest[DV_DIGEST_SIZE];
    task->what.digest = dv_arena_strdup(pull->arena, dv_digest_of(body->data, body->len, digest));
    return task->what.digest ? 0 : dv_error_set(cause, DV_ERR_NO_MEMORY, "out of memory");
}

static int keep_body(struct dv_pull *pull, struct task *task, const struct dv_bytes *body)
{
    char *copy = dv_arena_strndup(pull->arena, (const char *)body->data, body->len);
    if (!copy)
        return -DV_ERR_NO_MEMORY;
    task->content = (struct dv_bytes){.data = (uint8_t *)copy, .len = body->len};
    task->stage = STAGE_STORE;
    return 0;
}

static int take_manifest(struct dv_pull *pull,
                         struct task *task,
                         const struct dv_document *document,
                         const struct dv_bytes *body)
{
    pull->result.manifest = (struct dv_descriptor){
        .media_type = document->media_type, .digest = task->what.digest, .size = task->what.size};
    pull->result.config_digest = document->config.digest;
    struct task *config = &pull->tasks[TASK_CONFIG];
    config->what = document->config;
    config->stage = STAGE_GET;
    pull->tasks[TASK_ROOM].stage = STAGE_ASK;
    int r = add_layers(pull, document);
    return r < 0 ? r : keep_body(pull, task, body);
}

static int document_came(struct dv_pull *pull,
                         struct task *task,
                         const struct dv_download_result *answer,
                         struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    struct dv_document document;
    char object[DV_PULL_OBJECT_SIZE];
    int r = check_body(pull, task, answer, &cause);
    if (r == 0)
        r = dv_document_parse(dv_header_find(&answer->headers, "content-type"),
                              (const char *)answer->body.data, answer->body.len, &pull->platform,
                              pull->arena, &document, &cause);
    if (r < 0) {
        (void)dv_error_prefix(&cause, "%s: ", dv_pull_object(pull, task, object));
        return dv_pull_die(pull, &cause, err);
    }
    if (document.kind == DV_DOCUMENT_MANIFEST)
        return take_manifest(pull, task, &document, &answer->body) < 0
                   ? dv_pull_no_memory(pull, err)
                   : 0;
    if (++pull->depth > DV_INDEX_DEPTH_MAX) {
        (void)dv_error_set(&cause, DV_ERR_FAILED, "more than %d indexes lead to its manifest",
                           DV_INDEX_DEPTH_MAX);
        return dv_pull_die(pull, &cause, err);
    }
    task->what = document.chosen;
    task->login_tries = 0;
    return 0;
}

static int config_came(struct dv_pull *pull,
                       struct task *task,
                       const struct dv_download_result *answer,
                       struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    struct dv_image_config config = {0};
    int r = check_body(pull, task, answer, &cause);
    if (r == 0)
        r = dv_image_config_parse((const char *)answer->body.data, answer->body.len, pull->arena,
                                  &config, &cause);
    if (r == 0 && config.diff_id_count != pull->result.layer_count)
        r = dv_error_set(&cause, DV_ERR_CORRUPT,
                         "the configuration has %zu diff_ids, the manifest %zu layers",
                         config.diff_id_count, pull->result.layer_count);
    if (r < 0)
        return dv_pull_die(pull, &cause, err);
    for (size_t i = 0; i < config.diff_id_count; i++)
        pull->result.layers[i].diff_id = config.diff_ids[i];
    return keep_body(pull, task, &answer->body) < 0 ? dv_pull_no_memory(pull, err) : 0;
}

static int layer_came(struct dv_pull *pull,
                      struct task *task,
                      const struct dv_download_result *answer,
                      struct dv_error *err)
{
    if (answer->bytes != task->what.size) {
        struct dv_error cause = DV_ERROR_INIT;
        (void)dv_error_set(&cause, DV_ERR_CORRUPT, "layer %s has %lld bytes, expected are %lld",
                           task->what.digest, (long long)answer->bytes, (long long)task->what.size);
        return dv_pull_die(pull, &cause, err);
    }
    task->is_unverified = answer->is_unverified;
    task->stage = STAGE_ADOPT;
    return 0;
}

/* ---- answers ---- */

static struct task *
take_step(struct dv_pull *pull, unsigned number, bool is_download, struct dv_error *err)
{
    for (size_t i = 0; i < pull->task_count; i++) {
        struct task *task = &pull->tasks[i];
        if (task->is_sent && task->number == number && (!is_download || task->stage == STAGE_GET)) {
            task->is_sent = false;
            return task;
        }
    }
    (void)dv_error_set(err, DV_ERR_INTERNAL, "image '%s': answer to step %u, which is not open",
                       pull->reference.text, number);
    return NULL;
}

/* An insecure registry that cannot be reached by plain HTTP is tried by https, any certificate. */
static bool switch_to_https(struct dv_pull *pull, const struct task *task, struct dv_error *cause)
{
    if (task->kind != TASK_DOCUMENT || pull->is_transport_settled || pull->is_https)
        return false;
    pull->plain_http = *cause;
    pull->is_https = true;
    return true;
}

/* Another server than a registry may listen where plain HTTP goes. */
static bool is_from_registry(const struct dv_download_result *answer)
{
    return dv_header_find(&answer->headers, "docker-distribution-api-version") ||
           (answer->body.len > 0 && answer->body.data[0] == '{');
}

static int refused(struct dv_pull *pull,
                   struct task *task,
                   const struct dv_download_result *answer,
                   struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    char object[DV_PULL_OBJECT_SIZE];
    (void)dv_registry_refusal(answer, dv_pull_object(pull, task, object), &cause);
    if (!is_from_registry(answer) && switch_to_https(pull, task, &cause))
        return 0;
    pull->is_transport_settled |= is_from_registry(answer);
    return answer->status == 403 ? dv_pull_deny(pull, task, answer, err)
                                 : dv_pull_die(pull, &cause, err);
}

int dv_pull_downloaded(struct dv_pull *pull,
                       unsigned number,
                       const struct dv_download_result *answer,
                       struct dv_error *err)
{
    struct task *task = take_step(pull, number, true, err);
    if (!task)
        return -DV_ERR_INTERNAL;
    if (task->kind == TASK_TOKEN)
        return dv_pull_token_came(pull, task, answer, err);
    bool is_success = answer->status == 200 || (answer->status == 206 && task->kind == TASK_LAYER);
    if (!is_success && answer->status != 401)
        return refused(pull, task, answer, err);
    pull->is_transport_settled = true;
    if (answer->status == 401)
        return dv_pull_login_wanted(pull, task, answer, err);
    switch (task->kind) {
    case TASK_DOCUMENT:
        return document_came(pull, task, answer, err);
    case TASK_CONFIG:
        return config_came(pull, task, answer, err);
    case TASK_LAYER:
    case TASK_ROOM:
    case TASK_TOKEN:
        break;
    }
    return layer_came(pull, task, answer, err);
}

int dv_pull_succeeded(struct dv_pull *pull, unsigned number, struct dv_error *err)
{
    struct task *task = take_step(pull, number, false, err);
    if (!task)
        return -DV_ERR_INTERNAL;
    if (task->stage == STAGE_GET) {
        struct dv_error cause = DV_ERROR_INIT;
        (void)dv_error_set(&cause, DV_ERR_INTERNAL, "a download was answered without a result");
        return dv_pull_die(pull, &cause, err);
    }
    task->stage = STAGE_DONE;
    return 0;
}

int dv_pull_failed(struct dv_pull *pull,
                   unsigned number,
                   const struct dv_error *cause,
                   struct dv_error *err)
{
    struct task *task = take_step(pull, number, false, err);
    if (!task)
        return -DV_ERR_INTERNAL;
    if (task->stage == STAGE_ASK && cause->class == DV_ERR_NOT_FOUND) {
        task->stage = STAGE_GET;
        return 0;
    }
    /* What an earlier download left was not the beginning of this layer. */
    if (task->stage == STAGE_ADOPT && task->is_unverified && !task->is_fresh &&
        cause->class == DV_ERR_CORRUPT) {
        task->is_fresh = true;
        task->stage = STAGE_GET;
        return 0;
    }
    struct dv_error copy = *cause;
    if (task->kind == TASK_ROOM)
        return dv_pull_die(pull, &copy, err);
    if (task->stage == STAGE_GET && switch_to_https(pull, task, &copy))
        return 0;
    char object[DV_PULL_OBJECT_SIZE];
    (void)dv_error_prefix(&copy, "%s: ", dv_pull_object(pull, task, object));
    return dv_pull_die(pull, &copy, err);
}

const struct dv_pull_result *dv_pull_result(const struct dv_pull *pull)
{
    if (pull->is_dead)
        return NULL;
    for (size_t i = 0; i < pull->task_count; i++)
        if (pull->tasks[i].kind != TASK_TOKEN && pull->tasks[i].stage != STAGE_DONE)
            return NULL;
    return &pull->result;
}
