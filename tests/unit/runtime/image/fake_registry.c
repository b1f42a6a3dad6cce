/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

char layer_digest[2][DV_DIGEST_SIZE];
char config_digest[DV_DIGEST_SIZE];
char manifest_text[2048], manifest_digest[DV_DIGEST_SIZE];
char index_text[1024];
static char config_text[1024];
static const char layers[2][8] = {"layer-a", "layer-b"};

void registry_setup(void)
{
    for (int i = 0; i < 2; i++)
        dv_digest_of(layers[i], 7, layer_digest[i]);
    (void)snprintf(config_text, sizeof(config_text),
                   "{\"architecture\":\"amd64\",\"os\":\"linux\",\"rootfs\":{\"type\":\"layers\","
                   "\"diff_ids\":[\"%s\",\"%s\"]}}",
                   layer_digest[1], layer_digest[0]);
    dv_digest_of(config_text, strlen(config_text), config_digest);
    (void)snprintf(manifest_text, sizeof(manifest_text),
                   "{\"schemaVersion\":2,\"mediaType\":\"%s\",\"config\":{\"mediaType\":\"%s\","
                   "\"digest\":\"%s\",\"size\":%zu},\"layers\":["
                   "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
                   "\"size\":7},"
                   "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\",\"digest\":\"%s\","
                   "\"size\":7}]}",
                   DV_MEDIA_OCI_MANIFEST, DV_MEDIA_OCI_CONFIG, config_digest, strlen(config_text),
                   layer_digest[0], layer_digest[1]);
    dv_digest_of(manifest_text, strlen(manifest_text), manifest_digest);
    (void)snprintf(index_text, sizeof(index_text),
                   "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":\"%s\","
                   "\"size\":%zu,\"platform\":{\"os\":\"linux\",\"architecture\":\"amd64\"}}]}",
                   DV_MEDIA_OCI_MANIFEST, manifest_digest, strlen(manifest_text));
}

struct route *registry_add(
    struct fake_registry *fake, const char *url, int status, const char *type, const char *body)
{
    cr_assert_lt(fake->count, (size_t)ROUTES_MAX);
    fake->routes[fake->count] =
        (struct route){.url = url, .status = status, .type = type, .body = body};
    return &fake->routes[fake->count++];
}

/* The addresses of the last eight routes live in static storage. */
void registry_add_image(struct fake_registry *fake,
                        const char *base,
                        const char *tag,
                        const char *wants,
                        const char *challenge)
{
    static char urls[8][512];
    static size_t used;
    const char *bodies[] = {manifest_text, manifest_text, config_text, NULL, NULL};
    const char *types[] = {DV_MEDIA_OCI_MANIFEST, DV_MEDIA_OCI_MANIFEST, "application/octet-stream",
                           NULL, NULL};
    const char *names[] = {tag, manifest_digest, config_digest, layer_digest[0], layer_digest[1]};
    for (size_t i = 0; i < 5; i++) {
        char *url = urls[used++ % 8];
        (void)snprintf(url, 512, "%s/%s/%s", base, i < 2 ? "manifests" : "blobs", names[i]);
        struct route *route = registry_add(fake, url, 200, types[i], bodies[i]);
        route->wants = wants;
        route->challenge = challenge;
    }
}

static const struct route *find(const struct fake_registry *fake, const char *url)
{
    for (size_t i = 0; i < fake->count; i++)
        if (strcmp(fake->routes[i].url, url) == 0)
            return &fake->routes[i];
    return NULL;
}

static char name_challenge[] = "Www-Authenticate", name_type[] = "Content-Type";
static char name_digest[] = "docker-content-digest";

static int answer(struct fake_registry *fake,
                  struct dv_pull *pull,
                  unsigned number,
                  const struct dv_download_cmd *cmd,
                  struct dv_error *err)
{
    cr_assert_eq(dv_buf_printf(&fake->trace, NULL, "%s%s%s%s\n", cmd->url,
                               cmd->authorization.len ? " " : "",
                               cmd->authorization.len ? (const char *)cmd->authorization.data : "",
                               cmd->is_unverified ? " unverified" : ""),
                 0);
    cr_assert_eq(!cmd->authorization.len, !cmd->secret_host);
    cr_assert_geq(cmd->max_bytes, 1);
    cr_assert(cmd->job && strlen(cmd->job) <= 512);
    fake->requests++;
    const struct route *route = find(fake, cmd->url);
    if (route && route->fails) {
        struct dv_error cause = DV_ERROR_INIT;
        (void)dv_error_set(&cause, route->fails, "%s", route->why);
        return dv_pull_failed(pull, number, &cause, err);
    }
    struct dv_download_result result = {.status = route ? route->status : 404};
    struct dv_http_header headers[4] = {
        {(char[]){"Docker-Distribution-Api-Version"}, (char[]){"registry/2.0"}}};
    result.headers = (struct dv_http_header_list){headers, 1};
    bool is_denied = route && route->wants &&
                     (!cmd->authorization.len ||
                      strcmp((const char *)cmd->authorization.data, route->wants) != 0);
    if (route && route->challenge && fake->expire_after && fake->requests == fake->expire_after)
        is_denied = true;
    if (is_denied) {
        result.status = 401;
        headers[result.headers.count++] =
            (struct dv_http_header){name_challenge, (char *)(uintptr_t)route->challenge};
        return dv_pull_downloaded(pull, number, &result, err);
    }
    if (route && route->type)
        headers[result.headers.count++] =
            (struct dv_http_header){name_type, (char *)(uintptr_t)route->type};
    if (route && route->claimed_digest)
        headers[result.headers.count++] =
            (struct dv_http_header){name_digest, (char *)(uintptr_t)route->claimed_digest};
    if (route && route->body)
        result.body = (struct dv_bytes){(uint8_t *)(uintptr_t)route->body, strlen(route->body)};
    if (cmd->file) {
        result.bytes = cmd->size;
        result.is_unverified = fake->resumed > 0;
        fake->resumed -= fake->resumed > 0;
    }
    return dv_pull_downloaded(pull, number, &result, err);
}

static int step(struct fake_registry *fake,
                struct dv_pull *pull,
                const struct dv_pull_step *what,
                struct dv_error *err)
{
    if (what->kind == DV_KIND_download_cmd)
        return answer(fake, pull, what->number, what->body, err);
    if (what->kind == DV_KIND_blob_adopt_job) {
        const struct dv_blob_adopt_job *job = what->body;
        cr_assert_eq(dv_buf_printf(&fake->trace, NULL, "adopt %s\n", job->file), 0);
        if (job->is_unverified && fake->spoilt) {
            struct dv_error other = DV_ERROR_INIT;
            fake->spoilt--;
            (void)dv_error_set(&other, DV_ERR_CORRUPT, "content has another digest");
            return dv_pull_failed(pull, what->number, &other, err);
        }
        return dv_pull_succeeded(pull, what->number, err);
    }
    if (what->kind == DV_KIND_image_room_job) {
        const struct dv_image_room_job *job = what->body;
        fake->rooms++;
        cr_assert_eq(job->layers.count, 2);
        cr_assert_eq(job->layers.items[1].size, 7);
        struct dv_error full = DV_ERROR_INIT;
        (void)dv_error_set(&full, DV_ERR_FAILED, "no room");
        return fake->is_full ? dv_pull_failed(pull, what->number, &full, err)
                             : dv_pull_succeeded(pull, what->number, err);
    }
    cr_assert_eq(what->kind, DV_KIND_blob_store_job);
    const struct dv_blob_store_job *job = what->body;
    cr_assert_eq(dv_buf_printf(&fake->trace, NULL, "%s %.14s\n", job->content.len ? "store" : "ask",
                               job->digest),
                 0);
    if (job->content.len)
        cr_assert_eq(dv_digest_verify(job->digest, job->content.data, job->content.len, NULL), 0);
    if (job->content.len || fake->has_layers)
        return dv_pull_succeeded(pull, what->number, err);
    struct dv_error missing = DV_ERROR_INIT;
    (void)dv_error_set(&missing, DV_ERR_NOT_FOUND, "not here");
    return dv_pull_failed(pull, what->number, &missing, err);
}

struct dv_pull *pull_start(const char *reference, const struct dv_registry_settings *settings)
{
    static const struct dv_registry_settings none;
    struct dv_reference ref;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_reference_parse(dv_str_of(reference), &ref, &err), 0, "%s", err.text);
    struct dv_pull_options options = {.reference = &ref,
                                      .settings = settings ? settings : &none,
                                      .platform = {"amd64", 1},
                                      .ingest_dir = "/in"};
    struct dv_pull *pull = NULL;
    cr_assert_eq(dv_pull_new(&options, &pull, &err), 0, "%s", err.text);
    return pull;
}

int pull_run(struct fake_registry *fake, struct dv_pull *pull, struct dv_error *err)
{
    fake->trace.max = 1U << 16;
    for (int turns = 0; turns < 1000; turns++) {
        struct dv_pull_step what;
        int r = dv_pull_next(pull, &what, err);
        if (r <= 0)
            return r;
        r = step(fake, pull, &what, err);
        if (r < 0)
            return r;
    }
    cr_assert_fail("the pull does not end:\n%s", fake->trace.data);
    return -1;
}

static void expect_image(const struct dv_pull *pull)
{
    const struct dv_pull_result *result = dv_pull_result(pull);
    cr_assert_not_null(result);
    cr_assert_str_eq(result->manifest.digest, manifest_digest);
    cr_assert_str_eq(result->manifest.media_type, DV_MEDIA_OCI_MANIFEST);
    cr_assert_eq((size_t)result->manifest.size, strlen(manifest_text));
    cr_assert_str_eq(result->config_digest, config_digest);
    cr_assert_eq(result->layer_count, 2);
    cr_assert_str_eq(result->layers[0].digest, layer_digest[0]);
    cr_assert_str_eq(result->layers[0].diff_id, layer_digest[1]);
}

void pull_succeeds(struct fake_registry *fake,
                   const char *reference,
                   const struct dv_registry_settings *settings)
{
    DV_AUTO(dv_pull) pull = pull_start(reference, settings);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(pull_run(fake, pull, &err), 0, "%s", err.text);
    expect_image(pull);
}

void pull_fails(struct fake_registry *fake,
                const char *reference,
                const struct dv_registry_settings *settings,
                enum dv_error_class class,
                const char *why)
{
    DV_AUTO(dv_pull) pull = pull_start(reference, settings);
    struct dv_error err = DV_ERROR_INIT;
    int r = pull_run(fake, pull, &err);
    cr_assert_eq(r, -(int)class, "%d not %d: %s\n%s", r, -(int)class, err.text, fake->trace.data);
    cr_assert(strstr(err.text, why), "%s", err.text);
    cr_assert_eq(strncmp(err.text, "image '", 7), 0, "%s", err.text);
    cr_assert_null(dv_pull_result(pull));
    struct dv_pull_step ignored;
    cr_assert_eq(dv_pull_next(pull, &ignored, NULL), 0, "a dead pull goes on");
    dv_buf_done(&fake->trace);
}
