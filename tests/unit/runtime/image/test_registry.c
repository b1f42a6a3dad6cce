/* SPDX-License-Identifier: Apache-2.0 */
/* What a pull asks for and takes, and what it refuses. */
#include "fake_registry.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

TestSuite(registry, .init = registry_setup);

Test(registry, an_anonymous_pull_takes_each_blob_once)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", NULL, NULL);
    pull_succeeds(&fake, REF, NULL);
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
    struct fake_registry fake = {.has_layers = true};
    registry_add_image(&fake, R, "1", NULL, NULL);
    pull_succeeds(&fake, REF, NULL);
    cr_assert_null(strstr(fake.trace.data, "adopt"));
    dv_buf_done(&fake.trace);
}

Test(registry, an_index_leads_to_its_manifest)
{
    struct fake_registry fake = {0};
    registry_add(&fake, R "/manifests/1", 200, DV_MEDIA_OCI_INDEX, index_text);
    registry_add_image(&fake, R, "unused", NULL, NULL);
    pull_succeeds(&fake, REF, NULL);
    dv_buf_done(&fake.trace);
}

Test(registry, docker_hub_is_spoken_to_at_its_own_address)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, "https://registry-1.docker.io/v2/library/x", "1", NULL, NULL);
    pull_succeeds(&fake, "docker.io/x:1", NULL);
    dv_buf_done(&fake.trace);
}

Test(registry, a_digest_is_asked_for_and_verified)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", NULL, NULL);
    char reference[256];
    (void)snprintf(reference, sizeof(reference), "r.example.com/u/x:9@%s", manifest_digest);
    pull_succeeds(&fake, reference, NULL);
    dv_buf_done(&fake.trace);

    struct fake_registry liar = {0};
    static char url[512];
    (void)snprintf(url, sizeof(url), R "/manifests/%s", manifest_digest);
    registry_add(&liar, url, 200, DV_MEDIA_OCI_INDEX, index_text);
    pull_fails(&liar, reference, NULL, DV_ERR_CORRUPT, "content has digest");
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
        struct fake_registry fake = {0};
        registry_add(&fake, R "/manifests/1", refusals[i].status, NULL, refusals[i].body);
        pull_fails(&fake, REF, NULL, refusals[i].class, refusals[i].why);
        pull_fails(&fake, REF, NULL, refusals[i].class,
                   "image 'r.example.com/u/x:1': registry 'r.example.com': ");
    }
}

Test(registry, what_is_no_image_is_refused)
{
    struct fake_registry fake = {0};
    struct route *route =
        registry_add(&fake, R "/manifests/1", 200, "text/html", "<html>login</html>");
    pull_fails(&fake, REF, NULL, DV_ERR_FAILED, "media type 'text/html'");
    route->type = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    pull_fails(&fake, REF, NULL, DV_ERR_FAILED, "schema 1");
    route->type = DV_MEDIA_OCI_MANIFEST;
    pull_fails(&fake, REF, NULL, DV_ERR_CORRUPT, "manifest");
    route->body = manifest_text;
    route->claimed_digest = config_digest;
    pull_fails(&fake, REF, NULL, DV_ERR_CORRUPT, "content has digest");
}

Test(registry, indexes_that_lead_nowhere_end)
{
    static char texts[8][512], digests[8][DV_DIGEST_SIZE], urls[8][512];
    struct fake_registry fake = {0};
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
        registry_add(&fake, urls[i], 200, DV_MEDIA_OCI_INDEX, texts[i]);
    }
    registry_add(&fake, R "/manifests/1", 200, DV_MEDIA_OCI_INDEX, texts[7]);
    pull_fails(&fake, REF, NULL, DV_ERR_FAILED, "more than 3 indexes");
}

Test(registry, a_configuration_that_does_not_fit_is_refused)
{
    struct fake_registry fake = {0};
    registry_add_image(&fake, R, "1", NULL, NULL);
    fake.routes[2].body = "{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[]}}";
    pull_fails(&fake, REF, NULL, DV_ERR_CORRUPT, "expected are");
}

Test(registry, answers_to_steps_that_are_not_open_are_refused)
{
    DV_AUTO(dv_pull) pull = pull_start(REF, NULL);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_pull_succeeded(pull, 7, &err), -DV_ERR_INTERNAL);
    cr_assert(err.text[0]);
}

Test(registry, room_is_asked_for_once_and_before_the_first_layer)
{
    struct fake_registry fake = {.is_full = true};
    registry_add_image(&fake, "https://r.example.com/v2/u/x", "1", NULL, NULL);
    DV_AUTO(dv_pull) pull = pull_start(REF, NULL);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(pull_run(&fake, pull, &err), -DV_ERR_FAILED);
    cr_assert(strstr(err.text, "no room"), "%s", err.text);
    cr_assert_null(strstr(fake.trace.data, layer_digest[0]), "%s", fake.trace.data);
    cr_assert_eq(fake.rooms, 1);
    dv_buf_done(&fake.trace);
}

Test(registry, a_resumed_layer_that_is_another_is_fetched_from_the_start_once)
{
    struct fake_registry good = {.resumed = 1, .spoilt = 1};
    registry_add_image(&good, "https://r.example.com/v2/u/x", "1", NULL, NULL);
    pull_succeeds(&good, REF, NULL);
    cr_assert_eq(good.spoilt, 0);
    dv_buf_done(&good.trace);
    struct fake_registry bad = {.resumed = 9, .spoilt = 9};
    registry_add_image(&bad, "https://r.example.com/v2/u/x", "1", NULL, NULL);
    DV_AUTO(dv_pull) pull = pull_start(REF, NULL);
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(pull_run(&bad, pull, &err), -DV_ERR_CORRUPT);
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
    DV_AUTO(dv_pull) pull = pull_start(REF, NULL);
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
