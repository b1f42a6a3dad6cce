/* SPDX-License-Identifier: Apache-2.0 */
/* Every field of createWithConfig with what does not belong there: wrong types, nothing, too much,
 * unknown words, twice. */
#include "spec/create.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID        "5e1f0d5c-6a0b-4a53-9d6c-0a3f6f0f6f11"
#define VALUE_MAX (1U << 20)

enum type {
    TEXT,
    WORD, /* one of a few texts */
    BOOL,
    NUMBER,
    TEXTS,
    LIST, /* of objects */
    OBJECT,
};

struct field {
    const char *path;    /* in the error */
    const char *pattern; /* a value of createWithConfig with %s in the field's place */
    enum type type;
    long max; /* TEXT: bytes, TEXTS and LIST: items, NUMBER: the value; 0: not tried */
};

#define CONFIG(members) "{\"imageRef\":\"r/a:1\",\"config\":{" members "}}"
#define MOUNT(member)                                                                              \
    CONFIG("\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"/b\"},{" member "}]")
#define DEVICE(members) CONFIG("\"devices\":[{" members "}]")
#define PORT(members)   CONFIG("\"portMappings\":[{\"containerPort\":80," members "}]")

static const struct field fields[] = {
    {"imageRef", "{\"imageRef\":%s}", TEXT, 1024},
    {"start", "{\"imageRef\":\"r/a:1\",\"start\":%s}", BOOL, 0},
    {"name", "{\"imageRef\":\"r/a:1\",\"name\":%s}", TEXT, 253},
    {"config", "{\"imageRef\":\"r/a:1\",\"config\":%s}", OBJECT, 0},
    {"config.domainName", CONFIG("\"domainName\":%s"), TEXT, 64},
    {"config.hostName", CONFIG("\"hostName\":%s"), TEXT, 64},
    {"config.env", CONFIG("\"env\":%s"), TEXTS, 4096},
    {"config.cmd", CONFIG("\"cmd\":%s"), TEXTS, 4096},
    {"config.privileged", CONFIG("\"privileged\":%s"), BOOL, 0},
    {"config.extraHosts", CONFIG("\"extraHosts\":%s"), TEXTS, 1024},
    {"config.extraCapabilities", CONFIG("\"extraCapabilities\":%s"), TEXTS, 128},
    {"config.networkMode", CONFIG("\"networkMode\":%s"), WORD, 0},
    {"config.openStdin", CONFIG("\"openStdin\":%s"), BOOL, 0},
    {"config.tty", CONFIG("\"tty\":%s"), BOOL, 0},
    {"config.mountPoints", CONFIG("\"mountPoints\":%s"), LIST, 1024},
    {"config.mountPoints[1].source", MOUNT("\"destination\":\"/c\",\"source\":%s"), TEXT, 4096},
    {"config.mountPoints[1].destination", MOUNT("\"source\":\"/c\",\"destination\":%s"), TEXT,
     4096},
    {"config.mountPoints[1].propagationMode",
     MOUNT("\"source\":\"/c\",\"destination\":\"/d\",\"propagationMode\":%s"), WORD, 0},
    {"config.decryption", CONFIG("\"decryption\":%s"), OBJECT, 0},
    {"config.decryption.keys", CONFIG("\"decryption\":{\"keys\":%s}"), TEXTS, 64},
    {"config.decryption.recipients", CONFIG("\"decryption\":{\"recipients\":%s}"), TEXTS, 64},
    {"config.devices", CONFIG("\"devices\":%s"), LIST, 1024},
    {"config.devices[0].pathOnHost", DEVICE("\"pathInContainer\":\"/dev/a\",\"pathOnHost\":%s"),
     TEXT, 4096},
    {"config.devices[0].pathInContainer",
     DEVICE("\"pathOnHost\":\"/dev/a\",\"pathInContainer\":%s"), TEXT, 4096},
    {"config.devices[0].cgroupPermissions",
     DEVICE("\"pathOnHost\":\"/dev/a\",\"cgroupPermissions\":%s"), TEXT, 3},
    {"config.restartPolicy", CONFIG("\"restartPolicy\":%s"), OBJECT, 0},
    {"config.restartPolicy.type", CONFIG("\"restartPolicy\":{\"type\":%s}"), WORD, 0},
    {"config.restartPolicy.maxRetryCount",
     CONFIG("\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":%s}"), NUMBER,
     2147483647L},
    {"config.restartPolicy.retryTimeout",
     CONFIG("\"restartPolicy\":{\"type\":\"on-failure\",\"retryTimeout\":%s}"), NUMBER,
     9000000000L},
    {"config.portMappings", CONFIG("\"portMappings\":%s"), LIST, 1024},
    {"config.portMappings[0].proto", PORT("\"hostPort\":80,\"proto\":%s"), TEXT, 8},
    {"config.portMappings[0].containerPort",
     CONFIG("\"portMappings\":[{\"hostPort\":80,\"containerPort\":%s}]"), NUMBER, 65535},
    {"config.portMappings[0].hostIP", PORT("\"hostPort\":80,\"hostIP\":%s"), TEXT, 64},
    {"config.portMappings[0].hostPort", PORT("\"hostPort\":%s"), NUMBER, 65535},
    {"config.portMappings[0].hostPortEnd", PORT("\"hostPort\":80,\"hostPortEnd\":%s"), NUMBER,
     65535},
    {"config.log", CONFIG("\"log\":%s"), OBJECT, 0},
    {"config.log.type", CONFIG("\"log\":{\"type\":%s}"), WORD, 0},
    {"config.log.maxFiles", CONFIG("\"log\":{\"maxFiles\":%s}"), NUMBER, 10000},
    {"config.log.maxSize", CONFIG("\"log\":{\"maxSize\":%s}"), TEXT, 32},
    {"config.log.rootDir", CONFIG("\"log\":{\"rootDir\":%s}"), TEXT, 4096},
    {"config.log.mode", CONFIG("\"log\":{\"mode\":%s}"), WORD, 0},
    {"config.log.maxBufferSize", CONFIG("\"log\":{\"mode\":\"non-blocking\",\"maxBufferSize\":%s}"),
     TEXT, 32},
    {"config.resources", CONFIG("\"resources\":%s"), OBJECT, 0},
    {"config.resources.memory", CONFIG("\"resources\":{\"memory\":%s}"), TEXT, 32},
    {"config.resources.memoryReservation", CONFIG("\"resources\":{\"memoryReservation\":%s}"), TEXT,
     32},
    {"config.resources.memorySwap", CONFIG("\"resources\":{\"memory\":\"10M\",\"memorySwap\":%s}"),
     TEXT, 32},
};

#define FIELDS (sizeof(fields) / sizeof(fields[0]))

static char *value;
static struct dv_arena *arena;
static struct dv_error err;

static void setup(void)
{
    value = malloc(VALUE_MAX);
    arena = NULL;
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    free(value);
    dv_arena_free(arena);
}

TestSuite(input, .init = setup, .fini = teardown);

static int try(const struct field *field, const char *text)
{
    struct dv_create_request request = {0};
    const char *place = strstr(field->pattern, "%s");
    dv_arena_free(arena);
    arena = dv_arena_new(16 << 20);
    err = DV_ERROR_INIT;
    int n = snprintf(value, VALUE_MAX, "%.*s%s%s", (int)(place - field->pattern), field->pattern,
                     text, place + 2);
    cr_assert(n > 0 && n < (int)VALUE_MAX);
    return dv_spec_create_with_config(dv_str_of(value), ID, arena, &request, &err);
}

static void expect_refused(const struct field *field, const char *text)
{
    cr_expect_eq(try(field, text), -DV_ERR_INVALID, "%s: %.100s gave: %s", field->path, text,
                 err.text);
    cr_expect(strncmp(err.text, field->path, strlen(field->path)) == 0, "%s: %.100s gave: %s",
              field->path, text, err.text);
}

/* shows: E14 */
Test(input, what_has_another_type_is_refused_by_name)
{
    static const char *const wrong[][7] = {
        [TEXT] = {"5", "true", "[]", "{}"},
        [WORD] = {"5", "false", "[]", "{}", "\"nonsense\"", "\" \""},
        [BOOL] = {"0", "\"true\"", "[]", "{}"},
        [NUMBER] = {"\"5\"", "true", "[]", "{}", "1e30", "-1"},
        [TEXTS] = {"5", "\"a\"", "{}", "[5]", "[null]", "[[]]"},
        [LIST] = {"5", "\"a\"", "{}", "[5]", "[\"a\"]"},
        [OBJECT] = {"5", "\"a\"", "true", "[]"},
    };
    for (size_t i = 0; i < FIELDS; i++)
        for (size_t k = 0; k < 7 && wrong[fields[i].type][k]; k++)
            expect_refused(&fields[i], wrong[fields[i].type][k]);
}

/* shows: D24, spellings */
Test(input, nothing_means_not_given)
{
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *field = &fields[i];
        bool is_required = strcmp(field->path, "imageRef") == 0 ||
                           strcmp(field->path, "config.restartPolicy.type") == 0 ||
                           strstr(field->path, "containerPort") != NULL;
        bool is_half = strstr(field->path, ".source") || strstr(field->path, ".destination") ||
                       strstr(field->path, ".pathOnHost");
        if (is_required || is_half) {
            cr_expect_eq(try(field, "null"), -DV_ERR_INVALID, "%s", field->path);
            continue;
        }
        cr_expect_eq(try(field, "null"), 0, "%s: %s", field->path, err.text);
        if (field->type == TEXT || field->type == WORD)
            cr_expect_eq(try(field, "\"\""), 0, "%s: %s", field->path, err.text);
        if (field->type == TEXTS || field->type == LIST)
            cr_expect_eq(try(field, "[]"), 0, "%s: %s", field->path, err.text);
    }
}

Test(input, what_is_too_much_is_refused_with_the_limit)
{
    char *text = malloc(VALUE_MAX);
    for (size_t i = 0; i < FIELDS; i++) {
        const struct field *field = &fields[i];
        if (!field->max)
            continue;
        size_t len = 0;
        if (field->type == NUMBER) {
            snprintf(text, VALUE_MAX, "%ld", field->max + 1);
        } else if (field->type == TEXT) {
            text[len++] = '"';
            for (long k = 0; k <= field->max; k++)
                text[len++] = 'a';
            snprintf(text + len, VALUE_MAX - len, "\"");
        } else {
            const char *item = field->type == LIST ? "{}," : "\"a\",";
            text[len++] = '[';
            for (long k = 0; k <= field->max; k++)
                len += (size_t)snprintf(text + len, VALUE_MAX - len, "%s", item);
            text[len - 1] = ']';
        }
        expect_refused(field, text);
    }
    free(text);
}

/* shows: D31 */
Test(input, what_comes_twice_is_refused)
{
    static const char *const twice[] = {
        "{\"imageRef\":\"r/a:1\",\"imageRef\":\"r/a:1\"}",
        "{\"imageRef\":\"r/a:1\",\"ImageRef\":\"r/a:1\"}",
        CONFIG("\"log\":{\"mode\":\"blocking\",\"Mode\":\"blocking\"}"),
        CONFIG("\"devices\":[],\"devices\":[]"),
        CONFIG("\"mountPoints\":[{\"source\":\"/a\",\"SOURCE\":\"/a\",\"destination\":\"/b\"}]"),
    };
    for (size_t i = 0; i < sizeof(twice) / sizeof(twice[0]); i++) {
        const struct field field = {"", "%s", OBJECT, 0};
        cr_expect_eq(try(&field, twice[i]), -DV_ERR_INVALID, "%s", twice[i]);
        cr_expect(strstr(err.text, "comes twice"), "%s gave: %s", twice[i], err.text);
    }
}

/* shows: D7, D8, K17 */
Test(input, words_are_taken_in_any_case_with_either_dash)
{
    static const struct {
        size_t field;
        const char *words[8];
    } rows[] = {
        {11, {"bridge", "HOST", "Bridge"}},
        {17, {"rprivate", "PRIVATE", "rShared", "shared", "RSLAVE", "slave"}},
        {26, {"no", "ALWAYS", "unless_stopped", "Unless-Stopped", "ON-FAILURE", "on_failure"}},
        {36, {"json-file", "JSON_FILE", "None"}},
        {40, {"blocking", "NON-BLOCKING", "non_blocking"}},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct field *field = &fields[rows[i].field];
        cr_assert_eq(field->type, WORD, "%s", field->path);
        for (size_t k = 0; k < 8 && rows[i].words[k]; k++) {
            char text[64];
            snprintf(text, sizeof(text), "\"%s\"", rows[i].words[k]);
            cr_expect_eq(try(field, text), 0, "%s: %s: %s", field->path, text, err.text);
        }
    }
}
