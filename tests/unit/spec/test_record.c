/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/record.h"

#include <criterion/criterion.h>
#include <string.h>

static struct dv_arena *arena;
static struct dv_error err;

static void setup(void)
{
    arena = dv_arena_new(8 << 20);
    err = DV_ERROR_INIT;
}

static void teardown(void)
{
    dv_arena_free(arena);
}

TestSuite(record, .init = setup, .fini = teardown);

/* As Kanto writes it, every input field. */
static const char full[] =
    "{\"container_id\":\"7b0c\",\"container_name\":\"influx\",\"image\":{\"name\":\"docker.io/"
    "library/influxdb:1.8.4\","
    "\"decrypt_config\":{\"keys\":[\"/keys/k.pem:secret\"],\"recipients\":[\"pkcs7:/keys/"
    "c.pem\"]}},\"domain_name\":"
    "\"influx-domain\",\"host_name\":\"influx-host\",\"mount_points\":[{\"destination\":\"/"
    "data\",\"source\":"
    "\"/var/data\",\"propagation_mode\":\"rprivate\"}],\"hooks\":[{\"path\":\"/opt/"
    "h\",\"args\":[\"h\"],\"env\":[],"
    "\"timeout\":5,\"type\":0}],\"config\":{\"env\":[\"A=1\",\"B\"],\"cmd\":[\"influxd\"]},\"host_"
    "config\":{\"devices\":"
    "[{\"path_on_host\":\"/dev/ttyS0\",\"path_in_container\":\"/dev/"
    "ttyS0\",\"cgroup_permissions\":\"rwm\"}],"
    "\"network_mode\":\"bridge\",\"privileged\":false,\"restart_policy\":{\"maximum_retry_count\":"
    "3,\"retry_timeout\":"
    "30000000000,\"type\":\"on-failure\"},\"runtime\":\"io.containerd.runc.v2\",\"extra_hosts\":["
    "\"gw:host_ip\"],"
    "\"extra_capabilities\":[\"CAP_NET_ADMIN\"],\"port_mappings\":[{\"proto\":\"tcp\",\"container_"
    "port\":8086,"
    "\"host_ip\":\"0.0.0.0\",\"host_port\":8086,\"host_port_end\":8090}],\"log_config\":{\"driver_"
    "config\":{\"type\":"
    "\"json-file\",\"max_files\":2,\"max_size\":\"100M\",\"root_dir\":\"/"
    "logs\"},\"mode_config\":{\"mode\":"
    "\"non-blocking\",\"max_buffer_size\":\"1M\"}},\"resources\":{\"memory\":\"200M\",\"memory_"
    "reservation\":\"100M\","
    "\"memory_swap\":\"400M\"}},\"io_config\":{\"attach_stderr\":false,\"attach_stdin\":false,"
    "\"attach_stdout\":false,"
    "\"open_stdin\":false,\"stdin_once\":false,\"tty\":false},\"network_settings\":null,\"state\":{"
    "\"pid\":-1,"
    "\"started_at\":\"2024-06-28T08:00:00.1Z\",\"error\":\"\",\"exit_code\":3,\"finished_at\":"
    "\"2024-06-28T08:00:01Z\","
    "\"exited\":true,\"dead\":false,\"restarting\":false,\"paused\":false,\"running\":false,"
    "\"status\":5,\"oomKilled\":"
    "true},\"created\":\"2024-06-28T07:00:00Z\",\"restart_count\":2,\"manually_stopped\":true,"
    "\"started_successfully_before\":true,\"future\":{\"a\":[1]},\"resolv_conf_path\":\"\"}\n";

static struct dv_container_record *decode(const char *text)
{
    struct dv_container_record *record = NULL;
    cr_assert_eq(dv_record_decode(text, strlen(text), NULL, arena, &record, &err), 0, "%s",
                 err.text);
    return record;
}

/* shows: K20, K30 */
Test(record, a_full_record_is_understood)
{
    struct dv_container_record *record = decode(full);
    cr_assert_str_eq(record->id, "7b0c");
    cr_assert_str_eq(record->spec->image_ref, "docker.io/library/influxdb:1.8.4");
    cr_assert_str_eq(record->spec->decryption->keys.items[0], "/keys/k.pem:secret");
    cr_assert_eq(record->spec->restart_policy->retry_timeout_ns, 30000000000LL);
    cr_assert_eq(record->spec->log->mode, DV_LOG_MODE_NON_BLOCKING);
    cr_assert_str_eq(record->spec->log->root_dir, "/logs");
    cr_assert_eq(record->spec->port_mappings.items[0].host_port_end, 8090);
    cr_assert_eq(record->spec->hooks.items[0].timeout_s, 5);
    cr_assert_eq(record->state->status, DV_STATUS_EXITED);
    cr_assert_eq(record->state->exit_code, 3);
    cr_assert_eq(record->state->finished_ns - record->state->started_ns, 900000000LL);
    cr_assert(record->manually_stopped && record->started_before);
    cr_assert(record->state->is_oom_killed);
    cr_assert_eq(record->warnings.count, 1, "only `future` is unknown");
}

/* shows: K30 */
Test(record, written_and_read_it_is_the_same_and_keeps_unknown_members)
{
    struct dv_container_record *record = decode(full);
    DV_AUTO_IN_PLACE(dv_buf) first = DV_BUF_INIT(1 << 20);
    cr_assert_eq(dv_record_encode(record, &first, &err), 0, "%s", err.text);
    cr_assert(strstr(first.data, "\"future\":{\"a\":[1]}"), "%s", first.data);
    cr_assert(strstr(first.data, "\"status\":5"));
    cr_assert(strstr(first.data, "\"exited\":true"));
    cr_assert_eq(first.data[first.len - 1], '\n');
    DV_AUTO_IN_PLACE(dv_buf) second = DV_BUF_INIT(1 << 20);
    cr_assert_eq(dv_record_encode(decode(first.data), &second, &err), 0);
    cr_assert_str_eq(first.data, second.data);
}

/* shows: K30 */
Test(record, an_old_record_gets_defaults)
{
    struct dv_container_record *record = decode("{\"container_id\":\"x\",\"image\":{\"name\":\"r/"
                                                "a:1\"},\"config\":null,\"host_config\":null}");
    cr_assert_str_eq(record->name, "x");
    cr_assert_str_eq(record->spec->host_name, "x-host");
    cr_assert_eq(record->spec->log->max_files, 2);
    cr_assert_eq(record->state->pid, -1);
}

/* shows: container-ids */
Test(record, broken_records_are_errors_with_a_place)
{
    static const char *const bad[][2] = {
        {"", "JSON"},
        {"{\"container_id\":\"x\"}", "imageRef"},
        {"{\"image\":{\"name\":\"r/a:1\"}}", "container_id"},
        {"{\"container_id\":\"../x\",\"image\":{\"name\":\"r/a:1\"}}", "container_id"},
        {"{\"container_id\":\"x\",\"image\":{\"name\":5}}", "image.name"},
        {"{\"container_id\":\"x\",\"image\":{\"name\":\"r/a:1\"},\"config\":\"x\"}",
         "config: a string is given, an object is expected"},
        {"{\"container_id\":\"x\",\"image\":{\"name\":\"r/a:1\"},\"state\":{\"status\":99}}",
         "state.status"},
        {"{\"container_id\":\"x\",\"image\":{\"name\":\"r/a:1\"},\"created\":\"yesterday\"}",
         "created"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct dv_container_record *record = NULL;
        err = DV_ERROR_INIT;
        cr_expect_lt(dv_record_decode(bad[i][0], strlen(bad[i][0]), NULL, arena, &record, &err), 0,
                     "%s", bad[i][0]);
        cr_expect(strstr(err.text, bad[i][1]), "%s: %s", bad[i][0], err.text);
    }
}
