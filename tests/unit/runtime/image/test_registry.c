/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulls against a registry made of a table: address, what it wants to see, what it answers. The
 * trace of all steps is compared as text.
 */
#include "base/buf.h"
#include "runtime/image/digest.h"
#include "runtime/image/registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROUTES_MAX 24

struct route {
    const char *url;
    const char *wants;     /* authorization it must carry; NULL: any */
    const char *challenge; /* with 401 otherwise */
    int status;
    const char *type;
    const char *body;
    const char *claimed_digest;
    enum dv_error_class fails;
    const char *why;
};

struct fake {
    struct route routes[ROUTES_MAX];
    size_t count;
    bool has_layers; /* blobs are stored already */
    bool is_full;    /* the disk has no room */
    unsigned rooms;  /* times it was asked for room */
    unsigned spoilt; /* resumed layers that turn out to be others when they are adopted */
    unsigned resumed;
    struct dv_buf trace;
    unsigned expire_after; /* requests after which the login turns invalid; 0: never */
    unsigned requests;
};

static char layer_digest[2][DV_DIGEST_SIZE];
static char config_text[1024], manifest_text[2048], index_text[1024];
static char config_digest[DV_DIGEST_SIZE], manifest_digest[DV_DIGEST_SIZE];
static char index_digest[DV_DIGEST_SIZE];
static const char layers[2][8] = {"layer-a", "layer-b"};

static void setup(void)
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
    dv_digest_of(index_text, strlen(index_text), index_digest);
}

TestSuite(registry, .init = setup);

static struct route *
add(struct fake *fake, const char *url, int status, const char *type, const char *body)
{
    cr_assert_lt(fake->count, (size_t)ROUTES_MAX);
    fake->routes[fake->count] =
        (struct route){.url = url, .status = status, .type = type, .body = body};
    return &fake->routes[fake->count++];
}

/* Everything below base, which is "https://HOST/v2/REPOSITORY". Leaks on purpose never: the texts
 * live in static storage. */
static void add_image(
    struct fake *fake, const char *base, const char *tag, const char *wants, const char *challenge)
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
        struct route *route = add(fake, url, 200, types[i], bodies[i]);
        route->wants = wants;
        route->challenge = challenge;
    }
}

static const struct route *find(const struct fake *fake, const char *url)
{
    for (size_t i = 0; i < fake->count; i++)
        if (strcmp(fake->routes[i].url, url) == 0)
            return &fake->routes[i];
    return NULL;
}

static char name_challenge[] = "Www-Authenticate", name_type[] = "Content-Type";
static char name_digest[] = "docker-content-digest";

static int answer(struct fake *fake,
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

static int
step(struct fake *fake, struct dv_pull *pull, const struct dv_pull_step *what, struct dv_error *err)
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

static struct dv_pull *start(const char *reference, const struct dv_registry_settings *settings)
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

static int run(struct fake *fake, struct dv_pull *pull, struct dv_error *err)
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

static void
succeeds(struct fake *fake, const char *reference, const struct dv_registry_settings *settings)
{
    DV_AUTO(dv_pull) pull = start(reference, settings);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(run(fake, pull, &err), 0, "%s", err.text);
    expect_image(pull);
}

static void fails(struct fake *fake,
                  const char *reference,
                  const struct dv_registry_settings *settings,
                  enum dv_error_class class,
                  const char *why)
{
    DV_AUTO(dv_pull) pull = start(reference, settings);
    struct dv_error err = DV_ERROR_INIT;
    int r = run(fake, pull, &err);
    cr_assert_eq(r, -(int)class, "%d not %d: %s\n%s", r, -(int)class, err.text, fake->trace.data);
    cr_assert(strstr(err.text, why), "%s", err.text);
    cr_assert_eq(strncmp(err.text, "image '", 7), 0, "%s", err.text);
    cr_assert_null(dv_pull_result(pull));
    struct dv_pull_step ignored;
    cr_assert_eq(dv_pull_next(pull, &ignored, NULL), 0, "a dead pull goes on");
    dv_buf_done(&fake->trace);
}

#define R    "https://r.example.com/v2/u/x"
#define HTTP "http://r.example.com/v2/u/x"
#define REF  "r.example.com/u/x:1"

Test(registry, an_anonymous_pull_takes_each_blob_once)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", NULL, NULL);
    succeeds(&fake, REF, NULL);
    char expected[4096];
    (void)snprintf(expected, sizeof(expected),
                   R "/manifests/1\n"
                     "store %.14s\n" R "/blobs/%s\n"
                     "store %.14s\n"
                     "ask %.14s\n" R "/blobs/%s\nadopt /in/sha256-%s\n"
                     "ask %.14s\n" R "/blobs/%s\nadopt /in/sha256-%s\n",
                   manifest_digest, config_digest, config_digest, layer_digest[0], layer_digest[0],
                   layer_digest[0] + 7, layer_digest[1], layer_digest[1], layer_digest[1] + 7);
    cr_assert_str_eq(fake.trace.data, expected);
    dv_buf_done(&fake.trace);
}

Test(registry, stored_layers_are_not_downloaded)
{
    struct fake fake = {.has_layers = true};
    add_image(&fake, R, "1", NULL, NULL);
    succeeds(&fake, REF, NULL);
    cr_assert_null(strstr(fake.trace.data, "adopt"));
    dv_buf_done(&fake.trace);
}

Test(registry, an_index_leads_to_its_manifest)
{
    struct fake fake = {0};
    add(&fake, R "/manifests/1", 200, DV_MEDIA_OCI_INDEX, index_text);
    add_image(&fake, R, "unused", NULL, NULL);
    succeeds(&fake, REF, NULL);
    dv_buf_done(&fake.trace);
}

Test(registry, docker_hub_is_spoken_to_at_its_own_address)
{
    struct fake fake = {0};
    add_image(&fake, "https://registry-1.docker.io/v2/library/x", "1", NULL, NULL);
    succeeds(&fake, "docker.io/x:1", NULL);
    dv_buf_done(&fake.trace);
}

Test(registry, a_digest_is_asked_for_and_verified)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", NULL, NULL);
    char reference[256];
    (void)snprintf(reference, sizeof(reference), "r.example.com/u/x:9@%s", manifest_digest);
    succeeds(&fake, reference, NULL);
    dv_buf_done(&fake.trace);

    struct fake liar = {0};
    static char url[512];
    (void)snprintf(url, sizeof(url), R "/manifests/%s", manifest_digest);
    add(&liar, url, 200, DV_MEDIA_OCI_INDEX, index_text);
    fails(&liar, reference, NULL, DV_ERR_CORRUPT, "content has digest");
}

#define CHALLENGE                                                                                  \
    "Bearer "                                                                                      \
    "realm=\"https://auth.example.com/token\",service=\"reg\",scope=\"repository:u/x:pull\""
#define TOKEN_URL "https://auth.example.com/token?service=reg&scope=repository%3Au%2Fx%3Apull"

Test(registry, a_token_is_fetched_once_and_used_for_all)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
    add(&fake, TOKEN_URL, 200, "application/json", "{\"token\":\"tok\"}");
    succeeds(&fake, REF, NULL);
    const char *first = strstr(fake.trace.data, TOKEN_URL "\n");
    cr_assert_not_null(first, "%s", fake.trace.data);
    cr_assert_null(strstr(first + 1, TOKEN_URL), "%s", fake.trace.data);
    dv_buf_done(&fake.trace);
}

Test(registry, a_token_that_expires_in_the_middle_is_renewed)
{
    for (unsigned at = 4; at < 7; at++) {
        struct fake fake = {.expire_after = at};
        add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
        add(&fake, TOKEN_URL, 200, "application/json", "{\"token\":\"tok\"}");
        succeeds(&fake, REF, NULL);
        const char *first = strstr(fake.trace.data, TOKEN_URL "\n");
        cr_assert(first && strstr(first + 1, TOKEN_URL), "%u\n%s", at, fake.trace.data);
        dv_buf_done(&fake.trace);
    }
}

static const struct dv_registry with_password[] = {
    {.host = "r.example.com", .user = "u", .password = "p"}};
static const struct dv_registry_settings password = {.registries = with_password,
                                                     .registry_count = 1};

Test(registry, credentials_go_to_the_token_server_of_the_same_domain)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
    struct route *token = add(&fake, TOKEN_URL, 200, NULL, "{\"token\":\"tok\"}");
    token->wants = "Basic dTpw";
    succeeds(&fake, REF, &password);
    dv_buf_done(&fake.trace);
}

Test(registry, credentials_do_not_go_to_a_token_server_elsewhere)
{
    struct fake fake = {0};
    const char *url = "https://evil.net/t?scope=repository%3Au%2Fx%3Apull";
    add_image(&fake, R, "1", "Bearer tok", "Bearer realm=\"https://evil.net/t\"");
    add(&fake, url, 200, NULL, "{\"token\":\"tok\"}");
    DV_AUTO(dv_pull) pull = start(REF, &password);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(run(&fake, pull, &err), 0, "%s", err.text);
    cr_assert_null(strstr(fake.trace.data, "Basic"), "%s", fake.trace.data);
    dv_buf_done(&fake.trace);

    struct fake wants = {0};
    add_image(&wants, R, "1", "Bearer tok", "Bearer realm=\"https://evil.net/t\"");
    struct route *token = add(&wants, url, 200, NULL, "{\"token\":\"tok\"}");
    token->wants = "Basic dTpw";
    fails(&wants, REF, &password, DV_ERR_DENIED, "was not sent to 'https://evil.net/t'");
}

Test(registry, basic_login_works)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", "Basic dTpw", "Basic realm=\"r\"");
    succeeds(&fake, REF, &password);
    dv_buf_done(&fake.trace);
}

Test(registry, refused_logins_say_what_is_the_matter)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", "Basic xxxx", "Basic realm=\"r\"");
    fails(&fake, REF, &password, DV_ERR_DENIED, "credentials of 'u' do not do");
    fails(&fake, REF, NULL, DV_ERR_DENIED, "no credentials are configured for 'r.example.com'");
    struct fake bearer = {0};
    add_image(&bearer, R, "1", "Bearer other", CHALLENGE);
    add(&bearer, TOKEN_URL, 200, NULL, "{\"token\":\"tok\"}");
    fails(&bearer, REF, NULL, DV_ERR_DENIED, "no credentials are configured");
    struct fake plain = {0};
    add_image(&plain, R, "1", "Bearer tok", "Bearer realm=\"http://auth.example.com/\"");
    fails(&plain, REF, NULL, DV_ERR_FAILED, "only https");
    struct fake strange = {0};
    add_image(&strange, R, "1", "Digest x", "Digest realm=\"r\"");
    fails(&strange, REF, NULL, DV_ERR_FAILED, "no method that davit knows");
}

Test(registry, broken_token_servers_are_named)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", "Bearer tok", CHALLENGE);
    struct route *token = add(&fake, TOKEN_URL, 200, NULL, "<html>");
    fails(&fake, REF, NULL, DV_ERR_CORRUPT, "token answer");
    token->status = 503;
    fails(&fake, REF, NULL, DV_ERR_UNAVAILABLE, "token from 'https://auth.example.com/token'");
    token->status = 403;
    fails(&fake, REF, NULL, DV_ERR_DENIED, "no credentials");
}

static const struct {
    int status;
    const char *body;
    enum dv_error_class class;
    const char *why;
} refusals[] = {
    {404,
     "{\"errors\":[{\"code\":\"MANIFEST_UNKNOWN\",\"message\":\"manifest "
     "unknown\",\"detail\":{}}]}",
     DV_ERR_FAILED, "there is no manifest 1 (404, MANIFEST_UNKNOWN: manifest unknown)"},
    {404, "<html>", DV_ERR_FAILED, "there is no manifest 1 (404)"},
    {403, "{\"errors\":[{\"code\":\"DENIED\",\"message\":\"a\\nb\"}]}", DV_ERR_DENIED,
     "DENIED: a?b"},
    {429, NULL, DV_ERR_UNAVAILABLE, "too many requests"},
    {500, NULL, DV_ERR_UNAVAILABLE, "server error 500"},
    {503, "{\"errors\":7}", DV_ERR_UNAVAILABLE, "server error 503"},
    {302, NULL, DV_ERR_PROTOCOL, "unexpected answer 302"},
    {418, NULL, DV_ERR_PROTOCOL, "unexpected answer 418"},
};

Test(registry, refusals_name_image_registry_and_cause)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        struct fake fake = {0};
        add(&fake, R "/manifests/1", refusals[i].status, NULL, refusals[i].body);
        fails(&fake, REF, NULL, refusals[i].class, refusals[i].why);
        fails(&fake, REF, NULL, refusals[i].class,
              "image 'r.example.com/u/x:1': registry 'r.example.com': ");
    }
}

Test(registry, what_is_no_image_is_refused)
{
    struct fake fake = {0};
    struct route *route = add(&fake, R "/manifests/1", 200, "text/html", "<html>login</html>");
    fails(&fake, REF, NULL, DV_ERR_FAILED, "media type 'text/html'");
    route->type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    fails(&fake, REF, NULL, DV_ERR_FAILED, "schema 1");
    route->type = DV_MEDIA_OCI_MANIFEST;
    fails(&fake, REF, NULL, DV_ERR_CORRUPT, "manifest");
    route->body = manifest_text;
    route->claimed_digest = config_digest;
    fails(&fake, REF, NULL, DV_ERR_CORRUPT, "content has digest");
}

Test(registry, indexes_that_lead_nowhere_end)
{
    static char texts[8][512], digests[8][DV_DIGEST_SIZE], urls[8][512];
    struct fake fake = {0};
    (void)snprintf(digests[0], DV_DIGEST_SIZE, "%s", manifest_digest);
    size_t size = strlen(manifest_text);
    for (size_t i = 1; i < 8; i++) {
        (void)snprintf(texts[i], sizeof(texts[i]),
                       "{\"schemaVersion\":2,\"manifests\":[{\"mediaType\":\"%s\",\"digest\":"
                       "\"%.135s\",\"size\":%zu}]}",
                       DV_MEDIA_OCI_INDEX, digests[i - 1], size);
        size = strlen(texts[i]);
        dv_digest_of(texts[i], size, digests[i]);
        (void)snprintf(urls[i], sizeof(urls[i]), R "/manifests/%s", digests[i]);
        add(&fake, urls[i], 200, DV_MEDIA_OCI_INDEX, texts[i]);
    }
    add(&fake, R "/manifests/1", 200, DV_MEDIA_OCI_INDEX, texts[7]);
    fails(&fake, REF, NULL, DV_ERR_FAILED, "more than 3 indexes");
}

Test(registry, a_configuration_that_does_not_fit_is_refused)
{
    struct fake fake = {0};
    add_image(&fake, R, "1", NULL, NULL);
    fake.routes[2].body = "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    fails(&fake, REF, NULL, DV_ERR_CORRUPT, "expected are");
}

static const char *const insecure_hosts[] = {"r.example.com"};
static const struct dv_registry_settings insecure = {.insecure = insecure_hosts,
                                                     .insecure_count = 1};

/* shows: K44 */
Test(registry, an_insecure_registry_is_spoken_to_by_plain_http)
{
    struct fake fake = {0};
    add_image(&fake, HTTP, "1", NULL, NULL);
    succeeds(&fake, REF, &insecure);
    dv_buf_done(&fake.trace);
    struct fake none = {0};
    add(&none, HTTP "/manifests/1", 404, NULL, "{\"errors\":[]}");
    fails(&none, REF, &insecure, DV_ERR_FAILED, "there is no manifest 1 (404)");
}

/* shows: K44 */
Test(registry, an_insecure_registry_is_tried_by_https_then)
{
    struct fake fake = {0};
    struct route *route = add(&fake, HTTP "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "connection refused";
    add_image(&fake, R, "1", NULL, NULL);
    succeeds(&fake, REF, &insecure);
    cr_assert_not_null(strstr(fake.trace.data, R "/manifests/1 unverified\n"));
    dv_buf_done(&fake.trace);

    struct fake neither = {0};
    route = add(&neither, HTTP "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "connection refused";
    route = add(&neither, R "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "TLS handshake failed";
    fails(&neither, REF, &insecure, DV_ERR_UNAVAILABLE,
          "TLS handshake failed; and by plain HTTP: connection refused");
}

Test(registry, a_secure_registry_is_never_spoken_to_by_plain_http)
{
    struct fake fake = {0};
    struct route *route = add(&fake, R "/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_TIMED_OUT;
    route->why = "no answer";
    fails(&fake, REF, NULL, DV_ERR_TIMED_OUT, "no answer");
}

Test(registry, a_forgotten_host_is_guessed)
{
    struct fake fake = {0};
    struct route *route = add(&fake, "https://demo/v2/app/manifests/1", 0, NULL, NULL);
    route->fails = DV_ERR_UNAVAILABLE;
    route->why = "no such host";
    fails(&fake, "demo/app:1", NULL, DV_ERR_UNAVAILABLE, "was it forgotten?");
}

Test(registry, tls_files_go_to_their_registry_only)
{
    static const struct dv_registry files[] = {{.host = "r.example.com",
                                                .root_ca = "/ca.crt",
                                                .client_cert = "/c.crt",
                                                .client_key = "/c.key"}};
    struct dv_registry_settings settings = {.registries = files, .registry_count = 1};
    DV_AUTO(dv_pull) pull = start(REF, &settings);
    struct dv_pull_step what;
    cr_assert_eq(dv_pull_next(pull, &what, NULL), 1);
    const struct dv_download_cmd *cmd = what.body;
    cr_assert_str_eq(cmd->root_ca, "/ca.crt");
    cr_assert_str_eq(cmd->client_cert, "/c.crt");
    cr_assert_str_eq(cmd->client_key, "/c.key");
    struct dv_http_header header = {(char[]){"www-authenticate"},
                                    (char[]){"Bearer realm=\"https://auth.example.com/token\""}};
    struct dv_download_result denied = {.status = 401, .headers = {&header, 1}};
    cr_assert_eq(dv_pull_downloaded(pull, what.number, &denied, NULL), 0);
    cr_assert_eq(dv_pull_next(pull, &what, NULL), 1);
    cmd = what.body;
    cr_assert_eq(strncmp(cmd->url, "https://auth.example.com/token?", 31), 0);
    cr_assert_str_eq(cmd->root_ca, "/ca.crt");
    cr_assert_null(cmd->client_cert);
    cr_assert_null(cmd->client_key);

    settings.insecure = insecure_hosts;
    settings.insecure_count = 1;
    DV_AUTO(dv_pull) open = start(REF, &settings);
    cr_assert_eq(dv_pull_next(open, &what, NULL), 1);
    cmd = what.body;
    cr_assert_null(cmd->root_ca);
    cr_assert_null(cmd->client_cert);
}

Test(registry, answers_to_steps_that_are_not_open_are_refused)
{
    DV_AUTO(dv_pull) pull = start(REF, NULL);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_pull_succeeded(pull, 7, &err), -DV_ERR_INTERNAL);
    cr_assert(err.text[0]);
}

Test(registry, room_is_asked_for_once_and_before_the_first_layer)
{
    struct fake fake = {.is_full = true};
    add_image(&fake, "https://r.example.com/v2/u/x", "1", NULL, NULL);
    DV_AUTO(dv_pull) pull = start(REF, NULL);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(run(&fake, pull, &err), -DV_ERR_FAILED);
    cr_assert(strstr(err.text, "no room"), "%s", err.text);
    cr_assert_null(strstr(fake.trace.data, layer_digest[0]), "%s", fake.trace.data);
    cr_assert_eq(fake.rooms, 1);
    dv_buf_done(&fake.trace);
}

Test(registry, a_resumed_layer_that_is_another_is_fetched_from_the_start_once)
{
    struct fake good = {.resumed = 1, .spoilt = 1};
    add_image(&good, "https://r.example.com/v2/u/x", "1", NULL, NULL);
    succeeds(&good, REF, NULL);
    cr_assert_eq(good.spoilt, 0);
    dv_buf_done(&good.trace);
    struct fake bad = {.resumed = 9, .spoilt = 9};
    add_image(&bad, "https://r.example.com/v2/u/x", "1", NULL, NULL);
    DV_AUTO(dv_pull) pull = start(REF, NULL);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(run(&bad, pull, &err), -DV_ERR_CORRUPT);
    dv_buf_done(&bad.trace);
}

Test(registry, layers_are_downloaded_a_few_at_a_time)
{
    static char text[32768], digest[DV_DIGEST_SIZE];
    char *at = text;
    at += snprintf(at, 1024,
                   "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"%s\",\"digest\":"
                   "\"%s\",\"size\":5},\"layers\":[",
                   DV_MEDIA_OCI_CONFIG, config_digest);
    for (unsigned i = 0; i < 20; i++) {
        unsigned distinct = i % 10;
        dv_digest_of(&distinct, sizeof(distinct), digest);
        at += snprintf(at, 512,
                       "%s{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\","
                       "\"digest\":\"%s\",\"size\":7}",
                       i ? "," : "", digest);
    }
    (void)snprintf(at, 16, "]}");
    DV_AUTO(dv_pull) pull = start(REF, NULL);
    struct dv_pull_step what;
    cr_assert_eq(dv_pull_next(pull, &what, NULL), 1);
    struct dv_download_result result = {.status = 200, .body = {(uint8_t *)text, strlen(text)}};
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_pull_downloaded(pull, what.number, &result, &err), 0, "%s", err.text);
    unsigned asked = 0, others = 0;
    while (dv_pull_next(pull, &what, &err) == 1) {
        const struct dv_blob_store_job *job = what.body;
        if (what.kind == DV_KIND_image_room_job) {
            cr_assert_eq(asked, 0, "room first");
            cr_assert_eq(dv_pull_succeeded(pull, what.number, &err), 0);
            continue;
        }
        bool is_ask = what.kind == DV_KIND_blob_store_job && job->content.len == 0;
        asked += is_ask;
        others += !is_ask;
    }
    cr_assert_eq(asked, DV_PULL_DOWNLOADS_DEFAULT);
    cr_assert_eq(others, 2, "the manifest to store and the configuration");
    int64_t done = 0, total = 0;
    dv_pull_progress(pull, &done, &total);
    cr_assert_eq(done, 0);
    cr_assert_eq(total, 70);
}

static struct dv_registry_settings with_mirror(void)
{
    static const struct dv_registry registries[] = {{.host = "m.example", .user = "m"}};
    struct dv_registry_settings settings = {.registries = registries, .registry_count = 1};
    cr_assert_eq(dv_registry_mirror_add(&settings, "r.example.com=m.example", NULL), 0);
    return settings;
}

Test(registry, a_mirror_is_asked_first_with_its_own_login)
{
    struct dv_registry_settings settings = with_mirror();
    struct fake fake = {0};
    add_image(&fake, "https://m.example/v2/u/x", "1", "Basic bTo=", "Basic realm=\"x\"");
    succeeds(&fake, REF, &settings);
    cr_assert_null(strstr(fake.trace.data, "r.example.com/v2"), "%s", fake.trace.data);
    dv_buf_done(&fake.trace);
}

Test(registry, what_a_mirror_does_not_have_comes_from_the_registry_without_its_login)
{
    struct dv_registry_settings settings = with_mirror();
    struct fake fake = {0};
    add(&fake, "https://m.example/v2/u/x/manifests/1", 500, NULL, "{}");
    add_image(&fake, R, "1", NULL, NULL);
    succeeds(&fake, REF, &settings);
    cr_assert_not_null(strstr(fake.trace.data, "https://m.example/v2/u/x/manifests/1\n" R), "%s",
                       fake.trace.data);
    cr_assert_null(strstr(fake.trace.data, "Basic"));
    dv_buf_done(&fake.trace);
}

Test(registry, when_both_fail_both_are_told)
{
    struct dv_registry_settings settings = with_mirror();
    struct fake fake = {0};
    DV_AUTO(dv_pull) pull = start(REF, &settings);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(run(&fake, pull, &err), -DV_ERR_FAILED);
    cr_assert(strstr(err.text, "r.example.com") && strstr(err.text, "and its mirror: m.example"),
              "%s", err.text);
    dv_buf_done(&fake.trace);
}

Test(registry, mirrors_are_pairs_of_hosts)
{
    struct dv_registry_settings settings = {0};
    static const char *const wrong[] = {"", "a", "=b", "a=", "a=https://b", "a/x=b"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        cr_expect_eq(dv_registry_mirror_add(&settings, wrong[i], NULL), -DV_ERR_INVALID, "%s",
                     wrong[i]);
    cr_assert_eq(dv_registry_mirror_add(&settings, "Docker.io=m:5000", NULL), 0);
    cr_assert_str_eq(dv_registry_mirror(&settings, "docker.io"), "m:5000");
    cr_assert_null(dv_registry_mirror(&settings, "quay.io"));
}
