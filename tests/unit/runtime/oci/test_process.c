/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/oci/process.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define SEARCH_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define ITEMS_MAX   8

static struct dv_texts texts(char **items)
{
    struct dv_texts list = {.items = items};
    while (list.count < ITEMS_MAX && items[list.count])
        list.count++;
    return list;
}

static void expect_joined(const struct dv_texts *list, const char *wanted)
{
    char joined[1024] = "";
    size_t used = 0;
    for (size_t i = 0; i < list->count; i++)
        used += (size_t)snprintf(joined + used, sizeof(joined) - used, "%s%s", i ? " " : "",
                                 list->items[i]);
    cr_expect_str_eq(joined, wanted);
}

Test(oci_process, environment_follows_the_rules)
{
    static const struct {
        char *image[ITEMS_MAX];
        char *own[ITEMS_MAX];
        bool tty;
        const char *wanted;
    } rows[] = {
        {{NULL}, {NULL}, false, SEARCH_PATH " HOSTNAME=web"},
        {{NULL}, {NULL}, true, SEARCH_PATH " HOSTNAME=web TERM=xterm"},
        {{(char *)"PATH=/bin", (char *)"A=1"}, {NULL}, false, "PATH=/bin A=1 HOSTNAME=web"},
        {{(char *)"A=1", (char *)"B=2"},
         {(char *)"A=3", (char *)"C=4"},
         false,
         SEARCH_PATH " A=3 B=2 HOSTNAME=web C=4"},
        {{(char *)"A=1", (char *)"B=2"}, {(char *)"A"}, false, SEARCH_PATH " B=2 HOSTNAME=web"},
        {{(char *)"A=1"}, {(char *)"A", (char *)"A=2"}, false, SEARCH_PATH " HOSTNAME=web A=2"},
        {{(char *)"AB=1"}, {(char *)"A=2"}, false, SEARCH_PATH " AB=1 HOSTNAME=web A=2"},
        {{(char *)"HOSTNAME=image"}, {NULL}, false, SEARCH_PATH " HOSTNAME=web"},
        {{NULL}, {(char *)"HOSTNAME=own"}, false, SEARCH_PATH " HOSTNAME=own"},
        {{NULL}, {(char *)"TERM=vt100"}, true, SEARCH_PATH " HOSTNAME=web TERM=vt100"},
        {{NULL}, {(char *)"E=", (char *)"F=a=b"}, false, SEARCH_PATH " HOSTNAME=web E= F=a=b"},
        {{NULL}, {(char *)"PATH", (char *)"NONE"}, false, "HOSTNAME=web"},
        {{(char *)"NAKED"}, {NULL}, false, SEARCH_PATH " HOSTNAME=web"},
        {{(char *)"A=1", (char *)"A"}, {NULL}, false, SEARCH_PATH " HOSTNAME=web"},
        /* No runtime starts with a variable that has no name. */
        {{(char *)"=x", (char *)"", (char *)"="}, {NULL}, false, SEARCH_PATH " HOSTNAME=web"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_image image = {.env = texts((char **)rows[i].image)};
        struct dv_container_spec spec = {.env = texts((char **)rows[i].own), .tty = rows[i].tty};
        struct dv_texts env;
        cr_assert_eq(dv_oci_process_env(&spec, &image, "web", arena, &env, NULL), 0);
        expect_joined(&env, rows[i].wanted);
    }
}

Test(oci_process, command_replaces_that_of_the_image_and_keeps_the_entry_point)
{
    char *entry[] = {(char *)"/init", (char *)"-x", NULL};
    char *cmd[] = {(char *)"serve", NULL};
    char *own[] = {(char *)"check", (char *)"now", NULL};
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    struct dv_oci_image image = {.entrypoint = texts(entry), .cmd = texts(cmd)};
    struct dv_container_spec spec = {.tty = false};
    struct dv_texts args;
    cr_assert_eq(dv_oci_process_args(&spec, &image, arena, &args, NULL), 0);
    expect_joined(&args, "/init -x serve");
    spec.cmd = texts(own);
    cr_assert_eq(dv_oci_process_args(&spec, &image, arena, &args, NULL), 0);
    expect_joined(&args, "/init -x check now");
    image.entrypoint.count = 0;
    cr_assert_eq(dv_oci_process_args(&spec, &image, arena, &args, NULL), 0);
    expect_joined(&args, "check now");
}

Test(oci_process, image_without_a_program_needs_a_command)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
    struct dv_oci_image image = {.user = NULL};
    struct dv_container_spec spec = {.tty = false};
    struct dv_texts args;
    struct dv_error err = DV_ERROR_INIT;
    cr_assert_eq(dv_oci_process_args(&spec, &image, arena, &args, &err), -DV_ERR_INVALID);
    cr_assert_not_null(strstr(err.text, "config.cmd"));
}

Test(oci_process, empty_texts_are_no_program)
{
    static const struct {
        char *entrypoint[ITEMS_MAX];
        char *cmd[ITEMS_MAX];
        const char *wanted; /* NULL: refused, and the error has ... */
        const char *says;   /* ... this in it */
    } rows[] = {
        {{(char *)""}, {(char *)"sh"}, "sh", NULL}, /* the entry point is taken back */
        {{(char *)"/run"}, {(char *)""}, "/run ", NULL},
        {{(char *)""}, {NULL}, NULL, "config.cmd"},
        {{NULL}, {(char *)""}, NULL, "config.cmd"},
        {{NULL}, {(char *)"", (char *)"x"}, NULL, "config.cmd"},
        {{(char *)"", (char *)"x"}, {(char *)"y"}, NULL, "entry point"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_image image = {.entrypoint = texts((char **)rows[i].entrypoint),
                                     .cmd = texts((char **)rows[i].cmd)};
        struct dv_container_spec spec = {.tty = false};
        struct dv_texts args;
        struct dv_error err = DV_ERROR_INIT;
        int r = dv_oci_process_args(&spec, &image, arena, &args, &err);
        cr_assert_eq(r, rows[i].wanted ? 0 : -DV_ERR_INVALID, "row %zu: %s", i, err.text);
        if (rows[i].wanted)
            expect_joined(&args, rows[i].wanted);
        else
            cr_expect_not_null(strstr(err.text, rows[i].says), "%s", err.text);
    }
}

Test(oci_process, working_directory_is_absolute_and_plain)
{
    static const struct {
        const char *given;
        const char *wanted;
    } rows[] = {
        {NULL, "/"},
        {"", "/"},
        {"/", "/"},
        {"/srv/app", "/srv/app"},
        {"/srv/app/", "/srv/app"},
        {"srv", "/srv"},
        {"./srv", "/srv"},
        {"//srv///app//", "/srv/app"},
        {"/srv/./app/.", "/srv/app"},
        {"/srv/../app", "/app"},
        {"..", "/"},
        {"../../../../etc", "/etc"},
        {"/a/../../../b/c/..", "/b"},
        {"/...", "/..."},
        {"/..a/.b", "/..a/.b"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        DV_AUTO(dv_arena) arena = dv_arena_new(1U << 16);
        struct dv_oci_image image = {.working_dir = rows[i].given};
        const char *cwd = NULL;
        cr_assert_eq(dv_oci_process_cwd(&image, arena, &cwd, NULL), 0);
        cr_expect_str_eq(cwd, rows[i].wanted, "'%s' gives '%s'", rows[i].given, cwd);
    }
}

Test(oci_process, memory_that_is_short_is_an_error)
{
    char *cmd[] = {(char *)"sh", NULL};
    struct dv_oci_image image = {.cmd = texts(cmd), .working_dir = "/srv"};
    struct dv_container_spec spec = {.tty = false};
    DV_AUTO(dv_arena) arena = dv_arena_new(1);
    struct dv_texts got;
    const char *cwd;
    cr_expect_eq(dv_oci_process_args(&spec, &image, arena, &got, NULL), -DV_ERR_NO_MEMORY);
    cr_expect_eq(dv_oci_process_env(&spec, &image, "web", arena, &got, NULL), -DV_ERR_NO_MEMORY);
    cr_expect_eq(dv_oci_process_cwd(&image, arena, &cwd, NULL), -DV_ERR_NO_MEMORY);
}
