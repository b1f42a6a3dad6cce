/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/manifest.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEX  "c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define D(n) "\"sha256:" n HEX "\"" /* n: four digits that tell digests apart */

#define OCI_CONFIG                                                                                 \
    "\"config\":{\"mediaType\":\"" DV_MEDIA_OCI_CONFIG "\",\"digest\":" D("0000") ",\"size\":10}"
#define OCI_LAYER "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","
#define OCI_LAYERS                                                                                 \
    "\"layers\":[" OCI_LAYER "\"digest\":" D("1111") ",\"size\":100}," OCI_LAYER                   \
                                                     "\"digest\":" D("2222") ",\"size\":200}]"

static struct dv_arena *arena;

static void setup(void)
{
    arena = dv_arena_new(8U << 20);
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(manifest, .init = setup, .fini = teardown);

static const struct dv_platform amd64 = {"amd64", 1};

static int parse_as(const char *type,
                    const char *json,
                    const struct dv_platform *platform,
                    struct dv_document *ret,
                    struct dv_error *err)
{
    return dv_document_parse(type, json, strlen(json), platform, arena, ret, err);
}

static void refused(const char *type, const char *json, enum dv_error_class class, const char *why)
{
    struct dv_error err = DV_ERROR_INIT;
    struct dv_document ret;
    memset(&ret, 0x5a, sizeof(ret));
    struct dv_document before = ret;
    int r = parse_as(type, json, &amd64, &ret, &err);
    cr_assert_eq(r, -(int)class, "%s: %d %s", json, r, err.text);
    cr_assert(strstr(err.text, why), "%s: %s", json, err.text);
    cr_assert_eq(memcmp(&ret, &before, sizeof(ret)), 0, "output written on failure");
}

Test(manifest, an_oci_manifest_is_read)
{
    struct dv_document d;
    struct dv_error err = DV_ERROR_INIT;
    const char *json = "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_OCI_MANIFEST
                       "\"," OCI_CONFIG "," OCI_LAYERS ",\"annotations\":{\"a\":\"b\"}}";
    cr_assert_eq(parse_as(DV_MEDIA_OCI_MANIFEST, json, &amd64, &d, &err), 0, "%s", err.text);
    cr_assert_eq(d.kind, DV_DOCUMENT_MANIFEST);
    cr_assert_str_eq(d.media_type, DV_MEDIA_OCI_MANIFEST);
    cr_assert_str_eq(d.config.digest, "sha256:0000" HEX);
    cr_assert_eq(d.config.size, 10);
    cr_assert_eq(d.layer_count, 2);
    cr_assert_str_eq(d.layers[1].digest, "sha256:2222" HEX);
    cr_assert_eq(d.layers[1].size, 200);
    cr_assert_str_eq(d.layers[0].media_type, "application/vnd.oci.image.layer.v1.tar+gzip");
}

Test(manifest, a_docker_schema_2_manifest_is_read)
{
    struct dv_document d;
    struct dv_error err = DV_ERROR_INIT;
    const char *json =
        "{\n   \"schemaVersion\": 2,\n   \"mediaType\": \"" DV_MEDIA_DOCKER_MANIFEST "\",\n"
        "   \"config\": {\n      \"mediaType\": \"" DV_MEDIA_DOCKER_CONFIG
        "\",\n      \"size\": 1457,\n      \"digest\": " D(
            "0000") "\n   },\n   \"layers\": [\n"
                    "      {\n         \"mediaType\": "
                    "\"application/vnd.docker.image.rootfs.diff.tar.gzip\",\n"
                    "         \"size\": 766607,\n         \"digest\": " D(
                        "1111") "\n      },\n"
                                "      {\"mediaType\": "
                                "\"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip\","
                                "\"size\": 7, \"digest\": " D(
                                    "2222") ", \"urls\": [\"https://elsewhere.example/x\"]}\n"
                                            "   ]\n}";
    cr_assert_eq(parse_as(DV_MEDIA_DOCKER_MANIFEST "; charset=utf-8", json, &amd64, &d, &err), 0,
                 "%s", err.text);
    cr_assert_eq(d.layer_count, 2);
    cr_assert_eq(d.layers[0].size, 766607);
    cr_assert_str_eq(d.media_type, DV_MEDIA_DOCKER_MANIFEST);
}

Test(manifest, without_a_type_the_document_decides)
{
    static const char *const silent[] = {NULL, "", "text/plain; charset=utf-8", "application/json"};
    for (size_t i = 0; i < sizeof(silent) / sizeof(silent[0]); i++) {
        struct dv_document d;
        struct dv_error err = DV_ERROR_INIT;
        const char *json = "{\"schemaVersion\":2," OCI_CONFIG "," OCI_LAYERS "}";
        cr_assert_eq(parse_as(silent[i], json, &amd64, &d, &err), 0, "%s", err.text);
        cr_assert_str_eq(d.media_type, DV_MEDIA_OCI_MANIFEST);
    }
}

#define ENTRY(n, os, arch, variant)                                                                \
    "{\"mediaType\":\"" DV_MEDIA_OCI_MANIFEST                                                      \
    "\",\"digest\":" D(n) ",\"size\":500,\"platform\":"                                            \
                          "{\"os\":\"" os "\",\"architecture\":\"" arch "\"" variant "}}"
#define INDEX(entries) "{\"schemaVersion\":2,\"manifests\":[" entries "]}"

static const char all_arms[] = INDEX(
    ENTRY("0005", "linux", "arm", ",\"variant\":\"v5\"") "," ENTRY("0007", "linux", "arm", ",\"variant\":\"v7\"") "," ENTRY(
        "0006",
        "linux",
        "arm",
        ",\"variant\":\"v6\"") "," ENTRY("0008",
                                         "linux",
                                         "arm64",
                                         ",\"variant\":\"v8\"") "," ENTRY("0a64",
                                                                          "linux",
                                                                          "amd64",
                                                                          "") "," ENTRY("3a64",
                                                                                        "linux",
                                                                                        "amd64",
                                                                                        ",\"var"
                                                                                        "iant\""
                                                                                        ":\"v3"
                                                                                        "\"") "," ENTRY("0a65",
                                                                                                        "windows",
                                                                                                        "amd64",
                                                                                                        "") "," ENTRY("ffff",
                                                                                                                      "unknown",
                                                                                                                      "unknown",
                                                                                                                      ""));

static const struct {
    const char *json;
    struct dv_platform platform;
    const char *chosen; /* first digits; NULL: none fits */
} choices[] = {
    {all_arms, {"amd64", 1}, "0a64"},
    {all_arms, {"amd64", 3}, "3a64"},
    {all_arms, {"arm64", 8}, "0008"},
    {all_arms, {"arm", 8}, "0007"},
    {all_arms, {"arm", 7}, "0007"},
    {all_arms, {"arm", 6}, "0006"},
    {all_arms, {"arm", 5}, "0005"},
    {all_arms, {"arm", 4}, NULL},
    {all_arms, {"riscv64", 0}, NULL},
    {INDEX(ENTRY("0001", "linux", "arm", "")), {"arm", 7}, "0001"},
    {INDEX(ENTRY("0001", "linux", "arm", "")), {"arm", 6}, NULL},
    {INDEX(ENTRY("0001", "linux", "arm", ",\"variant\":\"v7\"")), {"arm64", 8}, "0001"},
    {INDEX(ENTRY("0001", "linux", "arm64", "")), {"arm64", 8}, "0001"},
    {INDEX(ENTRY("0001", "linux", "amd64", ",\"variant\":\"strange\"")), {"amd64", 1}, NULL},
    {INDEX("{\"mediaType\":\"" DV_MEDIA_OCI_MANIFEST "\",\"digest\":" D("0001") ",\"size\":5}"),
     {"amd64", 1},
     "0001"},
    {INDEX("{\"mediaType\":\"" DV_MEDIA_OCI_MANIFEST
           "\",\"digest\":" D("0001") ",\"size\":5}," ENTRY("0002", "linux", "amd64", "")),
     {"amd64", 1},
     "0002"},
    {INDEX("{\"mediaType\":\"application/x\",\"digest\":" D("0001") ",\"size\":5}"),
     {"amd64", 1},
     NULL},
    {INDEX(""), {"amd64", 1}, NULL},
};

Test(manifest, an_index_yields_the_entry_for_the_platform)
{
    for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
        struct dv_document d;
        struct dv_error err = DV_ERROR_INIT;
        int r = parse_as(NULL, choices[i].json, &choices[i].platform, &d, &err);
        if (!choices[i].chosen) {
            cr_assert_eq(r, -DV_ERR_FAILED, "choice %zu: %d", i, r);
            cr_assert(strstr(err.text, "has no image for linux/"), "%s", err.text);
            continue;
        }
        cr_assert_eq(r, 0, "choice %zu: %s", i, err.text);
        cr_assert_eq(d.kind, DV_DOCUMENT_INDEX);
        cr_assert_eq(strncmp(d.chosen.digest + 7, choices[i].chosen, 4), 0, "choice %zu: %s", i,
                     d.chosen.digest);
    }
}

Test(manifest, an_index_without_our_platform_says_what_it_has)
{
    struct dv_document d;
    struct dv_error err = DV_ERROR_INIT;
    struct dv_platform riscv = {"riscv64", 0};
    cr_assert_lt(parse_as(NULL, all_arms, &riscv, &d, &err), 0);
    cr_assert(strstr(err.text, "linux/arm/v5, linux/arm/v7"), "%s", err.text);
}

#define WITH_LAYER(text) "{\"schemaVersion\":2," OCI_CONFIG ",\"layers\":[{" text "}]}"
#define TYPE             "\"mediaType\":\"application/vnd.oci.image.layer.v1.tar\""

static const struct {
    const char *type;
    const char *json;
    enum dv_error_class class;
    const char *why;
} hostile[] = {
    {NULL, "", DV_ERR_CORRUPT, "manifest"},
    {NULL, "[]", DV_ERR_CORRUPT, "not an object"},
    {NULL, "{\"schemaVersion\":2", DV_ERR_CORRUPT, "manifest"},
    {NULL, "{\"schemaVersion\":2,\"schemaVersion\":2," OCI_CONFIG "," OCI_LAYERS "}",
     DV_ERR_CORRUPT, "manifest"},
    {NULL, "{" OCI_CONFIG "," OCI_LAYERS "}", DV_ERR_CORRUPT, "schemaVersion"},
    {NULL, "{\"schemaVersion\":1,\"name\":\"x\",\"fsLayers\":[]}", DV_ERR_FAILED, "schema 1"},
    {"application/vnd.docker.distribution.manifest.v1+prettyjws", "{}", DV_ERR_FAILED, "schema 1"},
    {"text/html", "<html>", DV_ERR_FAILED, "media type 'text/html'"},
    {"application/vnd.oci.artifact.manifest.v1+json", "{}", DV_ERR_FAILED, "artifact"},
    {DV_MEDIA_OCI_INDEX,
     "{\"schemaVersion\":2,\"mediaType\":\"" DV_MEDIA_OCI_MANIFEST "\"," OCI_CONFIG "}",
     DV_ERR_CORRUPT, "calls itself"},
    {NULL, "{\"schemaVersion\":2,\"manifests\":[]," OCI_CONFIG "," OCI_LAYERS "}", DV_ERR_CORRUPT,
     "both"},
    {DV_MEDIA_OCI_INDEX, "{\"schemaVersion\":2,\"manifests\":{}}", DV_ERR_CORRUPT, "not an array"},
    {DV_MEDIA_OCI_INDEX, "{\"schemaVersion\":2}", DV_ERR_CORRUPT, "not an array"},
    {NULL,
     "{\"schemaVersion\":2,\"artifactType\":\"application/vnd.example\",\"config\":{\"mediaType\":"
     "\"application/vnd.oci.empty.v1+json\",\"digest\":" D("0000") ",\"size\":2}," OCI_LAYERS "}",
     DV_ERR_FAILED, "artifact of type 'application/vnd.example'"},
    {NULL,
     "{\"schemaVersion\":2,\"config\":{\"mediaType\":\"application/vnd.cncf.helm.config.v1+json\","
     "\"digest\":" D("0000") ",\"size\":2}," OCI_LAYERS "}",
     DV_ERR_FAILED, "artifact of type 'application/vnd.cncf.helm"},
    {NULL, "{\"schemaVersion\":2," OCI_LAYERS "}", DV_ERR_CORRUPT, "config is not a descriptor"},
    {NULL, "{\"schemaVersion\":2," OCI_CONFIG "}", DV_ERR_CORRUPT, "layers is missing"},
    {NULL, "{\"schemaVersion\":2," OCI_CONFIG ",\"layers\":[]}", DV_ERR_FAILED, "no layers"},
    {NULL, "{\"schemaVersion\":2," OCI_CONFIG ",\"layers\":[7]}", DV_ERR_CORRUPT,
     "layers[0] is not a descriptor"},
    {NULL, WITH_LAYER(TYPE ",\"digest\":\"sha256:../../etc/passwd\",\"size\":1"), DV_ERR_CORRUPT,
     "layers[0].digest"},
    {NULL, WITH_LAYER(TYPE ",\"size\":1"), DV_ERR_CORRUPT, "layers[0].digest"},
    {NULL, WITH_LAYER(TYPE ",\"digest\":" D("1111") ",\"size\":-1"), DV_ERR_CORRUPT,
     "layers[0].size"},
    {NULL, WITH_LAYER(TYPE ",\"digest\":" D("1111") ",\"size\":1.5"), DV_ERR_CORRUPT,
     "layers[0].size"},
    {NULL, WITH_LAYER(TYPE ",\"digest\":" D("1111") ",\"size\":\"1\""), DV_ERR_CORRUPT,
     "layers[0].size"},
    {NULL, WITH_LAYER(TYPE ",\"digest\":" D("1111") ",\"size\":1e30"), DV_ERR_CORRUPT,
     "layers[0].size"},
    {NULL, WITH_LAYER(TYPE ",\"digest\":" D("1111") ",\"size\":9007199254740991"), DV_ERR_CORRUPT,
     "layers[0].size: 9007199254740991 is more"},
    {NULL, WITH_LAYER("\"digest\":" D("1111") ",\"size\":1"), DV_ERR_CORRUPT,
     "layers[0].mediaType"},
    {NULL,
     WITH_LAYER("\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+br+encrypted\","
                "\"digest\":" D("1111") ",\"size\":1"),
     DV_ERR_FAILED, "no image layer"},
    {NULL, WITH_LAYER("\"mediaType\":\"text/plain\",\"digest\":" D("1111") ",\"size\":1"),
     DV_ERR_FAILED, "no image layer"},
    {NULL,
     INDEX("{\"mediaType\":\"" DV_MEDIA_OCI_MANIFEST
           "\",\"digest\":" D("0001") ",\"size\":104857600}"),
     DV_ERR_CORRUPT, "manifests[0].size: 104857600 is more than"},
};

Test(manifest, hostile_documents_are_refused_with_the_place)
{
    for (size_t i = 0; i < sizeof(hostile) / sizeof(hostile[0]); i++)
        refused(hostile[i].type, hostile[i].json, hostile[i].class, hostile[i].why);
}

static char *many(const char *head, const char *item, size_t count, const char *tail)
{
    size_t size = strlen(head) + (strlen(item) + 1) * count + strlen(tail) + 1;
    char *text = malloc(size), *at = text;
    at += snprintf(at, size, "%s", head);
    for (size_t i = 0; i < count; i++)
        at += snprintf(at, size - (size_t)(at - text), "%s%s", i ? "," : "", item);
    (void)snprintf(at, size - (size_t)(at - text), "%s", tail);
    return text;
}

Test(manifest, counts_are_limited)
{
    const char *head = "{\"schemaVersion\":2," OCI_CONFIG ",\"layers\":[";
    const char *layer = OCI_LAYER "\"digest\":" D("1111") ",\"size\":100}";
    dv_autofree char *fits = many(head, layer, DV_LAYERS_MAX, "]}");
    dv_autofree char *over = many(head, layer, DV_LAYERS_MAX + 1, "]}");
    struct dv_document d;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(parse_as(NULL, fits, &amd64, &d, &err), 0, "%s", err.text);
    refused(NULL, over, DV_ERR_FAILED, "129 layers, more than 128");
    dv_autofree char *index =
        many("{\"schemaVersion\":2,\"manifests\":[", ENTRY("0001", "linux", "arm", ""), 1025, "]}");
    refused(NULL, index, DV_ERR_CORRUPT, "1025 manifests");
}

Test(manifest, bytes_are_limited_before_they_are_read)
{
    size_t len = DV_MANIFEST_BYTES_MAX + 1;
    dv_autofree char *text = malloc(len);
    memset(text, ' ', len);
    struct dv_document d;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_document_parse(NULL, text, len, &amd64, arena, &d, &err), -DV_ERR_CORRUPT);
    cr_assert(strstr(err.text, "larger than"), "%s", err.text);
}

Test(manifest, this_machine_has_a_platform)
{
    struct dv_platform host = dv_platform_host();
    cr_assert_str_neq(host.architecture, "unknown");
}

Test(manifest, an_encrypted_layer_is_a_layer_with_a_suffix)
{
    cr_expect(dv_layer_is_encrypted("application/vnd.oci.image.layer.v1.tar+gzip+encrypted"));
    cr_expect(dv_layer_is_encrypted("application/vnd.oci.image.layer.v1.tar+encrypted"));
    cr_expect_not(dv_layer_is_encrypted("application/vnd.oci.image.layer.v1.tar+gzip"));
    cr_expect_not(dv_layer_is_encrypted("application/vnd.oci.image.layer.v1.tar+br+encrypted"));
    cr_expect_not(dv_layer_is_encrypted("+encrypted"));
    cr_expect_not(dv_layer_is_encrypted(""));
}
