/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/image_config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define ROOTFS                                                                                     \
    "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:"                                      \
    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\"]}"

static int
parse(const char *text, struct dv_arena *arena, struct dv_oci_image *ret, struct dv_error *err)
{
    return dv_oci_image_parse(text, strlen(text), arena, ret, err);
}

Test(oci_image_config, what_runs_is_taken_over)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    struct dv_oci_image image;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(parse("{\"config\":{\"User\":\"app:video\",\"WorkingDir\":\"/srv\","
                       "\"StopSignal\":\"SIGQUIT\",\"Env\":[\"A=1\",\"B=2\"],"
                       "\"Entrypoint\":[\"/run\"],\"Cmd\":[\"x\",\"y\"]}," ROOTFS "}",
                       arena, &image, &err),
                 0, "%s", err.text);
    cr_expect_str_eq(image.user, "app:video");
    cr_expect_str_eq(image.working_dir, "/srv");
    cr_expect_str_eq(image.stop_signal, "SIGQUIT");
    cr_expect_eq(image.env.count, 2U);
    cr_expect_str_eq(image.env.items[1], "B=2");
    cr_expect_eq(image.entrypoint.count, 1U);
    cr_expect_str_eq(image.entrypoint.items[0], "/run");
    cr_expect_eq(image.cmd.count, 2U);
    cr_expect_str_eq(image.cmd.items[1], "y");
}

Test(oci_image_config, what_is_not_given_is_absent)
{
    static const char *const texts[] = {
        "{" ROOTFS "}",
        "{\"config\":null," ROOTFS "}",
        "{\"config\":{}," ROOTFS "}",
        "{\"config\":{\"User\":\"\",\"WorkingDir\":null,\"Env\":null,\"Entrypoint\":null,"
        "\"Cmd\":[],\"StopSignal\":\"\"}," ROOTFS "}",
        /* What davit does not use may be anything. */
        "{\"config\":{\"ExposedPorts\":{\"x/y\":5},\"Volumes\":[1],\"Labels\":\"no\","
        "\"Healthcheck\":true}," ROOTFS "}",
        "{\"config\":{\"ExposedPorts\":\"garbage\"}," ROOTFS "}",
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_image image;
        struct dv_error err = DV_ERROR_INIT;
        cr_assert_eq(parse(texts[i], arena, &image, &err), 0, "%s: %s", texts[i], err.text);
        cr_expect_null(image.user);
        cr_expect_null(image.working_dir);
        cr_expect_null(image.stop_signal);
        cr_expect_eq(image.env.count + image.entrypoint.count + image.cmd.count, 0U);
    }
}

Test(oci_image_config, members_of_another_type_are_corrupt)
{
    static const char *const configs[] = {
        "5",
        "[]",
        "\"x\"",
        "{\"User\":5}",
        "{\"User\":[\"root\"]}",
        "{\"WorkingDir\":{}}",
        "{\"Env\":\"A=1\"}",
        "{\"Env\":[5]}",
        "{\"Env\":[null]}",
        "{\"Entrypoint\":\"/run\"}",
        "{\"Cmd\":{\"0\":\"sh\"}}",
        "{\"Cmd\":[[\"sh\"]]}",
        "{\"Cmd\":[\"a\\u0000b\"]}",
        "{\"StopSignal\":15}",
    };
    for (size_t i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_image image;
        struct dv_error err = DV_ERROR_INIT;
        char text[512];
        (void)snprintf(text, sizeof(text), "{\"config\":%s," ROOTFS "}", configs[i]);
        cr_expect_eq(parse(text, arena, &image, &err), -DV_ERR_CORRUPT, "%s", configs[i]);
        cr_expect(strstr(err.text, "image configuration"), "%s", err.text);
    }
}

Test(oci_image_config, bytes_that_are_no_configuration_are_corrupt)
{
    static const char *const texts[] = {"", "{", "null", "[]", "{}", "{\"rootfs\":{}}", "\xff"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_image image;
        cr_expect_eq(parse(texts[i], arena, &image, NULL), -DV_ERR_CORRUPT, "'%s'", texts[i]);
    }
}
