/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/software.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dv_arena *arena;
static struct dv_error err;
static struct dv_software_operation operation;
static struct dv_spec_notes notes;

static void setup(void)
{
    arena = dv_arena_new(8 << 20);
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(software, .init = setup, .fini = teardown);

/* 31 plain characters, one of two bytes. */
#define LONG_KEY "0123456789012345678901234567890\xc3\xa9"
#define MD5      "8C5A0FA2C01E218262D672BF643652FD"
#define SHA1     "7539b451d818d94bcd97d401a5467b3e1c0b8981"
#define LINK     "\"download\":{\"HTTPS\":{\"url\":\"https://h.example/a.json\"}}"

/* One module with one artifact of these members. */
static int install(const char *artifact)
{
    char text[4096];
    snprintf(text, sizeof(text),
             "{\"correlationId\":\"op\",\"softwareModules\":[{\"softwareModule\":{\"name\":\"m\","
             "\"version\":\"1\"},\"artifacts\":[{%s}]}]}",
             artifact);
    err = DV_ERROR_INIT;
    return dv_software_install(dv_str_of(text), arena, &operation, &notes, &err);
}

static const char *problem(const char *artifact)
{
    cr_assert_eq(install(artifact), 0, "%s", err.text);
    const char *text = operation.modules.items[0].problem;
    return text ? text : "none";
}

/* shows: D21, D22, spellings */
Test(software, install_reads_what_the_api_documents)
{
    static const char text[] =
        "{\"correlationId\":\"other\",\"weight\":7,\"metadata\":{\"k\":\"v\"},\"forced\":true,"
        "\"softwareModules\":[{\"softwareModule\":{\"name\":\"influxdb\",\"version\":\"1.8.4\"},"
        "\"artifacts\":[{\"filename\":\"valid.json\",\"download\":{"
        "\"FTP\":{\"url\":\"ftp://h/f\"},\"http\":{\"url\":\"http://h/f\"},"
        "\"SFTP\":{\"url\":\"sftp://h/f\"},"
        "\"HTTPS\":{\"url\":\"https://h/f\",\"md5url\":\"https://h/m\"}},"
        "\"checksums\":{\"MD5\":\" " MD5 "\\n\",\"sha1\":\"" SHA1 "\",\"SHA256\":\"\"},"
        "\"size\":100}]}]}";
    cr_assert_eq(dv_software_install(dv_str_of(text), arena, &operation, &notes, &err), 0, "%s",
                 err.text);
    cr_assert_str_eq(operation.correlation_id, "other");
    cr_assert_eq(operation.weight, 7);
    cr_assert(operation.is_forced);
    cr_assert_str_eq(operation.metadata, "{\"k\":\"v\"}");
    const struct dv_software_module *module = &operation.modules.items[0];
    cr_assert_str_eq(module->name, "influxdb");
    cr_assert_str_eq(module->version, "1.8.4");
    cr_assert_null(module->problem, "%s", module->problem);
    const struct dv_artifact *artifact = &module->artifacts.items[0];
    cr_assert_str_eq(artifact->md5, "8c5a0fa2c01e218262d672bf643652fd");
    cr_assert_str_eq(artifact->sha1, SHA1);
    cr_assert_null(artifact->sha256, "empty: not given");
    cr_assert_eq(artifact->size, 100);
    cr_assert_eq(artifact->links.count, 4);
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(artifact->links.items[i].protocol, i, "the safest first");
    cr_assert_eq(memcmp(artifact->links.items[0].md5url.data, "https://h/m", 11), 0);
}

Test(software, a_link_is_as_safe_as_its_scheme_says)
{
    cr_assert_str_eq(problem("\"download\":{\"HTTPS\":{\"url\":\"http://h/f\"},"
                             "\"SFTP\":{\"url\":\"https://h/f\"}}"),
                     "none");
    const struct dv_artifact *artifact = &operation.modules.items[0].artifacts.items[0];
    cr_assert_eq(artifact->links.items[0].protocol, DV_ARTIFACT_HTTPS);
    cr_assert_eq(artifact->links.items[1].protocol, DV_ARTIFACT_HTTP);
}

/* shows: K27, spellings */
Test(software, what_is_wrong_with_a_module_is_its_own_problem)
{
    cr_assert(strstr(problem("\"download\":{\"GOPHER\":{\"url\":\"gopher://h\"}}"),
                     "GOPHER is not one of HTTPS"));
    cr_assert(strstr(problem("\"download\":{\"HTTP\":{\"url\":\"file:///etc/passwd\"}}"),
                     "a link begins with"));
    cr_assert(strstr(problem("\"download\":{\"HTTP\":{\"url\":\"http:///x\"}}"), "and a host"));
    cr_assert(strstr(problem("\"download\":{\"HTTP\":{\"url\":\"http://h/a b\"}}"), "link"));
    cr_assert(strstr(problem("\"download\":{}"), "at least one link"));
    cr_assert(strstr(problem("\"filename\":\"a\""), "at least one link"));
    cr_assert(strstr(problem(LINK ",\"checksums\":{\"MD5\":\"" SHA1 "\"}"), "32 hexadecimal"));
    cr_assert(strstr(problem(LINK ",\"checksums\":{\"SHA1\":\"xyz\"}"), "40 hexadecimal"));
    cr_assert(strstr(problem(LINK ",\"checksums\":{\"CRC\":\"1\"}"), "CRC is not one of MD5"));
    cr_assert(strstr(problem(LINK ",\"checksums\":{\"" LONG_KEY "\":\"1\"}"),
                     "checksums: 0123456789012345678901234567890 is not one"),
              "cut between characters");
    cr_assert(strstr(problem(LINK ",\"filename\":\"../x\""), "without folders"));
    cr_assert(strstr(problem(LINK ",\"filename\":\"..\""), "without folders"));
    cr_assert(strstr(problem(LINK ",\"size\":104857600"), "at most 1048576 bytes"));
    cr_assert_str_eq(problem(LINK), "none", "no checksum at all is a warning later");
}

/* shows: K27 */
Test(software, what_is_an_error_to_kanto_is_no_rejection)
{
    static const struct {
        const char *artifact;
        bool is_fault;
        bool is_internal;
    } table[] = {
        {"\"download\":{}", true, true},
        {"\"download\":{\"GOPHER\":{\"url\":\"gopher://h\"}}", true, true},
        {"\"download\":{\"HTTP\":{\"url\":\"file:///etc/passwd\"}}", true, false},
        {LINK ",\"checksums\":{\"MD5\":\"" SHA1 "\"}", true, true},
        {LINK ",\"checksums\":{\"MD5\":\" " MD5 MD5 "\\n\"}", true, true},
        {LINK ",\"checksums\":{\"SHA1\":\"" MD5 "\"}", false, false},
        {LINK ",\"checksums\":{\"SHA1\":\"" SHA1 "0\"}", false, false},
        {LINK ",\"checksums\":{\"MD5\":\"" MD5 " x\"}", false, false},
        {LINK ",\"checksums\":{\"CRC\":\"1\"}", false, false},
        {LINK ",\"filename\":\"../x\"", false, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const char *text = problem(table[i].artifact);
        cr_expect_str_neq(text, "none", "%s", table[i].artifact);
        cr_expect_eq(operation.modules.items[0].is_fault, table[i].is_fault, "%s", text);
        cr_expect_eq(strncmp(text, "internal runtime error: ", 24) == 0, table[i].is_internal, "%s",
                     text);
    }
}

static enum dv_error_class refused(const char *text)
{
    err = DV_ERROR_INIT;
    cr_assert_lt(dv_software_install(dv_str_of(text), arena, &operation, &notes, &err), 0);
    return err.class;
}

/* shows: E15 */
Test(software, what_is_no_install_at_all_is_refused)
{
    cr_assert_eq(refused(""), DV_ERR_INVALID);
    cr_assert_eq(refused("[]"), DV_ERR_INVALID);
    cr_assert_eq(refused("{\"correlationId\":\"a\"}"), DV_ERR_INVALID);
    cr_assert_str_eq(operation.correlation_id, "a", "known, so that the refusal can be shown");
    cr_assert_eq(refused("{\"softwareModules\":[]}"), DV_ERR_INVALID);
    cr_assert_eq(refused("{\"softwareModules\":[{}]}"), DV_ERR_INVALID);
    cr_assert_eq(refused("{\"softwareModules\":[{\"softwareModule\":{\"name\":\"m\"}}]}"),
                 DV_ERR_INVALID);
    cr_assert(strstr(err.text, "softwareModules[0].artifacts: at least one"), "%s", err.text);
    cr_assert_lt(install(LINK ",\"checksums\":{\"MD5\":\"" MD5 "\",\"md5\":\"" MD5 "\"}"), 0,
                 "keys that differ by case are one key twice");
    cr_assert_lt(install(LINK ",\"size\":-1"), 0);
    cr_assert_lt(install(LINK ",\"size\":1.5"), 0);
}

static void check_note(size_t index, const char *text)
{
    cr_assert_gt(notes.count, index, "%s", text);
    cr_expect_str_eq(notes.texts[index], text);
}

/* shows: spellings */
Test(software, keys_that_are_not_known_are_noted_with_their_place)
{
    static const char text[] =
        "{\"wait\":1,\"correlationId\":\"a\",\"metadata\":{\"any\":1},\"softwareModules\":["
        "{\"softwareModule\":{\"name\":\"m\"},\"artifacts\":[{" LINK "}]},"
        "{\"softwareModule\":{\"name\":\"n\",\"verison\":\"1\"},\"metadata\":{},\"x\":{},"
        "\"artifacts\":[{\"fileName\":\"f\",\"sizes\":1,\"download\":{\"HTTP\":"
        "{\"url\":\"http://h/f\",\"md5\":\"\"}}}]}]}";
    cr_assert_eq(dv_software_install(dv_str_of(text), arena, &operation, &notes, &err), 0, "%s",
                 err.text);
    check_note(0, "wait is not a known key");
    check_note(1, "softwareModules[1].x is not a known key");
    check_note(2, "softwareModules[1].softwareModule.verison is not a known key, did you mean "
                  "'version'?");
    check_note(3, "softwareModules[1].artifacts[0].sizes is not a known key, did you mean 'size'?");
    check_note(4, "softwareModules[1].artifacts[0].download.md5 is not a known key");
    cr_expect_eq(notes.count, 5);
    static const char remove[] =
        "{\"softwareModules\":[],\"software\":[{\"name\":\"n\",\"vers\":\"\"}]}";
    cr_assert_eq(dv_software_remove(dv_str_of(remove), arena, &operation, &notes, &err), 0, "%s",
                 err.text);
    cr_expect_eq(notes.count, 2, "what install has is not known to remove");
}

Test(software, too_many_modules_are_over_a_limit)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(1 << 20);
    cr_assert_eq(dv_buf_append_str(&text, "{\"softwareModules\":[{}", NULL), 0);
    for (int i = 1; i < 10000; i++)
        cr_assert_eq(dv_buf_append_str(&text, ",{}", NULL), 0);
    cr_assert_eq(dv_buf_append_str(&text, "]}", NULL), 0);
    cr_assert_eq(refused(text.data), DV_ERR_LIMIT);
    cr_assert(strstr(err.text, "10000 are given, at most 256"), "%s", err.text);
}

/* shows: E15 */
Test(software, remove_reads_dependencies)
{
    static const char text[] = "{\"correlationId\":\"r\",\"forced\":true,\"software\":["
                               "{\"group\":\"g\",\"name\":\"n\",\"version\":\"\"}]}";
    cr_assert_eq(dv_software_remove(dv_str_of(text), arena, &operation, &notes, &err), 0, "%s",
                 err.text);
    cr_assert(operation.is_remove && operation.is_forced);
    cr_assert_str_eq(operation.software.items[0].name, "n");
    cr_assert_null(operation.software.items[0].version);
    static const char *const bad[] = {"{}", "{\"software\":[]}",
                                      "{\"software\":[{\"version\":\"1\"}]}", "{\"software\":[1]}",
                                      "{\"software\":{}}"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        err = DV_ERROR_INIT;
        cr_assert_eq(dv_software_remove(dv_str_of(bad[i]), arena, &operation, &notes, &err),
                     -DV_ERR_INVALID);
    }
}

Test(software, a_description_keeps_nothing_of_the_machine_it_was_copied_from)
{
    static const char text[] =
        "{\"container_name\":\"web\",\"image\":{\"name\":\"r.example/web:1\"},"
        "\"state\":{\"status\":2,\"pid\":7},\"restart_count\":3,\"manually_stopped\":true,"
        "\"davit\":{\"layers\":[\"x\"],\"image_id\":\"sha256:1\",\"start_pending\":true}}";
    struct dv_container_record *record = NULL;
    cr_assert_eq(dv_software_description(text, strlen(text), "id1", arena, &record, &err), 0, "%s",
                 err.text);
    cr_assert_str_eq(record->id, "id1");
    cr_assert_str_eq(record->name, "web");
    cr_assert_eq(record->state->status, DV_STATUS_CREATING);
    cr_assert_eq(record->state->pid, -1);
    cr_assert_eq(record->layers.count, 0);
    cr_assert_null(record->image_id);
    cr_assert_not(record->start_pending || record->manually_stopped || record->restart_count);
    cr_assert_eq(dv_software_description("{", 1, "i", arena, &record, &err), -DV_ERR_CORRUPT);
    err = DV_ERROR_INIT;
    static const char hooks[] = "{\"image\":{\"name\":\"r.example/web:1\"},"
                                "\"hooks\":[{\"path\":\"/x\",\"args\":[],\"env\":[],\"type\":0}]}";
    cr_assert_lt(dv_software_description(hooks, strlen(hooks), "i", arena, &record, &err), 0,
                 "what a create refuses");
}

Test(software, an_md5_file_begins_with_the_sum)
{
    char hex[33];
    static const char sum[] = MD5 "  valid.json\n";
    cr_assert(dv_software_md5_of(sum, strlen(sum), hex));
    cr_assert_str_eq(hex, "8c5a0fa2c01e218262d672bf643652fd");
    cr_assert(dv_software_md5_of(MD5, 32, hex));
    cr_assert_not(dv_software_md5_of(MD5, 31, hex));
    cr_assert_not(dv_software_md5_of(SHA1, 40, hex));
    cr_assert_not(dv_software_md5_of("{}", 2, hex));
}

static const char *place(const char *url)
{
    return dv_software_place((struct dv_bytes){(uint8_t *)url, strlen(url)}, arena);
}

/* shows: sftp-hosts */
Test(software, a_place_shows_no_secret)
{
    cr_assert_str_eq(place("ftp://me:pa@ss@h.example:21/a/b?token=1#x"), "ftp://h.example:21/a/b");
    cr_assert_str_eq(place("https://h/x"), "https://h/x");
    cr_assert_str_eq(place("https://h?x@y"), "https://h");
}

/* shows: K24 */
Test(software, dependencies_are_named_as_kanto_names_them)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    struct dv_dependency two[2];
    size_t left_out = 7;
    cr_assert_eq(
        dv_software_dependency("7b0c", "docker.io/library/influxdb:1.8.4", arena, &two[0], &err),
        0);
    cr_assert_eq(dv_software_dependency("c1", "localhost:5000/bb:1", arena, &two[1], &err), 0);
    struct dv_dependency sealed;
    cr_assert_eq(dv_software_dependency("c2", "r.example/a@sha256:ab", arena, &sealed, &err), 0);
    cr_assert_str_eq(sealed.group, "r.example/a@sha256");
    cr_assert_str_eq(sealed.version, "ab");
    cr_assert_eq(dv_software_write_dependencies(two, 2, 4096, &out, &left_out, &err), 0);
    cr_assert_eq(left_out, 0);
    cr_assert_str_eq(out.data,
                     "{\"docker.io%2Flibrary%2Finfluxdb.7b0c:1.8.4\":{\"group\":\"docker.io/"
                     "library/influxdb\",\"name\":\"7b0c\",\"version\":\"1.8.4\"},"
                     "\"localhost.c1:5000%2Fbb:1\":{\"group\":\"localhost\",\"name\":\"c1\","
                     "\"version\":\"5000/bb:1\"}}");
}

Test(software, dependencies_that_find_no_room_are_counted)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    struct dv_dependency two[2] = {{.name = (char *)"a"}, {.name = (char *)"b"}};
    size_t left_out;
    cr_assert_eq(dv_software_write_dependencies(two, 2, 1, &out, &left_out, &err), 0);
    cr_assert_eq(left_out, 1);
    dv_buf_clear(&out);
    cr_assert_eq(dv_software_write_dependencies(NULL, 0, 1, &out, &left_out, &err), 0);
    cr_assert_str_eq(out.data, "null");
}

Test(software, the_whole_feature_shows_the_last_operations)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_software_write_properties(NULL, "{\"a\":1}", NULL, &out, &err), 0);
    cr_assert_str_eq(out.data, "{\"status\":{\"softwareModuleType\":\"oci:container\","
                               "\"lastOperation\":{\"a\":1}}}");
}

Test(software, a_report_has_what_is_known)
{
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    struct dv_software_module module = {.name = (char *)"m", .version = (char *)"1"};
    struct dv_software_report report = {
        .correlation_id = "op", .status = DV_SOFTWARE_DOWNLOADING, .module = &module};
    cr_assert_eq(dv_software_write_report(&report, &out, &err), 0);
    cr_assert_str_eq(out.data, "{\"correlationId\":\"op\",\"status\":\"DOWNLOADING\","
                               "\"softwareModule\":{\"name\":\"m\",\"version\":\"1\"}}");
    dv_buf_clear(&out);
    struct dv_dependency one = {.name = (char *)"x"};
    const struct dv_dependency *list[] = {&one};
    report = (struct dv_software_report){.correlation_id = "op",
                                         .status = DV_SOFTWARE_FINISHED_ERROR,
                                         .software = list,
                                         .software_count = 1,
                                         .progress = 40,
                                         .message = "why"};
    cr_assert_eq(dv_software_write_report(&report, &out, &err), 0);
    cr_assert_str_eq(out.data,
                     "{\"correlationId\":\"op\",\"status\":\"FINISHED_ERROR\",\"software\":[{"
                     "\"name\":\"x\",\"version\":\"\"}],\"progress\":40,\"message\":\"why\"}");
}
