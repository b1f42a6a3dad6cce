/* SPDX-License-Identifier: Apache-2.0 */
/* The driver over a launcher that answers as told: what it asks of the runtime, and what it refuses
 * before. */
#include "rig.h"
#include "runtime/oci/driver.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static mode_t mode_of(const char *path)
{
    struct stat info;
    cr_assert_eq(lstat(path, &info), 0, "%s", path);
    return info.st_mode & 07777;
}

/* -- what is asked -------------------------------------------------------------------------- */

Test(oci_create, runtime_gets_bundle_streams_and_root_file_system)
{
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 78},
                                          {.verb = NULL}};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, answers);
    image_write(&rig.scratch, "{\"Cmd\":[\"/bin/sh\"],\"StopSignal\":\"SIGQUIT\"}");
    rig.made.spec.open_stdin = true;
    cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
    cr_expect_eq(created.pid, GONE_PID);
    cr_expect_eq(created.start_ticks, 78);
    cr_expect_str_eq(created.stop_signal, "SIGQUIT");
    cr_assert_eq(rig.launcher.call_count, 1U);
    const struct fake_call *call = &rig.launcher.calls[0];
    char wanted[4096];
    const char *run = below(rig.scratch.run, "containers/c1");
    snprintf(wanted, sizeof(wanted),
             "/usr/bin/fake-runc --root %s/runtime --log %s/runtime.log --log-format json create "
             "--bundle %s/bundle --pid-file %s/pid c1",
             rig.scratch.run, run, run, run);
    cr_expect_str_eq(call->command, wanted);
    snprintf(wanted, sizeof(wanted), "%s/stdin %s/stdout %s/stderr", run, run, run);
    cr_expect_str_eq(call->stdio, wanted);
    const char *data = below(rig.scratch.home, "containers/c1");
    snprintf(wanted, sizeof(wanted), "%s/layers l1 %s/upper %s/work %s/c1", rig.scratch.home, data,
             data, rig.scratch.mounts);
    cr_expect_str_eq(call->rootfs, wanted);
    cr_expect_eq(call->timeout_ms, TIMEOUT_MS);
    rig_done(&rig);
}

Test(oci_create, a_terminal_is_passed_over_a_socket_and_has_no_streams)
{
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 78},
                                          {.verb = NULL}};
    for (int open_stdin = 0; open_stdin < 2; open_stdin++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, answers);
        rig.made.spec.tty = true;
        rig.made.spec.open_stdin = open_stdin;
        cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
        const struct fake_call *call = &rig.launcher.calls[0];
        char wanted[1024];
        snprintf(wanted, sizeof(wanted), " --console-socket %s/tty.", rig.scratch.run);
        cr_expect(strstr(call->command, wanted), "%s", call->command);
        cr_expect_str_eq(call->stdio, open_stdin ? "- - - typed tty" : "- - - tty");
        cr_expect_neq(access(below(rig.scratch.run, "containers/c1/stdout"), F_OK), 0);
        rig_done(&rig);
    }
}

Test(oci_create, log_is_where_and_how_the_description_says)
{
    static const struct {
        struct dv_log_config log;
        const char *path; /* below the scratch directory, NULL: none */
        int64_t size;
        int64_t files;
        int64_t buffer;
    } rows[] = {
        {{.max_files = 2, .max_size = (char *)"1M"}, "home/containers/c1/json.log", 1 << 20, 2, 0},
        {{.max_files = 0}, "home/containers/c1/json.log", 100 << 20, 1, 0},
        {{.max_files = 3, .mode = DV_LOG_MODE_NON_BLOCKING, .max_buffer_size = (char *)"4K"},
         "home/containers/c1/json.log",
         100 << 20,
         3,
         4096},
        {{.max_files = 3, .mode = DV_LOG_MODE_NON_BLOCKING},
         "home/containers/c1/json.log",
         100 << 20,
         3,
         1 << 20},
        {{.max_files = 1, .root_dir = (char *)"logs/deep"},
         "logs/deep/c1/json.log",
         100 << 20,
         1,
         0},
        {{.type = DV_LOG_TYPE_NONE, .max_files = 4}, NULL, 0, 0, 0},
    };
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, answers);
        rig.made.log = rows[i].log;
        if (rows[i].log.root_dir)
            rig.made.log.root_dir = (char *)below(rig.scratch.base, "%s", rows[i].log.root_dir);
        cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
        const struct fake_call *call = &rig.launcher.calls[0];
        cr_expect_str_eq(call->log_path,
                         rows[i].path ? below(rig.scratch.base, "%s", rows[i].path) : "");
        cr_expect_eq(call->log.max_size_bytes, rows[i].size, "row %zu", i);
        cr_expect_eq(call->log.max_files, rows[i].files, "row %zu", i);
        cr_expect_eq(call->log.max_buffer_bytes, rows[i].buffer, "row %zu", i);
        rig_done(&rig);
    }
}

Test(oci_create, files_of_a_run_are_for_whom_they_are_meant)
{
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    static const struct {
        const char *path;
        mode_t mode;
    } rows[] = {
        {"run/containers/c1/bundle/config.json", 0600}, /* holds the environment */
        {"run/containers/c1/hosts", 0644},
        {"run/containers/c1/hostname", 0644},
        {"run/containers/c1/resolv.conf", 0644},
        {"run/containers/c1/stdout", 0600},
        {"run/containers/c1/stderr", 0600},
        {"home/containers/c1/upper", 0755}, /* becomes the root directory */
    };
    struct rig rig;
    struct dv_runtime_created created;
    struct stat info;
    rig_init(&rig, answers);
    image_write(&rig.scratch, "{\"Cmd\":[\"/bin/sh\"],\"User\":\"app\"}");
    mode_t old = umask(0077);
    int r = rig_create(&rig, &created);
    umask(old);
    cr_assert_eq(r, 0, "%s", rig.err.text);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect_eq(mode_of(below(rig.scratch.base, "%s", rows[i].path)), rows[i].mode, "%s is %o",
                     rows[i].path, mode_of(below(rig.scratch.base, "%s", rows[i].path)));
    cr_assert_eq(stat(below(rig.scratch.run, "containers/c1/stdout"), &info), 0);
    cr_expect(S_ISFIFO(info.st_mode));
    cr_expect_eq(info.st_uid, 1000U);
    cr_expect_eq(info.st_gid, 1001U);
    cr_expect_not(is_there(below(rig.scratch.run, "containers/c1/stdin")));
    dv_autofree char *name = file_text(below(rig.scratch.run, "containers/c1/hostname"));
    cr_expect_str_eq(name, "c1-host\n");
    rig_done(&rig);
}

/* -- an image that lies --------------------------------------------------------------------- */

Test(oci_create, hostile_image_configuration_becomes_harmless)
{
    static const struct {
        const char *config;
        const char *path;
        const char *wanted; /* text there, or items of a list */
    } rows[] = {
        {"{\"Cmd\":[\"sh\"],\"WorkingDir\":\"../../../../etc\"}", "process.cwd", "/etc"},
        {"{\"Cmd\":[\"sh\"],\"WorkingDir\":\"work\"}", "process.cwd", "/work"},
        {"{\"Cmd\":[\"sh\"],\"Env\":[\"=x\",\"B\",\"C=1\",\"PATH=/p\"]}", "process.env",
         "PATH=/p C=1 HOSTNAME=c1-host"},
        {"{\"Entrypoint\":[\"\"],\"Cmd\":[\"sh\"]}", "process.args", "sh"},
        {"{\"Cmd\":[\"sh\"],\"ExposedPorts\":{\"80/../..\":{},\"\":5}}", "process.args", "sh"},
    };
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, answers);
        image_write(&rig.scratch, rows[i].config);
        cr_assert_eq(rig_create(&rig, &created), 0, "%s: %s", rows[i].config, rig.err.text);
        dv_autofree char *text =
            file_text(below(rig.scratch.run, "containers/c1/bundle/config.json"));
        struct dv_json *parsed = NULL;
        cr_assert_eq(dv_json_parse(text, strlen(text), &parsed, NULL), 0);
        DV_AUTO(dv_json) root = parsed;
        dv_autofree char *list = list_at(root, rows[i].path);
        bool is_list = dv_json_is(at(root, rows[i].path), DV_JSON_ARRAY);
        cr_expect_str_eq(is_list ? list : text_at(root, rows[i].path), rows[i].wanted);
        rig_done(&rig);
    }
}

Test(oci_create, image_that_cannot_run_is_refused_before_the_runtime_is_asked)
{
    static const struct {
        const char *config;
        enum dv_error_class class;
        const char *says;
    } rows[] = {
        {"{}", DV_ERR_INVALID, "config.cmd"},
        {"{\"Entrypoint\":[\"\",\"x\"]}", DV_ERR_INVALID, "entry point"},
        {"{\"Cmd\":[\"sh\"],\"User\":\"a:b:c\"}", DV_ERR_INVALID, "'a'"},
        {"{\"Cmd\":[\"sh\"],\"User\":\"app:b:c\"}", DV_ERR_INVALID, "'b:c'"},
        {"{\"Cmd\":[\"sh\"],\"User\":\"4294967295\"}", DV_ERR_INVALID, "'4294967295'"},
        {"{\"Cmd\":[\"sh\"],\"User\":\"-1\"}", DV_ERR_INVALID, "'-1'"},
        {"{\"Cmd\":\"sh\"}", DV_ERR_CORRUPT, "Cmd"},
        {"{\"Cmd\":[\"sh\"],\"Env\":{}}", DV_ERR_CORRUPT, "Env"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, NULL);
        image_write(&rig.scratch, rows[i].config);
        cr_expect_eq(rig_create(&rig, &created), -(int)rows[i].class, "%s", rows[i].config);
        cr_expect_not_null(strstr(rig.err.text, rows[i].says), "%s", rig.err.text);
        cr_expect_eq(rig.launcher.call_count, 0U);
        expect_nothing(&rig, rows[i].config);
        rig_done(&rig);
    }
}

Test(oci_create, stop_signal_of_an_image_is_one_or_is_not_used)
{
    static const struct {
        const char *given;
        const char *wanted; /* NULL: the usual one */
    } rows[] = {
        {"SIGQUIT", "SIGQUIT"},
        {"quit", "quit"},
        {"9", "9"},
        {"SIGRTMIN+3", "SIGRTMIN+3"},
        {"", NULL},
        {"SIGNOTHING", NULL},
        {"-1", NULL},
        {"65", NULL},
        {"9; reboot", NULL},
        {"00000000000000000000000000000000000000009", NULL},
    };
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        char config[256];
        rig_init(&rig, answers);
        snprintf(config, sizeof(config), "{\"Cmd\":[\"sh\"],\"StopSignal\":\"%s\"}", rows[i].given);
        image_write(&rig.scratch, config);
        cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
        if (rows[i].wanted)
            cr_expect_str_eq(created.stop_signal, rows[i].wanted);
        else
            cr_expect_null(created.stop_signal, "%s", rows[i].given);
        rig_done(&rig);
    }
}

Test(oci_create, container_without_a_host_name_has_its_id)
{
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    static const char *const names[] = {NULL, ""};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, answers);
        rig.made.spec.host_name = (char *)names[i];
        cr_assert_eq(rig_create(&rig, &created), 0, "%s", rig.err.text);
        dv_autofree char *text = file_text(below(rig.scratch.run, "containers/c1/hostname"));
        cr_expect_str_eq(text, "c1\n");
        rig_done(&rig);
    }
}

Test(oci_create, users_come_from_no_file_outside_the_image)
{
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, NULL);
    image_write(&rig.scratch, "{\"Cmd\":[\"sh\"],\"User\":\"outsider\"}");
    file_write(below(rig.scratch.base, "passwd"), "outsider:x:0:0::/:\n");
    const char *inside = below(rig.scratch.home, "layers/l1/etc/passwd");
    cr_assert_eq(unlink(inside), 0);
    cr_assert_eq(symlink(below(rig.scratch.base, "passwd"), inside), 0);
    cr_expect_eq(rig_create(&rig, &created), -DV_ERR_INVALID, "%s", rig.err.text);
    cr_assert_eq(unlink(inside), 0);
    cr_assert_eq(symlink("../../../../passwd", inside), 0);
    cr_expect_eq(rig_create(&rig, &created), -DV_ERR_INVALID, "%s", rig.err.text);
    cr_assert_eq(unlink(inside), 0);
    cr_assert_eq(mkfifo(inside, 0644), 0);
    cr_expect_eq(rig_create(&rig, &created), -DV_ERR_INVALID, "%s", rig.err.text);
    cr_assert_eq(unlink(inside), 0);
    file_write(inside, "outsider:x:0:0::/:\n");
    cr_assert_eq(truncate(inside, 1LL << 33), 0);
    cr_expect_eq(rig_create(&rig, &created), -DV_ERR_LIMIT, "%s", rig.err.text);
    expect_nothing(&rig, "no user");
    rig_done(&rig);
}

Test(oci_create, record_that_names_no_image_is_refused)
{
    static const char *const ids[] = {NULL,
                                      "",
                                      "sha256:",
                                      "sha256:../../../etc/passwd",
                                      "sha512:" IMAGE_HEX,
                                      "sha256:" IMAGE_HEX "0",
                                      "sha256:00112233445566778899AABBCCDDEEFF00112233445566778899"
                                      "aabbccddeeff"};
    static const char *const layers[] = {
        "", ".", "..", "../x", "/etc", "a/b", "a:b", "a,b", "a\\b", "l1 ", "l1,upperdir=/etc"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, NULL);
        rig.made.record.image_id = (char *)ids[i];
        cr_expect_eq(rig_create(&rig, &created), -DV_ERR_CORRUPT, "%s", ids[i]);
        expect_nothing(&rig, "no image");
        rig_done(&rig);
    }
    for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, NULL);
        rig.made.layers[0] = (char *)layers[i];
        cr_expect_eq(rig_create(&rig, &created), -DV_ERR_CORRUPT, "%s", layers[i]);
        cr_expect_eq(rig.launcher.call_count, 0U);
        rig_done(&rig);
    }
}

Test(oci_create, image_has_one_to_128_layers)
{
    static char names[129][8];
    static char *layers[129];
    static const struct {
        size_t count;
        int r;
    } rows[] = {{0, -DV_ERR_CORRUPT}, {1, 0}, {128, 0}, {129, -DV_ERR_LIMIT}};
    const struct fake_answer answers[] = {{.verb = "create", .pid = GONE_PID, .start_ticks = 1},
                                          {.verb = NULL}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct rig rig;
        struct dv_runtime_created created;
        rig_init(&rig, answers);
        for (size_t k = 0; k < 129; k++) {
            snprintf(names[k], sizeof(names[k]), "n%zu", k);
            layers[k] = names[k];
            file_write(below(rig.scratch.home, "layers/%s/x", names[k]), "");
        }
        rig.made.record.layers = (struct dv_texts){layers, rows[i].count};
        cr_expect_eq(rig_create(&rig, &created), rows[i].r, "%zu: %s", rows[i].count, rig.err.text);
        cr_expect(rows[i].r == 0 || strstr(rig.err.text, "layer"), "%s", rig.err.text);
        rig_done(&rig);
    }
}

Test(oci_create, id_that_would_lead_elsewhere_is_refused)
{
    static const char *const ids[] = {"", ".", "..", "../c1", "a/b", "/c1", "-c1", "c 1", "c1\n"};
    struct rig rig;
    struct dv_runtime_created created;
    rig_init(&rig, NULL);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        rig.made.record.id = (char *)ids[i];
        cr_expect_eq(rig_create(&rig, &created), -DV_ERR_INVALID, "'%s'", ids[i]);
        cr_expect_eq(rig_start(&rig), -DV_ERR_INVALID, "'%s'", ids[i]);
        cr_expect_eq(rig_release(&rig), -DV_ERR_INVALID, "'%s'", ids[i]);
        cr_expect_eq(rig_remove(&rig), -DV_ERR_INVALID, "'%s'", ids[i]);
    }
    cr_expect_eq(rig.launcher.call_count, 0U);
    rig_done(&rig);
}

Test(oci_create, log_folder_that_is_too_long_is_refused)
{
    static char long_path[DV_OCI_DIR_MAX + 2];
    struct rig rig;
    struct dv_runtime_created created;
    memset(long_path, 'x', sizeof(long_path) - 1);
    long_path[0] = '/';
    rig_init(&rig, NULL);
    rig.made.log.root_dir = long_path;
    cr_expect_eq(rig_create(&rig, &created), -DV_ERR_LIMIT);
    cr_expect_not_null(strstr(rig.err.text, "config.log.rootDir"), "%s", rig.err.text);
    expect_nothing(&rig, "no log");
    rig_done(&rig);
}
