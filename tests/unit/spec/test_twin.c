/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "spec/create.h"
#include "spec/twin.h"

#include <criterion/criterion.h>

static struct dv_error err;

static struct dv_container_record *make(struct dv_arena *arena, const char *value)
{
    struct dv_create_request request = {0};
    cr_assert_eq(dv_spec_create_with_config(dv_str_of(value), "7b0c", arena, &request, &err), 0,
                 "%s", err.text);
    int64_t created = 0;
    cr_assert(dv_time_parse("2024-06-28T08:00:00.1Z", 22, &created));
    request.record->created_ns = created;
    request.record->state->status = DV_STATUS_CREATED;
    return request.record;
}

Test(twin, a_port_that_was_chosen_is_shown_in_place_of_the_range)
{
    struct dv_port_mapping port = {.proto = (char *)"tcp",
                                   .container_port = 80,
                                   .host_ip = (char *)"0.0.0.0",
                                   .host_port = 8080,
                                   .host_port_end = 8089,
                                   .chosen_port = 8083};
    struct dv_restart_policy policy = {0};
    struct dv_log_config log = {0};
    struct dv_container_spec spec = {.restart_policy = &policy, .log = &log};
    struct dv_container_record record = {.spec = &spec};
    spec.port_mappings = (struct dv_port_mapping_list){&port, 1};
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(4096);
    cr_assert_eq(dv_twin_container_config(&record, &out, NULL), 0);
    cr_assert_not_null(strstr(out.data, "\"hostPort\":8083,\"hostPortEnd\":8089"), "%s", out.data);
}

/* shows: K16 */
Test(twin, minimal_container_is_published_as_kanto_does)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record =
        make(arena, "{\"imageRef\":\"docker.io/library/hello-world:latest\"}");
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
    cr_assert_eq(dv_twin_container_properties(record, &out, &err), 0, "%s", err.text);
    cr_assert_str_eq(
        out.data,
        "{\"status\":{\"name\":\"7b0c\",\"imageRef\":\"docker.io/library/"
        "hello-world:latest\",\"config\":"
        "{\"domainName\":\"7b0c-domain\",\"hostName\":\"7b0c-host\",\"restartPolicy\":{\"type\":"
        "\"UNLESS_STOPPED\"},\"networkMode\":\"BRIDGE\",\"log\":{\"type\":\"JSON_FILE\","
        "\"maxFiles\":2,"
        "\"maxSize\":\"100M\",\"mode\":\"BLOCKING\"}},\"createdAt\":\"2024-06-28T08:00:00.1Z\","
        "\"state\":"
        "{\"status\":\"CREATED\",\"pid\":-1}}}");
}

/* shows: K17, K20 */
Test(twin, every_field_comes_back_in_kantos_order)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record =
        make(arena,
             "{\"imageRef\":\"r/"
             "a:1\",\"config\":{\"resources\":{\"memory\":\"100M\",\"memoryReservation\":\"50M\","
             "\"memorySwap\":\"300M\"},\"log\":{\"mode\":\"non-blocking\",\"maxBufferSize\":\"2M\","
             "\"rootDir\":\"/l\","
             "\"maxSize\":\"1.5M\",\"maxFiles\":3},\"tty\":true,\"openStdin\":true,"
             "\"portMappings\":[{\"hostIP\":"
             "\"127.0.0.1\",\"containerPort\":53,\"hostPort\":5353,\"hostPortEnd\":5360,\"proto\":"
             "\"udp\"}],"
             "\"extraCapabilities\":[\"CAP_NET_ADMIN\"],\"extraHosts\":[\"a:1.1.1.1\"],"
             "\"restartPolicy\":{\"type\":"
             "\"on-failure\",\"retryTimeout\":9,\"maxRetryCount\":4},\"devices\":[{\"pathOnHost\":"
             "\"/dev/null\","
             "\"pathInContainer\":\"/dev/"
             "n2\",\"cgroupPermissions\":\"rw\"}],\"cmd\":[\"sh\"],\"env\":[\"A=1\"],\"hostName\":"
             "\"h\",\"mountPoints\":[{\"destination\":\"/m\",\"source\":\"/"
             "s\",\"propagationMode\":\"rshared\"}],"
             "\"domainName\":\"d.org\"}}");
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(10000);
    cr_assert_eq(dv_twin_container_config(record, &out, &err), 0);
    cr_assert_str_eq(out.data,
                     "{\"domainName\":\"d.org\",\"mountPoints\":[{\"source\":\"/"
                     "s\",\"destination\":\"/m\",\"propagationMode\":"
                     "\"RSHARED\"}],\"hostName\":\"h\",\"env\":[\"A=1\"],\"cmd\":[\"sh\"],"
                     "\"devices\":[{\"pathOnHost\":\"/dev/null\","
                     "\"pathInContainer\":\"/dev/"
                     "n2\",\"cgroupPermissions\":\"rw\"}],\"restartPolicy\":{\"maxRetryCount\":4,"
                     "\"retryTimeout\":9,\"type\":\"ON_FAILURE\"},\"extraHosts\":[\"a:1.1.1.1\"],"
                     "\"extraCapabilities\":"
                     "[\"CAP_NET_ADMIN\"],\"portMappings\":[{\"proto\":\"udp\",\"hostPort\":5353,"
                     "\"hostPortEnd\":5360,"
                     "\"containerPort\":53,\"hostIP\":\"127.0.0.1\"}],\"networkMode\":\"BRIDGE\","
                     "\"openStdin\":true,\"tty\":true,"
                     "\"log\":{\"type\":\"JSON_FILE\",\"maxFiles\":3,\"maxSize\":\"1.5M\","
                     "\"rootDir\":\"/l\",\"mode\":"
                     "\"NON_BLOCKING\",\"maxBufferSize\":\"2M\"},\"resources\":{\"memory\":"
                     "\"100M\",\"memoryReservation\":\"50M\","
                     "\"memorySwap\":\"300M\"}}");
}

/* shows: K16 */
Test(twin, state_omits_what_is_empty_but_never_status_and_pid)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(4 << 20);
    struct dv_container_record *record = make(arena, "{\"imageRef\":\"r/a:1\"}");
    DV_AUTO_IN_PLACE(dv_buf) out = DV_BUF_INIT(1000);
    record->state->status = DV_STATUS_EXITED;
    record->state->exit_code = 137;
    record->state->is_oom_killed = true;
    record->state->error = (char *)"OOM Killed";
    cr_assert_eq(dv_twin_container_state(record, &out, &err), 0);
    cr_assert_str_eq(out.data, "{\"status\":\"EXITED\",\"pid\":-1,\"error\":\"OOM "
                               "Killed\",\"exitCode\":137,\"oomKilled\":true}");
    dv_buf_clear(&out);
    cr_assert_eq(dv_twin_container_name(record, &out, &err), 0);
    cr_assert_str_eq(out.data, "\"7b0c\"");
}
