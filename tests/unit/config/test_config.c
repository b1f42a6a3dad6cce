/* SPDX-License-Identifier: Apache-2.0 */
#include "base/durable.h"
#include "config/config.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];
static struct dv_error err;

static void setup(void)
{
    snprintf(path, sizeof(path), "/tmp/davit-config-XXXXXX");
    int fd = mkstemp(path);
    cr_assert_geq(fd, 0);
    close(fd);
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    unlink(path);
}

TestSuite(config, .init = setup, .fini = teardown);

static int load(const char *text, bool is_strict, char **arguments, struct dv_config_file **ret)
{
    cr_assert_eq(dv_durable_replace(path, text, strlen(text), 0600, &err), 0);
    int argc = 0;
    while (arguments && arguments[argc])
        argc++;
    struct dv_config_options options = {
        .path = path, .argc = argc, .argv = arguments, .is_strict = is_strict};
    err = DV_ERROR_INIT;
    return dv_config_load(&options, ret, &err);
}

/* shows: K47 */
Test(config, an_empty_file_gives_kantos_defaults)
{
    DV_AUTO(dv_config_file) file = NULL;
    cr_assert_eq(load("", false, NULL, &file), 0, "%s", err.text);
    const struct dv_config *config = dv_config_of(file);
    cr_assert_str_eq(config->home_dir, "/var/lib/container-management");
    cr_assert_str_eq(config->broker_url, "tcp://localhost:1883");
    cr_assert_eq(config->stop_timeout_ns, 30 * DV_CONFIG_SECOND);
    cr_assert_eq(config->insecure_registries.count, 1);
    cr_assert_str_eq(config->insecure_registries.items[0], "localhost");
    cr_assert_eq(config->container_hosts, 256);
    cr_assert(config->things_enable);
    cr_assert_null(dv_config_warning(file, 0));
}

/* shows: K47 */
Test(config, values_of_every_type_are_read)
{
    DV_AUTO(dv_config_file) file = NULL;
    cr_assert_eq(
        load("{\"manager\":{\"home_dir\":\"/h\",\"default_ctrs_stop_timeout\":45},\"containers\":{"
             "\"insecure_registries\":[\"a:1\",\"b\"],\"registry_configurations\":{\"r.example\":{"
             "\"credentials\":"
             "{\"user_id\":\"u\",\"password\":\"p\"},\"transport\":{\"root_ca\":\"/"
             "ca\"}}}},\"things\":{\"enable\":"
             "false},\"connection\":{\"keep_alive\":\"1m\",\"client_password\":\"secret\"},"
             "\"davit\":{\"workers\":9,"
             "\"restart\":{\"first_wait\":\"10ms\"}}}",
             false, NULL, &file),
        0, "%s", err.text);
    const struct dv_config *config = dv_config_of(file);
    cr_assert_eq(config->stop_timeout_ns, 45 * DV_CONFIG_SECOND);
    cr_assert_eq(config->keep_alive_ns, 60 * DV_CONFIG_SECOND);
    cr_assert_eq(config->insecure_registries.count, 2);
    cr_assert_not(config->things_enable);
    cr_assert_eq(config->workers, 9);
    cr_assert_eq(config->restart_first_ns, DV_CONFIG_SECOND / 100);
    cr_assert_eq(config->registry_count, 1);
    cr_assert_str_eq(config->registries[0].user, "u");
    cr_assert_str_eq(config->registries[0].root_ca, "/ca");
    cr_assert_null(config->registries[0].client_key);
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(100000);
    cr_assert_eq(dv_config_print(file, &out, &err), 0);
    cr_assert(strstr(out.data, "davit.workers = 9  (file)"), "%s", out.data);
    cr_assert(strstr(out.data, "connection.client_password = \"***\""));
    cr_assert_null(strstr(out.data, "secret\""), "a secret is shown");
}

/* shows: K47 */
Test(config, a_stop_timeout_may_be_digits_or_a_duration)
{
    static const char *const forms[] = {"\"45\"", "\"45s\"", "45"};
    for (size_t i = 0; i < 3; i++) {
        char text[100];
        DV_AUTO(dv_config_file) file = NULL;
        snprintf(text, sizeof(text), "{\"manager\":{\"default_ctrs_stop_timeout\":%s}}", forms[i]);
        cr_assert_eq(load(text, false, NULL, &file), 0, "%s", err.text);
        cr_assert_eq(dv_config_of(file)->stop_timeout_ns, 45 * DV_CONFIG_SECOND);
    }
}

Test(config, the_command_line_wins_over_the_file)
{
    DV_AUTO(dv_config_file) file = NULL;
    char *arguments[] = {"davitd",
                         "--cm-home-dir=/cli",
                         "--conn-broker-url",
                         "tcp://b:1",
                         "--davit.workers=2",
                         "--ccl-insecure-registries=x,y:5000",
                         "--log-syslog",
                         NULL};
    cr_assert_eq(load("{\"manager\":{\"home_dir\":\"/h\"}}", false, arguments, &file), 0, "%s",
                 err.text);
    const struct dv_config *config = dv_config_of(file);
    cr_assert_str_eq(config->home_dir, "/cli");
    cr_assert_str_eq(config->broker_url, "tcp://b:1");
    cr_assert_eq(config->workers, 2);
    cr_assert_eq(config->insecure_registries.count, 2);
    cr_assert(config->log_syslog);
}

Test(config, a_key_in_the_wrong_section_is_found_by_its_name)
{
    DV_AUTO(dv_config_file) file = NULL;
    cr_assert_eq(load("{\"connection\":{\"root_ca\":\"/x\"}}", false, NULL, &file), 0);
    cr_assert(strstr(dv_config_warning(file, 0), "did you mean connection.transport.root_ca?"),
              "%s", dv_config_warning(file, 0));
}

/* shows: unknown-keys */
Test(config, unknown_keys_are_errors_in_davits_section_and_warnings_elsewhere)
{
    DV_AUTO(dv_config_file) file = NULL;
    cr_assert_eq(load("{\"davit\":{\"worker\":1}}", false, NULL, &file), -DV_ERR_INVALID);
    cr_assert(strstr(err.text, path) &&
                  strstr(err.text, "davit.worker is not a known key, did you mean davit.workers?"),
              "%s", err.text);
    cr_assert_eq(load("{\"manager\":{\"home_dri\":\"/x\"},\"future\":1}", false, NULL, &file), 0,
                 "%s", err.text);
    cr_assert(strstr(
        dv_config_warning(file, 0),
        "manager.home_dri is not a known key and has no effect, did you mean manager.home_dir?"));
    cr_assert(strstr(dv_config_warning(file, 1), "future"));
    struct dv_config_file *strict = NULL;
    cr_assert_eq(load("{\"future\":1}", true, NULL, &strict), -DV_ERR_INVALID);
}

/* shows: dead-keys, K50 */
Test(config, keys_without_effect_are_reported_when_set)
{
    DV_AUTO(dv_config_file) file = NULL;
    cr_assert_eq(load("{\"containers\":{\"address_path\":\"/x\"}}", false, NULL, &file), 0);
    cr_assert_str_eq(dv_config_warning(file, 0), "containers.address_path has no effect in davit");
    DV_AUTO(dv_config_file) agent = NULL;
    cr_assert_eq(load("{\"update_agent\":{\"enable\":true}}", false, NULL, &agent), 0);
    cr_assert_str_eq(dv_config_warning(agent, 0), "update_agent.enable has no effect in davit");
}

Test(config, wrong_values_name_file_key_and_expectation)
{
    static const char *const bad[][2] = {
        {"{", "JSON line 1"},
        {"[]", "an object is expected"},
        {"{\"manager\":5}", "manager: an object is expected"},
        {"{\"manager\":{\"home_dir\":5}}", "manager.home_dir: a text is expected"},
        {"{\"manager\":{\"default_ctrs_stop_timeout\":\"soon\"}}", "a duration like"},
        {"{\"manager\":{\"default_ctrs_stop_timeout\":0}}", "not between 1s and 24h"},
        {"{\"things\":{\"enable\":1}}", "things.enable: true or false is expected"},
        {"{\"davit\":{\"workers\":0}}", "davit.workers: 0 is not between 1 and 64"},
        {"{\"davit\":{\"workers\":1.5}}", "davit.workers: a whole number is expected"},
        {"{\"containers\":{\"insecure_registries\":[1]}}", "a list of texts is expected"},
        {"{\"containers\":{\"registry_configurations\":[]}}", "registry_configurations"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dv_config_file *file = NULL;
        cr_expect_eq(load(bad[i][0], false, NULL, &file), -DV_ERR_INVALID, "%s", bad[i][0]);
        cr_expect(strstr(err.text, path), "%s", err.text);
        cr_expect(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
    }
}

Test(config, bad_options_are_errors)
{
    struct dv_config_file *file = NULL;
    char *unknown[] = {"davitd", "--cm-hom-dir=/x", NULL};
    cr_assert_eq(load("", false, unknown, &file), -DV_ERR_INVALID);
    cr_assert(strstr(err.text, "did you mean --cm-home-dir?"), "%s", err.text);
    char *missing[] = {"davitd", "--cm-home-dir", NULL};
    cr_assert_eq(load("", false, missing, &file), -DV_ERR_INVALID);
    char *stray[] = {"davitd", "x", NULL};
    cr_assert_eq(load("", false, stray, &file), -DV_ERR_INVALID);
}

Test(config, an_absent_file_means_defaults_and_a_folder_is_an_error)
{
    DV_AUTO(dv_config_file) file = NULL;
    struct dv_config_options options = {.path = "/nonexistent/config.json"};
    cr_assert_eq(dv_config_load(&options, &file, &err), 0, "%s", err.text);
    struct dv_config_file *other = NULL;
    options.path = "/tmp";
    cr_assert_lt(dv_config_load(&options, &other, &err), 0);
}

Test(config, the_reference_page_is_what_the_table_says)
{
    DV_AUTO_IN_PLACE(dv_buf) page = DV_BUF_INIT(1 << 20);
    DV_AUTO_IN_PLACE(dv_buf) table = DV_BUF_INIT(1 << 20);
    cr_assert_eq(dv_config_markdown(&table, &err), 0);
    cr_assert_eq(dv_file_read(DV_SOURCE_DIR "/docs/configuration.md", &page, &err), 0, "%s",
                 err.text);
    cr_assert_str_eq(page.data, table.data,
                     "write it with: davitd --config-reference > docs/configuration.md");
}
