/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/software.h"

#include "base/str.h"
#include "spec/read.h"

#include "json/json.h"
#include <string.h>
#include <strings.h>

#define CORRELATION_MAX 1024
#define NAME_MAX_BYTES  256
#define GROUP_MAX       1024
#define URL_MAX         2048
#define FILE_NAME_BYTES 255
#define METADATA_MAX    65536
#define WEIGHT_MAX      INT32_MAX
#define PATH_TEXT_MAX   224

struct reader {
    struct spec_reader spec; /* arena, error, notes */
    char path[160];          /* of the object being read, for errors */
};

static int no_memory(struct dv_error *err)
{
    return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for an operation on software");
}

/* -- members -------------------------------------------------------------------------------- */

static bool is_given(const struct dv_json *node)
{
    return node && !dv_json_is(node, DV_JSON_NULL);
}

/* "path.key"; `out` has room for any. */
static const char *path_of(const struct reader *r, const char *key, char out[PATH_TEXT_MAX])
{
    snprintf(out, PATH_TEXT_MAX, "%s%s%s", r->path, r->path[0] && key[0] ? "." : "", key);
    return out;
}

static int bad_type(struct reader *r, const char *key, const struct dv_json *node, const char *want)
{
    char path[PATH_TEXT_MAX];
    return spec_bad(r->spec.err, path_of(r, key, path), "%s is given, %s is expected",
                    dv_json_type_name(dv_json_type_of(node)), want);
}

/* Notes what is not known of the member `key`, "": of the object being read. `known` ends with
 * NULL. */
static void
note_others(struct reader *r, const char *key, const struct dv_json *node, const char *const *known)
{
    char path[PATH_TEXT_MAX];
    size_t count = 0;
    while (known[count])
        count++;
    spec_note_others(&r->spec, node, path_of(r, key, path), known, count);
}

/* Absent, null and empty texts are NULL. */
static int
take_text(struct reader *r, const struct dv_json *object, const char *key, size_t max, char **ret)
{
    const struct dv_json *node = dv_json_get(object, key);
    *ret = NULL;
    if (!is_given(node))
        return 0;
    const char *text = dv_json_text(node);
    if (!text)
        return bad_type(r, key, node, "a string");
    char path[PATH_TEXT_MAX];
    if (strlen(text) > max)
        return spec_bad(r->spec.err, path_of(r, key, path),
                        "%zu bytes are too long, at most %zu are allowed", strlen(text), max);
    if (!text[0])
        return 0;
    *ret = dv_arena_strdup(r->spec.arena, text);
    return *ret ? 0 : no_memory(r->spec.err);
}

static int take_bool(struct reader *r, const struct dv_json *object, const char *key, bool *ret)
{
    const struct dv_json *node = dv_json_get(object, key);
    if (is_given(node) && !dv_json_is(node, DV_JSON_BOOL))
        return bad_type(r, key, node, "true or false");
    *ret = dv_json_bool(node);
    return 0;
}

static int
take_i64(struct reader *r, const struct dv_json *object, const char *key, int64_t max, int64_t *ret)
{
    const struct dv_json *node = dv_json_get(object, key);
    int64_t value = 0;
    if (is_given(node) && (!dv_json_to_i64(node, &value) || value < 0 || value > max))
        return bad_type(r, key, node, "a whole number that is not negative");
    *ret = value;
    return 0;
}

/* Kept as it is; its meaning is the sender's. */
static int take_metadata(struct reader *r, const struct dv_json *object, char **ret)
{
    const struct dv_json *node = dv_json_get(object, "metadata");
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(METADATA_MAX);
    struct dv_json_writer w;
    if (!is_given(node))
        return 0;
    dv_jw_init(&w, &text);
    dv_jw_node(&w, node);
    if (dv_jw_done(&w, NULL) < 0)
        return dv_error_set(r->spec.err, DV_ERR_LIMIT, "metadata: at most %d bytes are allowed",
                            METADATA_MAX);
    *ret = dv_arena_strdup(r->spec.arena, text.data);
    return *ret ? 0 : no_memory(r->spec.err);
}

/* -- what both operations have -------------------------------------------------------------- */

/* The list of work comes back in *ret_list, with 1 to `DV_SOFTWARE_MODULES_MAX` members. */
static int read_head(struct reader *r,
                     const struct dv_json *value,
                     const char *list_key,
                     struct dv_software_operation *ret,
                     const struct dv_json **ret_list)
{
    if (!dv_json_is(value, DV_JSON_OBJECT))
        return spec_bad(r->spec.err, "value", "%s is given, an object is expected",
                        dv_json_type_name(dv_json_type_of(value)));
    const char *const known[] = {"correlationId", "weight", "metadata", "forced", list_key, NULL};
    note_others(r, "", value, known);
    int e = take_text(r, value, "correlationId", CORRELATION_MAX, &ret->correlation_id);
    if (e == 0)
        e = take_bool(r, value, "forced", &ret->is_forced);
    if (e == 0)
        e = take_i64(r, value, "weight", WEIGHT_MAX, &ret->weight);
    if (e == 0)
        e = take_metadata(r, value, &ret->metadata);
    if (e < 0)
        return e;
    const struct dv_json *list = dv_json_get(value, list_key);
    if (is_given(list) && !dv_json_is(list, DV_JSON_ARRAY))
        return bad_type(r, list_key, list, "an array");
    if (dv_json_count(list) == 0)
        return spec_bad(r->spec.err, list_key, "at least one is required");
    if (dv_json_count(list) > DV_SOFTWARE_MODULES_MAX)
        return dv_error_set(r->spec.err, DV_ERR_LIMIT, "%s: %zu are given, at most %d are allowed",
                            list_key, dv_json_count(list), DV_SOFTWARE_MODULES_MAX);
    *ret_list = list;
    return 0;
}

static int enter(struct reader *r, const struct dv_json *node, const char *list, size_t index)
{
    size_t len = strlen(r->path);
    snprintf(r->path + len, sizeof(r->path) - len, "%s%s[%zu]", len ? "." : "", list, index);
    if (dv_json_is(node, DV_JSON_OBJECT))
        return 0;
    return spec_bad(r->spec.err, r->path, "%s is given, an object is expected",
                    dv_json_type_name(dv_json_type_of(node)));
}

/* What is different between the operations: the list of work. */
struct work {
    const char *key;
    /* Makes room for `count` members; NULL without memory. */
    void *(*make)(struct reader *r, struct dv_software_operation *ret, size_t count);
    int (*read)(struct reader *r,
                const struct dv_json *object,
                struct dv_software_operation *ret,
                size_t index);
};

/* `*ret` says what it is; the rest of it comes from the text. */
static int read_operation(struct dv_str args,
                          const struct work *work,
                          struct dv_arena *arena,
                          struct dv_software_operation *ret,
                          struct dv_spec_notes *ret_notes,
                          struct dv_error *err)
{
    struct reader r = {.spec = {.shape = SPEC_API, .arena = arena, .err = err}};
    DV_AUTO(dv_json) value = NULL;
    const struct dv_json *list = NULL;
    int e = dv_json_parse(args.data, args.len, &value, err);
    if (e == 0)
        e = read_head(&r, value, work->key, ret, &list);
    if (e == 0 && !work->make(&r, ret, dv_json_count(list)))
        e = no_memory(err);
    size_t i = 0;
    for (const struct dv_json *at = dv_json_first(list); e == 0 && at; at = dv_json_next(at)) {
        r.path[0] = '\0';
        e = enter(&r, at, work->key, i);
        if (e == 0)
            e = work->read(&r, at, ret, i);
        i++;
    }
    *ret_notes = r.spec.notes;
    return e;
}

/* -- artifacts ------------------------------------------------------------------------------ */

/* Peers of Kanto know some errors by this word; the reason stands behind it. */
#define INTERNAL "internal runtime error: "

/* The first problem of a module is the one that is told. */
__attribute__((format(printf, 4, 0))) static void take_problem(struct reader *r,
                                                               struct dv_software_module *module,
                                                               bool is_fault,
                                                               const char *format,
                                                               va_list args)
{
    char text[512];
    if (module->problem)
        return;
    vsnprintf(text, sizeof(text), format, args);
    module->problem = dv_arena_strdup(r->spec.arena, dv_str_mend(text));
    module->is_fault = is_fault;
}

__attribute__((format(printf, 3, 4))) static void
reject(struct reader *r, struct dv_software_module *module, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    take_problem(r, module, false, format, args);
    va_end(args);
}

/* As reject(), for what is an error to Kanto. */
__attribute__((format(printf, 3, 4))) static void
fault(struct reader *r, struct dv_software_module *module, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    take_problem(r, module, true, format, args);
    va_end(args);
}

static const struct {
    const char *key;
    size_t digits;
    size_t offset;
} sums[] = {
    {"MD5", 32, offsetof(struct dv_artifact, md5)},
    {"SHA1", 40, offsetof(struct dv_artifact, sha1)},
    {"SHA256", 64, offsetof(struct dv_artifact, sha256)},
};

#define SUM_COUNT (sizeof(sums) / sizeof(sums[0]))

static const char blanks[] = " \t\r\n";
static const char hex_digits[] = "0123456789abcdefABCDEF";

/* Lower case, without blanks around it; NULL if that is no sum of so many digits. */
static char *read_hex(struct reader *r, const char *text, size_t digits)
{
    text += strspn(text, blanks);
    size_t len = strspn(text, hex_digits);
    if (len != digits || text[len + strspn(text + len, blanks)])
        return NULL;
    char *hex = dv_arena_strndup(r->spec.arena, text, len);
    for (size_t i = 0; hex && i < len; i++)
        if (hex[i] >= 'A' && hex[i] <= 'F')
            hex[i] = (char)(hex[i] - 'A' + 'a');
    return hex;
}

/* Well-formed, but of more digits than that kind of sum has. */
static bool is_longer_hex(const char *text, size_t digits)
{
    text += strspn(text, blanks);
    size_t len = strspn(text, hex_digits);
    return len > digits && len % 2 == 0 && !text[len + strspn(text + len, blanks)];
}

static int read_checksums(struct reader *r,
                          const struct dv_json *object,
                          struct dv_software_module *module,
                          struct dv_artifact *artifact)
{
    const struct dv_json *list = dv_json_get(object, "checksums");
    if (is_given(list) && !dv_json_is(list, DV_JSON_OBJECT))
        return bad_type(r, "checksums", list, "an object");
    for (const struct dv_json *at = dv_json_first(list); at; at = dv_json_next(at)) {
        const char *key = dv_json_key(at);
        const char *text = dv_json_text(at);
        size_t i = 0;
        while (i < SUM_COUNT && strcasecmp(sums[i].key, key) != 0)
            i++;
        if (i == SUM_COUNT) {
            reject(r, module, "%s.checksums: %.32s is not one of MD5, SHA1, SHA256", r->path, key);
            continue;
        }
        if (is_given(at) && !text)
            return bad_type(r, "checksums", at, "a string");
        if (!text || !text[0])
            continue;
        char *hex = read_hex(r, text, sums[i].digits);
        if (!hex && is_longer_hex(text, sums[i].digits))
            fault(r, module, INTERNAL "%s.checksums.%s: %zu hexadecimal digits are expected",
                  r->path, sums[i].key, sums[i].digits);
        else if (!hex)
            reject(r, module, "%s.checksums.%s: %zu hexadecimal digits are expected", r->path,
                   sums[i].key, sums[i].digits);
        memcpy((char *)artifact + sums[i].offset, &hex, sizeof(hex));
    }
    return 0;
}

/* Printable ASCII only: what it is not, no library has to make sense of. */
static bool read_scheme(const char *url, int64_t *ret_protocol)
{
    static const char *const schemes[] = {"https://", "sftp://", "http://", "ftp://"};
    for (const char *at = url; *at; at++)
        if (*at <= ' ' || *at > '~')
            return false;
    for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        size_t len = strlen(schemes[i]);
        if (strncasecmp(url, schemes[i], len) != 0)
            continue;
        *ret_protocol = (int64_t)i;
        return url[len] && !strchr("/?#", url[len]);
    }
    return false;
}

static int read_link(struct reader *r,
                     const struct dv_json *object,
                     struct dv_software_module *module,
                     struct dv_artifact *artifact)
{
    const char *key = dv_json_key(object);
    struct dv_artifact_link link = {0};
    int64_t named;
    int64_t protocol = 0;
    int64_t md5_protocol = 0;
    if (!dv_enum_parse(&dv_enum_artifact_protocol, key, &named)) {
        fault(r, module, INTERNAL "%s.download: %.32s is not one of HTTPS, SFTP, HTTP, FTP",
              r->path, key);
        return 0;
    }
    if (!is_given(object))
        return 0;
    if (!dv_json_is(object, DV_JSON_OBJECT))
        return bad_type(r, "download", object, "an object");
    static const char *const known[] = {"url", "md5url", NULL};
    char *url = NULL;
    char *md5url = NULL;
    note_others(r, "download", object, known);
    int e = take_text(r, object, "url", URL_MAX, &url);
    if (e == 0)
        e = take_text(r, object, "md5url", URL_MAX, &md5url);
    if (e < 0 || !url)
        return e;
    if (!read_scheme(url, &protocol) || (md5url && !read_scheme(md5url, &md5_protocol))) {
        fault(r, module, "%s.download.%s: a link begins with https, sftp, http or ftp, and a host",
              r->path, dv_enum_api(&dv_enum_artifact_protocol, named));
        return 0;
    }
    link.protocol = (enum dv_artifact_protocol)protocol;
    link.url = (struct dv_bytes){(uint8_t *)url, strlen(url)};
    link.md5_protocol = (enum dv_artifact_protocol)md5_protocol;
    if (md5url)
        link.md5url = (struct dv_bytes){(uint8_t *)md5url, strlen(md5url)};
    size_t at = artifact->links.count++;
    while (at > 0 && artifact->links.items[at - 1].protocol > link.protocol) {
        artifact->links.items[at] = artifact->links.items[at - 1];
        at--;
    }
    artifact->links.items[at] = link;
    return 0;
}

static int read_links(struct reader *r,
                      const struct dv_json *object,
                      struct dv_software_module *module,
                      struct dv_artifact *artifact)
{
    const struct dv_json *download = dv_json_get(object, "download");
    if (is_given(download) && !dv_json_is(download, DV_JSON_OBJECT))
        return bad_type(r, "download", download, "an object");
    size_t count = dv_json_count(download);
    artifact->links.items =
        dv_arena_array(r->spec.arena, count + 1, sizeof(*artifact->links.items));
    if (!artifact->links.items)
        return no_memory(r->spec.err);
    int e = 0;
    for (const struct dv_json *at = dv_json_first(download); e == 0 && at; at = dv_json_next(at))
        e = read_link(r, at, module, artifact);
    if (e == 0 && artifact->links.count == 0)
        fault(r, module, INTERNAL "%s.download: at least one link is required", r->path);
    return e;
}

static int read_artifact(struct reader *r,
                         const struct dv_json *object,
                         struct dv_software_module *module,
                         struct dv_artifact *ret)
{
    static const char *const known[] = {"filename", "size", "download", "checksums", NULL};
    note_others(r, "", object, known);
    int e = take_text(r, object, "filename", FILE_NAME_BYTES, &ret->filename);
    if (e == 0)
        e = take_i64(r, object, "size", INT64_MAX, &ret->size);
    if (e < 0)
        return e;
    if (ret->filename && (strpbrk(ret->filename, "/\\") || strcmp(ret->filename, "..") == 0 ||
                          strcmp(ret->filename, ".") == 0))
        reject(r, module, "%s.filename: a name without folders is expected", r->path);
    if (ret->size > DV_ARTIFACT_BYTES_MAX)
        reject(r, module, "%s.size: a container description has at most %lld bytes", r->path,
               DV_ARTIFACT_BYTES_MAX);
    e = read_checksums(r, object, module, ret);
    return e < 0 ? e : read_links(r, object, module, ret);
}

/* -- install -------------------------------------------------------------------------------- */

static int read_name(struct reader *r, const struct dv_json *object, struct dv_software_module *ret)
{
    const struct dv_json *name = dv_json_get(object, "softwareModule");
    if (!dv_json_is(name, DV_JSON_OBJECT))
        return bad_type(r, "softwareModule", name, "an object");
    static const char *const known[] = {"name", "version", NULL};
    char path[PATH_TEXT_MAX];
    note_others(r, "softwareModule", name, known);
    int e = take_text(r, name, "name", NAME_MAX_BYTES, &ret->name);
    if (e == 0)
        e = take_text(r, name, "version", NAME_MAX_BYTES, &ret->version);
    if (e == 0 && !ret->name)
        return spec_bad(r->spec.err, path_of(r, "softwareModule.name", path), "is required");
    return e;
}

static int
read_module(struct reader *r, const struct dv_json *object, struct dv_software_module *ret)
{
    static const char *const known[] = {"softwareModule", "artifacts", "metadata", NULL};
    char path[PATH_TEXT_MAX];
    note_others(r, "", object, known);
    int e = read_name(r, object, ret);
    const struct dv_json *list = dv_json_get(object, "artifacts");
    if (e < 0)
        return e;
    if (is_given(list) && !dv_json_is(list, DV_JSON_ARRAY))
        return bad_type(r, "artifacts", list, "an array");
    size_t count = dv_json_count(list);
    if (count == 0)
        return spec_bad(r->spec.err, path_of(r, "artifacts", path), "at least one is required");
    if (count > DV_SOFTWARE_ARTIFACTS_MAX)
        return dv_error_set(r->spec.err, DV_ERR_LIMIT,
                            "%s.artifacts: %zu are given, at most %d are allowed", r->path, count,
                            DV_SOFTWARE_ARTIFACTS_MAX);
    ret->artifacts.items = dv_arena_array(r->spec.arena, count, sizeof(*ret->artifacts.items));
    if (!ret->artifacts.items)
        return no_memory(r->spec.err);
    size_t len = strlen(r->path);
    for (const struct dv_json *at = dv_json_first(list); at; at = dv_json_next(at)) {
        size_t i = ret->artifacts.count++;
        r->path[len] = '\0';
        e = enter(r, at, "artifacts", i);
        if (e == 0)
            e = read_artifact(r, at, ret, &ret->artifacts.items[i]);
        if (e < 0)
            return e;
    }
    return 0;
}

static void *make_modules(struct reader *r, struct dv_software_operation *ret, size_t count)
{
    return ret->modules.items = dv_arena_array(r->spec.arena, count, sizeof(*ret->modules.items));
}

static int read_modules(struct reader *r,
                        const struct dv_json *object,
                        struct dv_software_operation *ret,
                        size_t index)
{
    ret->modules.count = index + 1;
    return read_module(r, object, &ret->modules.items[index]);
}

int dv_software_install(struct dv_str args,
                        struct dv_arena *arena,
                        struct dv_software_operation *ret,
                        struct dv_spec_notes *ret_notes,
                        struct dv_error *err)
{
    static const struct work modules = {"softwareModules", make_modules, read_modules};
    *ret = (struct dv_software_operation){0};
    return read_operation(args, &modules, arena, ret, ret_notes, err);
}

/* -- remove --------------------------------------------------------------------------------- */

static int read_software(struct reader *r, const struct dv_json *object, struct dv_dependency *ret)
{
    static const char *const known[] = {"group", "name", "version", "type", NULL};
    char path[PATH_TEXT_MAX];
    note_others(r, "", object, known);
    int e = take_text(r, object, "group", GROUP_MAX, &ret->group);
    if (e == 0)
        e = take_text(r, object, "name", NAME_MAX_BYTES, &ret->name);
    if (e == 0)
        e = take_text(r, object, "version", GROUP_MAX, &ret->version);
    if (e == 0)
        e = take_text(r, object, "type", NAME_MAX_BYTES, &ret->type);
    if (e == 0 && !ret->name)
        return spec_bad(r->spec.err, path_of(r, "name", path), "is required");
    return e;
}

static void *make_software(struct reader *r, struct dv_software_operation *ret, size_t count)
{
    return ret->software.items = dv_arena_array(r->spec.arena, count, sizeof(*ret->software.items));
}

static int read_dependency(struct reader *r,
                           const struct dv_json *object,
                           struct dv_software_operation *ret,
                           size_t index)
{
    ret->software.count = index + 1;
    return read_software(r, object, &ret->software.items[index]);
}

int dv_software_remove(struct dv_str args,
                       struct dv_arena *arena,
                       struct dv_software_operation *ret,
                       struct dv_spec_notes *ret_notes,
                       struct dv_error *err)
{
    static const struct work software = {"software", make_software, read_dependency};
    *ret = (struct dv_software_operation){.is_remove = true};
    return read_operation(args, &software, arena, ret, ret_notes, err);
}
