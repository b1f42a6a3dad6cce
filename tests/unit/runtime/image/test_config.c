/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/image/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define DIFF   "\"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\""
#define ROOTFS "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[" DIFF "]}"

static struct dv_arena *arena;

static void setup(void)
{
    arena = dv_arena_new(8U << 20);
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(image_config, .init = setup, .fini = teardown);

Test(image_config, everything_is_read)
{
    static const char json[] =
        "{\"created\":\"2024-01-01T00:00:00Z\",\"architecture\":\"arm\",\"variant\":\"v7\","
        "\"os\":\"linux\",\"config\":{\"User\":\"1000:1000\",\"ExposedPorts\":{\"80/tcp\":{}},"
        "\"Env\":[\"PATH=/bin\",\"A=b\"],\"Entrypoint\":[\"/init\"],\"Cmd\":[\"-x\",\"\"],"
        "\"WorkingDir\":\"/srv\",\"StopSignal\":\"SIGQUIT\",\"Labels\":{\"a\":\"b\"}},"
        "\"history\":[{\"created_by\":\"x\",\"empty_layer\":true}]," ROOTFS "}";
    struct dv_image_config c;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_config_parse(json, strlen(json), arena, &c, &err), 0, "%s", err.text);
    cr_assert_str_eq(c.os, "linux");
    cr_assert_str_eq(c.architecture, "arm");
    cr_assert_str_eq(c.variant, "v7");
    cr_assert_str_eq(c.user, "1000:1000");
    cr_assert_str_eq(c.working_dir, "/srv");
    cr_assert_str_eq(c.stop_signal, "SIGQUIT");
    cr_assert_eq(c.env_count, 2);
    cr_assert_str_eq(c.env[1], "A=b");
    cr_assert_eq(c.entrypoint_count, 1);
    cr_assert_str_eq(c.entrypoint[0], "/init");
    cr_assert_eq(c.cmd_count, 2);
    cr_assert_str_eq(c.cmd[1], "");
    cr_assert_null(c.cmd[2]);
    cr_assert_eq(c.diff_id_count, 1);
}

/* `LABEL Maintainer=` on top of a base with `maintainer`. */
Test(image_config, labels_may_differ_in_case_alone)
{
    static const char json[] =
        "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":{\"Cmd\":[\"x\"],"
        "\"Labels\":{\"maintainer\":\"a\",\"Maintainer\":\"b\",\"MAINTAINER\":\"c\"}}," ROOTFS "}";
    struct dv_image_config c;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_image_config_parse(json, strlen(json), arena, &c, &err), 0, "%s", err.text);
    cr_assert_str_eq(c.cmd[0], "x");
}

Test(image_config, null_and_empty_read_as_absent)
{
    static const char *const documents[] = {
        "{" ROOTFS "}", "{\"config\":null," ROOTFS "}", "{\"config\":{}," ROOTFS "}",
        "{\"config\":{\"Env\":null,\"Cmd\":null,\"Entrypoint\":[],\"User\":\"\","
        "\"WorkingDir\":\"\",\"StopSignal\":null}," ROOTFS "}"};
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        struct dv_image_config c;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(dv_image_config_parse(documents[i], strlen(documents[i]), arena, &c, &err), 0,
                     "%s", err.text);
        cr_assert_eq(c.env_count + c.cmd_count + c.entrypoint_count, 0);
        cr_assert_not_null(c.env);
        cr_assert_null(c.env[0]);
        cr_assert_null(c.user);
        cr_assert_null(c.working_dir);
        cr_assert_null(c.stop_signal);
    }
}

static const struct {
    const char *json;
    const char *why;
} wrong[] = {
    {"", "image configuration"},
    {"[]", "not an object"},
    {"{}", "rootfs.type"},
    {"{\"rootfs\":{\"type\":\"tar\",\"diff_ids\":[]}}", "rootfs.type"},
    {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":{}}}", "diff_ids is an object"},
    {"{\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:x\"]}}", "diff_ids[0] is no digest"},
    {"{\"config\":7," ROOTFS "}", "config is a number"},
    {"{\"config\":{\"Env\":\"A=b\"}," ROOTFS "}", "Env is a string"},
    {"{\"config\":{\"Cmd\":[1]}," ROOTFS "}", "Cmd[0] is a number"},
    {"{\"config\":{\"User\":1}," ROOTFS "}", "User is a number"},
    {"{\"config\":{\"User\":\"a\\u0000b\"}," ROOTFS "}", "image configuration"},
};

Test(image_config, malformed_ones_name_the_place)
{
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct dv_image_config c;
        struct dv_error err = DV_ERROR_INIT;
        int r = dv_image_config_parse(wrong[i].json, strlen(wrong[i].json), arena, &c, &err);
        cr_assert_eq(r, -DV_ERR_CORRUPT, "%s: %d", wrong[i].json, r);
        cr_assert(strstr(err.text, wrong[i].why), "%s: %s", wrong[i].json, err.text);
    }
}
