/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/manifest.h"

#include "base/str.h"
#include "runtime/image/digest.h"

#include "json/json.h"
#include <stdio.h>
#include <strings.h>

#define MEDIA_TYPE_MAX     255
#define PLATFORMS_TEXT_MAX 300

const char dv_manifest_accept[] = DV_MEDIA_OCI_INDEX
    ", " DV_MEDIA_DOCKER_INDEX ", " DV_MEDIA_OCI_MANIFEST ", " DV_MEDIA_DOCKER_MANIFEST;

static bool is_index_type(const char *type)
{
    return strcmp(type, DV_MEDIA_OCI_INDEX) == 0 || strcmp(type, DV_MEDIA_DOCKER_INDEX) == 0;
}

static bool is_manifest_type(const char *type)
{
    return strcmp(type, DV_MEDIA_OCI_MANIFEST) == 0 || strcmp(type, DV_MEDIA_DOCKER_MANIFEST) == 0;
}

#define OCI_LAYER         "application/vnd.oci.image.layer.v1.tar"
#define OCI_KEPT_LAYER    "application/vnd.oci.image.layer.nondistributable.v1.tar"
#define DOCKER_LAYER      "application/vnd.docker.image.rootfs.diff.tar"
#define DOCKER_KEPT_LAYER "application/vnd.docker.image.rootfs.foreign.diff.tar"

/* Layers that may be unpacked, and OCI's name of each. */
static const struct {
    const char *type;
    const char *oci;
} layer_types[] = {
    {OCI_LAYER, OCI_LAYER},
    {OCI_LAYER "+gzip", OCI_LAYER "+gzip"},
    {OCI_LAYER "+zstd", OCI_LAYER "+zstd"},
    {OCI_KEPT_LAYER, OCI_KEPT_LAYER},
    {OCI_KEPT_LAYER "+gzip", OCI_KEPT_LAYER "+gzip"},
    {OCI_KEPT_LAYER "+zstd", OCI_KEPT_LAYER "+zstd"},
    {DOCKER_LAYER, OCI_LAYER},
    {DOCKER_LAYER ".gzip", OCI_LAYER "+gzip"},
    {DOCKER_LAYER ".zstd", OCI_LAYER "+zstd"},
    {DOCKER_KEPT_LAYER, OCI_KEPT_LAYER},
    {DOCKER_KEPT_LAYER ".gzip", OCI_KEPT_LAYER "+gzip"},
};

static const char *oci_layer_type(const char *type)
{
    for (size_t i = 0; i < sizeof(layer_types) / sizeof(layer_types[0]); i++)
        if (strcmp(type, layer_types[i].type) == 0)
            return layer_types[i].oci;
    return NULL;
}

bool dv_layer_is_encrypted(const char *media_type)
{
    static const char suffix[] = "+encrypted";
    char plain[MEDIA_TYPE_MAX + 1];
    size_t len = strlen(media_type);
    size_t cut = sizeof(suffix) - 1;
    if (len <= cut || len > MEDIA_TYPE_MAX || strcmp(media_type + len - cut, suffix) != 0)
        return false;
    (void)snprintf(plain, sizeof(plain), "%.*s", (int)(len - cut), media_type);
    return oci_layer_type(plain) != NULL;
}

static int check_layer_type(const char *type, size_t number, struct dv_error *err)
{
    if (oci_layer_type(type) || dv_layer_is_encrypted(type))
        return 0;
    return dv_error_set(err, DV_ERR_FAILED,
                        "layers[%zu] has media type '%s', which is no image layer", number, type);
}

/* ---- descriptors ---- */

/* `place` names the descriptor in error texts: "config", "layers[3]". */
static int read_descriptor(const struct dv_json *node,
                           const char *place,
                           int64_t size_max,
                           struct dv_arena *arena,
                           struct dv_descriptor *ret,
                           struct dv_error *err)
{
    if (!dv_json_is(node, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_CORRUPT, "%s is not a descriptor but %s", place,
                            node ? dv_json_type_name(dv_json_type_of(node)) : "missing");
    const char *type = dv_json_text(dv_json_get(node, "mediaType"));
    const char *digest = dv_json_text(dv_json_get(node, "digest"));
    int64_t size = -1;
    if (!type || !*type || strlen(type) > MEDIA_TYPE_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s.mediaType is missing or no media type", place);
    if (!digest || !dv_digest_is_valid(dv_str_of(digest)))
        return dv_error_set(err, DV_ERR_CORRUPT, "%s.digest is missing or no digest", place);
    if (!dv_json_to_i64(dv_json_get(node, "size"), &size) || size < 0)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s.size is missing or no size", place);
    if (size > size_max)
        return dv_error_set(err, DV_ERR_CORRUPT, "%s.size: %lld is more than %lld bytes", place,
                            (long long)size, (long long)size_max);
    struct dv_descriptor read = {.media_type = dv_arena_strdup(arena, type),
                                 .digest = dv_arena_strdup(arena, digest),
                                 .size = size};
    if (!read.media_type || !read.digest)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    *ret = read;
    return 0;
}

/* ---- index ---- */

/* "v7" as 7; images for arm without a variant are v7, for arm64 v8, as the tools that make them
 * mean it. 0: none; -1: not understood. */
static int variant_of(const char *architecture, const char *variant)
{
    if (!variant || !*variant) {
        if (strcmp(architecture, "arm") == 0)
            return 7;
        return strcmp(architecture, "arm64") == 0 ? 8 : strcmp(architecture, "amd64") == 0 ? 1 : 0;
    }
    int64_t number = 0;
    const char *digits = variant[0] == 'v' ? variant + 1 : variant;
    return dv_str_to_i64(dv_str_of(digits), 0, 99, &number, NULL) == 0 ? (int)number : -1;
}

#define RANK_OWN_ARCHITECTURE 1000
#define RANK_NOT_STATED       1

/* How well an entry fits; 0: not at all. Newer variants up to the machine's own are better; a
 * 64-bit ARM runs 32-bit images when there is nothing else; an entry that states no platform is
 * the last resort. */
static int rank_of(const struct dv_json *entry, const struct dv_platform *platform)
{
    const char *type = dv_json_text(dv_json_get(entry, "mediaType"));
    if (!type || (!is_index_type(type) && !is_manifest_type(type)))
        return 0;
    const struct dv_json *stated = dv_json_get(entry, "platform");
    if (!stated)
        return dv_json_text(dv_json_get(entry, "artifactType")) ? 0 : RANK_NOT_STATED;
    const char *os = dv_json_text(dv_json_get(stated, "os"));
    const char *architecture = dv_json_text(dv_json_get(stated, "architecture"));
    if (!os || !architecture || strcmp(os, "linux") != 0)
        return 0;
    int variant = variant_of(architecture, dv_json_text(dv_json_get(stated, "variant")));
    if (variant < 0)
        return 0;
    if (strcmp(architecture, platform->architecture) == 0)
        return variant <= platform->variant || platform->variant == 0
                   ? RANK_OWN_ARCHITECTURE + variant
                   : 0;
    bool is_32_on_64 =
        strcmp(platform->architecture, "arm64") == 0 && strcmp(architecture, "arm") == 0;
    return is_32_on_64 && variant <= platform->variant ? RANK_NOT_STATED + 1 + variant : 0;
}

/* "linux/amd64, linux/arm/v7" for the text of an index that has nothing for us. */
static void list_platforms(const struct dv_json *entries, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    for (const struct dv_json *e = dv_json_first(entries); e; e = dv_json_next(e)) {
        const struct dv_json *stated = dv_json_get(e, "platform");
        const char *os = dv_json_text(dv_json_get(stated, "os"));
        const char *architecture = dv_json_text(dv_json_get(stated, "architecture"));
        const char *variant = dv_json_text(dv_json_get(stated, "variant"));
        if (!os || !architecture || strcmp(os, "unknown") == 0)
            continue;
        int n = snprintf(text + used, size - used, "%s%.32s/%.32s%s%.16s", used ? ", " : "", os,
                         architecture, variant && *variant ? "/" : "", variant ? variant : "");
        if (n < 0 || (size_t)n >= size - used) {
            text[used] = '\0';
            return;
        }
        used += (size_t)n;
    }
}

static int parse_index(const struct dv_json *entries,
                       const struct dv_platform *platform,
                       struct dv_arena *arena,
                       struct dv_document *ret,
                       struct dv_error *err)
{
    size_t count = dv_json_count(entries);
    if (count > DV_INDEX_ENTRIES_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "it has %zu manifests, more than %d", count,
                            DV_INDEX_ENTRIES_MAX);
    const struct dv_json *best = NULL;
    int best_rank = 0;
    size_t best_at = 0, at = 0;
    for (const struct dv_json *e = dv_json_first(entries); e; e = dv_json_next(e), at++) {
        int rank = rank_of(e, platform);
        if (rank <= best_rank)
            continue;
        best = e;
        best_rank = rank;
        best_at = at;
    }
    if (!best) {
        char there[PLATFORMS_TEXT_MAX];
        list_platforms(entries, there, sizeof(there));
        return dv_error_set(err, DV_ERR_FAILED, "it has no image for linux/%s; there is: %s",
                            platform->architecture, *there ? there : "none for any platform");
    }
    char place[32];
    (void)snprintf(place, sizeof(place), "manifests[%zu]", best_at);
    ret->kind = DV_DOCUMENT_INDEX;
    return read_descriptor(best, place, DV_MANIFEST_BYTES_MAX, arena, &ret->chosen, err);
}

/* ---- manifest ---- */

static int parse_config(const struct dv_json *root,
                        struct dv_arena *arena,
                        struct dv_document *ret,
                        struct dv_error *err)
{
    const struct dv_json *config = dv_json_get(root, "config");
    int r = read_descriptor(config, "config", DV_MANIFEST_BYTES_MAX, arena, &ret->config, err);
    if (r < 0)
        return r;
    const char *type = ret->config.media_type;
    if (strcmp(type, DV_MEDIA_OCI_CONFIG) == 0 || strcmp(type, DV_MEDIA_DOCKER_CONFIG) == 0)
        return 0;
    const char *artifact = dv_json_text(dv_json_get(root, "artifactType"));
    return dv_error_set(err, DV_ERR_FAILED, "it is an artifact of type '%.200s', not an image",
                        artifact && *artifact ? artifact : type);
}

static int parse_manifest(const struct dv_json *root,
                          struct dv_arena *arena,
                          struct dv_document *ret,
                          struct dv_error *err)
{
    ret->kind = DV_DOCUMENT_MANIFEST;
    int r = parse_config(root, arena, ret, err);
    if (r < 0)
        return r;
    const struct dv_json *layers = dv_json_get(root, "layers");
    size_t count = dv_json_count(layers);
    if (!dv_json_is(layers, DV_JSON_ARRAY))
        return dv_error_set(err, DV_ERR_CORRUPT, "layers is missing or not an array");
    if (count == 0)
        return dv_error_set(err, DV_ERR_FAILED, "it has no layers, so there is nothing to run");
    if (count > DV_LAYERS_MAX)
        return dv_error_set(err, DV_ERR_FAILED, "it has %zu layers, more than %d", count,
                            DV_LAYERS_MAX);
    ret->layers = dv_arena_array(arena, count, sizeof(*ret->layers));
    if (!ret->layers)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    ret->layer_count = count;
    size_t i = 0;
    for (const struct dv_json *l = dv_json_first(layers); l; l = dv_json_next(l), i++) {
        char place[32];
        (void)snprintf(place, sizeof(place), "layers[%zu]", i);
        r = read_descriptor(l, place, DV_BLOB_BYTES_MAX, arena, &ret->layers[i], err);
        if (r == 0)
            r = check_layer_type(ret->layers[i].media_type, i, err);
        if (r < 0)
            return r;
    }
    return 0;
}

/* ---- which of the two ---- */

/* The media type without parameters, NULL for one that says nothing about the document. */
static const char *stated_type(const char *content_type, char text[MEDIA_TYPE_MAX + 1])
{
    if (!content_type)
        return NULL;
    struct dv_str type, parameters;
    (void)dv_str_cut(dv_str_of(content_type), ';', &type, &parameters);
    while (type.len > 0 && (type.data[type.len - 1] == ' ' || type.data[type.len - 1] == '\t'))
        type.len--;
    if (type.len == 0 || type.len > MEDIA_TYPE_MAX || dv_str_ieq(type, "application/json") ||
        dv_str_ieq(type, "text/plain") || dv_str_ieq(type, "application/octet-stream"))
        return NULL;
    (void)snprintf(text, MEDIA_TYPE_MAX + 1, "%.*s", DV_STR_ARG(type));
    return text;
}

static int refuse_type(const char *type, struct dv_error *err)
{
    if (strstr(type, "docker.distribution.manifest.v1"))
        return dv_error_set(err, DV_ERR_FAILED,
                            "it is a Docker schema 1 manifest, which is not supported; push the "
                            "image again with a current tool");
    if (strstr(type, "artifact"))
        return dv_error_set(err, DV_ERR_FAILED, "it is an artifact ('%s'), not an image", type);
    return dv_error_set(err, DV_ERR_FAILED, "media type '%s' is no image manifest", type);
}

/* The type by header, by the document's own word, or by its shape; a contradiction is refused,
 * because another reader might choose the other reading. */
static int find_type(const struct dv_json *root,
                     const char *content_type,
                     const char **ret,
                     struct dv_error *err)
{
    const char *own = dv_json_text(dv_json_get(root, "mediaType"));
    bool has_entries = dv_json_get(root, "manifests");
    bool has_layers = dv_json_get(root, "layers") || dv_json_get(root, "config");
    if (dv_json_get(root, "fsLayers"))
        return refuse_type("application/vnd.docker.distribution.manifest.v1+json", err);
    if (content_type && own && strcmp(content_type, own) != 0)
        return dv_error_set(err, DV_ERR_CORRUPT,
                            "the registry calls it '%s', the document calls itself '%.200s'",
                            content_type, own);
    if (has_entries && has_layers)
        return dv_error_set(err, DV_ERR_CORRUPT, "it has both manifests and layers");
    const char *type = content_type ? content_type : own;
    if (!type)
        type = has_entries ? DV_MEDIA_OCI_INDEX : DV_MEDIA_OCI_MANIFEST;
    if (strlen(type) > MEDIA_TYPE_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "mediaType is longer than %d bytes",
                            MEDIA_TYPE_MAX);
    if (!is_index_type(type) && !is_manifest_type(type))
        return refuse_type(type, err);
    *ret = type;
    return 0;
}

static int parse_root(const struct dv_json *root,
                      const char *content_type,
                      const struct dv_platform *platform,
                      struct dv_arena *arena,
                      struct dv_document *ret,
                      struct dv_error *err)
{
    if (!dv_json_is(root, DV_JSON_OBJECT))
        return dv_error_set(err, DV_ERR_CORRUPT, "it is not an object but %s",
                            dv_json_type_name(dv_json_type_of(root)));
    char buffer[MEDIA_TYPE_MAX + 1];
    const char *type = NULL;
    int r = find_type(root, stated_type(content_type, buffer), &type, err);
    if (r < 0)
        return r;
    int64_t version = 0;
    if (!dv_json_to_i64(dv_json_get(root, "schemaVersion"), &version) || version != 2)
        return dv_error_set(err, DV_ERR_CORRUPT, "schemaVersion is missing or not 2");
    ret->media_type = dv_arena_strdup(arena, type);
    if (!ret->media_type)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "out of memory");
    if (is_manifest_type(type))
        return parse_manifest(root, arena, ret, err);
    const struct dv_json *entries = dv_json_get(root, "manifests");
    if (!dv_json_is(entries, DV_JSON_ARRAY))
        return dv_error_set(err, DV_ERR_CORRUPT, "manifests is missing or not an array");
    return parse_index(entries, platform, arena, ret, err);
}

int dv_document_parse(const char *content_type,
                      const char *bytes,
                      size_t len,
                      const struct dv_platform *platform,
                      struct dv_arena *arena,
                      struct dv_document *ret,
                      struct dv_error *err)
{
    struct dv_error cause = DV_ERROR_INIT;
    char buffer[MEDIA_TYPE_MAX + 1];
    const char *type = stated_type(content_type, buffer);
    if (type && !is_index_type(type) && !is_manifest_type(type))
        return refuse_type(type, err);
    if (len > DV_MANIFEST_BYTES_MAX)
        return dv_error_set(err, DV_ERR_CORRUPT, "manifest is larger than %u bytes",
                            DV_MANIFEST_BYTES_MAX);
    DV_AUTO(dv_json) root = NULL;
    int r = dv_json_parse_cased(bytes, len, &root, &cause);
    if (r < 0)
        return dv_error_set(err, r == -DV_ERR_NO_MEMORY ? DV_ERR_NO_MEMORY : DV_ERR_CORRUPT,
                            "manifest: %s", cause.text);
    struct dv_document document = {0};
    r = parse_root(root, content_type, platform, arena, &document, err);
    if (r < 0)
        return r;
    *ret = document;
    return 0;
}

static void
write_descriptor(struct dv_json_writer *w, const char *type, const struct dv_descriptor *d)
{
    dv_jw_object(w);
    dv_jw_member_text(w, "mediaType", type);
    dv_jw_member_text(w, "digest", d->digest);
    dv_jw_member_i64(w, "size", d->size);
    dv_jw_object_end(w);
}

int dv_manifest_write_oci(const struct dv_document *document,
                          struct dv_buf *out,
                          struct dv_error *err)
{
    struct dv_json_writer w;
    dv_jw_init(&w, out);
    dv_jw_object(&w);
    dv_jw_member_i64(&w, "schemaVersion", 2);
    dv_jw_member_text(&w, "mediaType", DV_MEDIA_OCI_MANIFEST);
    dv_jw_key(&w, "config");
    write_descriptor(&w, DV_MEDIA_OCI_CONFIG, &document->config);
    dv_jw_key(&w, "layers");
    dv_jw_array(&w);
    for (size_t i = 0; i < document->layer_count; i++)
        write_descriptor(&w, oci_layer_type(document->layers[i].media_type), &document->layers[i]);
    dv_jw_array_end(&w);
    dv_jw_object_end(&w);
    return dv_jw_done(&w, err);
}
