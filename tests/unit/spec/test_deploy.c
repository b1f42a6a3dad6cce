/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/deploy.h"
#include "spec/operations.h"
#include "spec/record.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct dv_arena *arena;
static struct dv_error err;

static void setup(void)
{
    arena = dv_arena_new(16 << 20);
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(deploy, .init = setup, .fini = teardown);

/* A description with these members beside the image. */
static struct dv_container_record *describe(const char *members)
{
    char text[1000];
    struct dv_container_record *record = NULL;
    snprintf(text, sizeof(text), "{\"image\":{\"name\":\"r.example/web:1\"}%s%s}",
             members[0] ? "," : "", members);
    cr_assert_eq(dv_record_describe(text, strlen(text), "id1", "web", arena, &record, &err), 0,
                 "%s: %s", text, err.text);
    return record;
}

static enum dv_deploy_difference difference(const char *now, const char *wanted)
{
    enum dv_deploy_difference found;
    cr_assert_eq(dv_deploy_compare(describe(now), describe(wanted), arena, &found, &err), 0, "%s",
                 err.text);
    return found;
}

/* shows: deployment-names */
Test(deploy, a_file_gives_a_container_its_name)
{
    struct dv_container_record *record = describe("");
    cr_assert_str_eq(record->id, "id1");
    cr_assert_str_eq(record->name, "web");
    cr_assert_str_eq(record->spec->host_name, "web-host");
    cr_assert_eq(record->state->status, DV_STATUS_CREATING);
    record = describe("\"container_name\":\"own\",\"container_id\":\"mine\"");
    cr_assert_str_eq(record->name, "own");
    cr_assert_str_eq(record->id, "mine");
}

Test(deploy, what_needs_a_new_container_is_a_replacement)
{
    static const char *const members[] = {
        "\"image\":{\"name\":\"r.example/web:2\"}",
        "\"mount_points\":[{\"source\":\"/a\",\"destination\":\"/b\"}]",
        "\"config\":{\"env\":[\"A=1\"]}",
        "\"config\":{\"cmd\":[\"a\",\"b\"]}",
        "\"io_config\":{\"open_stdin\":true}",
        "\"io_config\":{\"tty\":true}",
        "\"host_config\":{\"privileged\":true}",
        "\"host_config\":{\"network_mode\":\"host\"}",
        "\"host_config\":{\"devices\":[{\"path_on_host\":\"/dev/null\"}]}",
        "\"host_config\":{\"extra_hosts\":[\"a:1.2.3.4\"]}",
        "\"host_config\":{\"extra_capabilities\":[\"CAP_NET_ADMIN\"]}",
        "\"host_config\":{\"port_mappings\":[{\"container_port\":80,\"host_port\":80}]}",
        "\"host_config\":{\"log_config\":{\"driver_config\":{\"max_files\":3}}}",
    };
    struct dv_container_record *plain = describe("");
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        char text[300];
        struct dv_container_record *other = NULL;
        enum dv_deploy_difference found;
        bool has_image = strncmp(members[i], "\"image\"", 7) == 0;
        snprintf(text, sizeof(text), "{%s%s}",
                 has_image ? "" : "\"image\":{\"name\":\"r.example/web:1\"},", members[i]);
        cr_assert_eq(dv_record_describe(text, strlen(text), "id1", "web", arena, &other, &err), 0,
                     "%s: %s", text, err.text);
        cr_assert_eq(dv_deploy_compare(plain, other, arena, &found, &err), 0);
        cr_expect_eq(found, DV_DEPLOY_REPLACE, "%s", members[i]);
        cr_assert_eq(dv_deploy_compare(other, other, arena, &found, &err), 0);
        cr_expect_eq(found, DV_DEPLOY_SAME, "%s", members[i]);
    }
}

Test(deploy, policy_and_limits_are_changed_in_place)
{
    static const char *const members[] = {
        "\"host_config\":{\"restart_policy\":{\"type\":\"always\"}}",
        "\"host_config\":{\"restart_policy\":{\"type\":\"on-failure\",\"maximum_retry_count\":2}}",
        "\"host_config\":{\"resources\":{\"memory\":\"200M\"}}",
    };
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        cr_expect_eq(difference("", members[i]), DV_DEPLOY_IN_PLACE, "%s", members[i]);
        cr_expect_eq(difference(members[i], members[i]), DV_DEPLOY_SAME, "%s", members[i]);
    }
}

Test(deploy, order_of_sets_and_names_of_the_host_make_no_difference)
{
    cr_assert_eq(difference("\"config\":{\"env\":[\"A=1\",\"B=2\"]}",
                            "\"config\":{\"env\":[\"B=2\",\"A=1\"]}"),
                 DV_DEPLOY_SAME);
    cr_assert_eq(
        difference("\"config\":{\"cmd\":[\"a\",\"b\"]}", "\"config\":{\"cmd\":[\"b\",\"a\"]}"),
        DV_DEPLOY_REPLACE);
    cr_assert_eq(difference("",
                            "\"container_name\":\"x\",\"host_name\":\"h\",\"domain_name\":\"d\","
                            "\"hooks\":[{\"path\":\"/h\",\"type\":0}]"),
                 DV_DEPLOY_SAME);
    struct dv_container_record *now =
        describe("\"host_config\":{\"port_mappings\":[{\"container_port\":80,\"host_port\":80}]}");
    now->spec->port_mappings.items[0].chosen_port = 80;
    enum dv_deploy_difference found;
    cr_assert_eq(dv_deploy_compare(now,
                                   describe("\"host_config\":{\"port_mappings\":[{\"container_"
                                            "port\":80,\"host_port\":80}]}"),
                                   arena, &found, &err),
                 0);
    cr_assert_eq(found, DV_DEPLOY_SAME, "a chosen port");
}

Test(deploy, the_update_makes_a_container_what_is_wanted)
{
    struct dv_container_record *wanted =
        describe("\"host_config\":{\"restart_policy\":{\"type\":\"on-failure\","
                 "\"maximum_retry_count\":4,\"retry_timeout\":30000000000}}");
    struct dv_container_record *now =
        describe("\"host_config\":{\"restart_policy\":{\"type\":\"always\"}}");
    struct dv_container_record *changed = NULL;
    DV_AUTO_IN_PLACE(dv_buf) args = DV_BUF_INIT(4096);
    enum dv_deploy_difference found;
    bool is_changed = false;
    cr_assert_eq(dv_deploy_update_args(wanted, &args, &err), 0);
    cr_assert_eq(dv_spec_update((struct dv_str){args.data, args.len}, now, arena, &changed,
                                &is_changed, &err),
                 0, "%s", err.text);
    cr_assert(is_changed);
    cr_assert_eq(dv_deploy_compare(changed, wanted, arena, &found, &err), 0);
    cr_assert_eq(found, DV_DEPLOY_SAME);
}
