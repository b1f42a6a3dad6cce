/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "spec/create.h"
#include "spec/rules.h"

#include <criterion/criterion.h>
#include <string.h>

#define ID "5e1f0d5c-6a0b-4a53-9d6c-0a3f6f0f6f11"

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

TestSuite(create, .init = setup, .fini = teardown);

static struct dv_create_request with_config(const char *value)
{
    struct dv_create_request request = {0};
    cr_assert_eq(dv_spec_create_with_config(dv_str_of(value), ID, arena, &request, &err), 0,
                 "%s: %s", value, err.text);
    return request;
}

/* shows: K30 */
Test(create, minimal_create_gets_the_defaults)
{
    struct dv_create_request request = {0};
    cr_assert_eq(
        dv_spec_create(dv_str_of("{\"imageRef\":\"docker.io/library/hello:1\",\"start\":true}"), ID,
                       arena, &request, &err),
        0, "%s", err.text);
    const struct dv_container_record *record = request.record;
    cr_assert(request.start);
    cr_assert_str_eq(record->name, ID);
    cr_assert_str_eq(record->spec->host_name, ID "-host");
    cr_assert_str_eq(record->spec->domain_name, ID "-domain");
    cr_assert_eq(record->spec->restart_policy->type, DV_RESTART_UNLESS_STOPPED);
    cr_assert_eq(record->spec->log->max_files, 2);
    cr_assert_str_eq(record->spec->log->max_size, "100M");
    cr_assert_eq(record->state->pid, -1);
    cr_assert_eq(record->warnings.count, 0);
}

/* shows: D23 */
Test(create, documented_example_with_its_empty_placeholders_is_accepted)
{
    struct dv_create_request request =
        with_config("{\"imageRef\":\"docker.io/library/"
                    "influxdb:1.8.4\",\"start\":true,\"config\":{\"domainName\":\"\","
                    "\"hostName\":\"\",\"env\":[],\"cmd\":[],\"privileged\":false,\"extraHosts\":["
                    "\"ctrhost:host_ip\"],"
                    "\"extraCapabilities\":[],\"networkMode\":\"bridge\",\"openStdin\":false,"
                    "\"tty\":false,\"mountPoints\":"
                    "[{\"source\":\"\",\"destination\":\"\",\"propagationMode\":\"rprivate\"}],"
                    "\"decryption\":{\"keys\":[],"
                    "\"recipients\":[]},\"devices\":[{\"pathOnHost\":\"\",\"pathInContainer\":\"\","
                    "\"cgroupPermissions\":\"rwm\"}],"
                    "\"restartPolicy\":{\"type\":\"unless-stopped\",\"maxRetryCount\":0,"
                    "\"retryTimeout\":0},\"portMappings\":"
                    "[{\"proto\":\"tcp\",\"containerPort\":80,\"hostIP\":\"0.0.0.0\",\"hostPort\":"
                    "5000,\"hostPortEnd\":5005}],"
                    "\"log\":{\"type\":\"json-file\",\"maxFiles\":2,\"maxSize\":\"100M\","
                    "\"rootDir\":\"\",\"mode\":\"blocking\","
                    "\"maxBufferSize\":\"1M\"},\"resources\":{\"memory\":\"\","
                    "\"memoryReservation\":\"\",\"memorySwap\":\"\"}}}");
    const struct dv_container_spec *spec = request.record->spec;
    cr_assert_eq(spec->mount_points.count, 0);
    cr_assert_eq(spec->devices.count, 0);
    cr_assert_null(spec->resources);
    cr_assert_null(spec->decryption);
    cr_assert_null(spec->log->max_buffer_size);
    cr_assert_eq(spec->port_mappings.items[0].host_port_end, 5005);
    cr_assert_eq(dv_spec_check_support(request.record, false, &err), 0, "%s", err.text);
}

/* shows: K17, D7, json-keys */
Test(create, keys_and_enums_are_read_in_any_case)
{
    struct dv_create_request request = with_config(
        "{\"IMAGEREF\":\"r/"
        "a:1\",\"Name\":\"web\",\"config\":{\"NetworkMode\":\"Host\",\"restartPolicy\":"
        "{\"type\":\"On_Failure\",\"maxRetryCount\":3,\"retryTimeout\":2.9},\"log\":{\"mode\":"
        "\"NON-BLOCKING\"},\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"/b\","
        "\"propagationMode\":\"rShared\"}]}}");
    const struct dv_container_spec *spec = request.record->spec;
    cr_assert_str_eq(request.record->name, "web");
    cr_assert_str_eq(spec->host_name, "web-host");
    cr_assert_eq(spec->network_mode, DV_NETWORK_HOST);
    cr_assert_eq(spec->restart_policy->retry_timeout_ns, 2000000000LL);
    cr_assert_str_eq(spec->log->max_buffer_size, "1M");
    cr_assert_eq(spec->mount_points.items[0].propagation, DV_PROPAGATION_RSHARED);
}

/* shows: json-keys */
Test(create, unknown_keys_are_accepted_and_reported_with_the_nearest)
{
    struct dv_create_request request = with_config(
        "{\"imageRef\":\"r/"
        "a:1\",\"strat\":true,\"config\":{\"hostname1\":\"x\",\"mountPoints\":[{\"source\":\"/a\","
        "\"destination\":\"/b\",\"destinations\":1}],\"log\":{\"maxFile\":3}}}");
    cr_assert_eq(request.record->warnings.count, 4);
    char all[1000] = "";
    for (size_t i = 0; i < 4; i++) {
        strncat(all, request.record->warnings.items[i], 200);
        strncat(all, "\n", 2);
    }
    cr_assert(strstr(all, "strat is not a known key, did you mean 'start'?"), "%s", all);
    cr_assert(strstr(all, "config.hostname1 is not a known key, did you mean 'hostName'?"), "%s",
              all);
    cr_assert(strstr(all, "config.mountPoints[0].destinations is not"), "%s", all);
    cr_assert(strstr(all, "config.log.maxFile is not a known key, did you mean 'maxFiles'?"), "%s",
              all);
}

Test(create, a_long_unknown_key_is_reported_cut_at_a_character)
{
    char text[400];
    /* Its character of two bytes is where the report ends. */
    snprintf(text, sizeof(text), "{\"imageRef\":\"r/a:1\",\"%0127d\xc3\xa9\":1}", 0);
    struct dv_create_request request = with_config(text);
    cr_assert_eq(request.record->warnings.count, 1);
    cr_assert(dv_str_is_utf8(dv_str_of(request.record->warnings.items[0])));
}

/* shows: K31 */
Test(create, memory_without_swap_doubles_it)
{
    struct dv_create_request request =
        with_config("{\"imageRef\":\"r/a:1\",\"config\":{\"resources\":{\"memory\":\"1.5 g\"}}}");
    cr_assert_str_eq(request.record->spec->resources->memory_swap, "3 g");
    request = with_config(
        "{\"imageRef\":\"r/"
        "a:1\",\"config\":{\"resources\":{\"memory\":\"200M\",\"memorySwap\":\"-1\"}}}");
    cr_assert_null(request.record->spec->resources->memory_swap);
}

/* shows: names */
Test(create, long_names_give_short_distinct_host_names)
{
    char value[700];
    char name[200];
    memset(name, 'n', sizeof(name));
    name[199] = '\0';
    snprintf(value, sizeof(value), "{\"imageRef\":\"r/a:1\",\"name\":\"%s\"}", name);
    const char *first = with_config(value).record->spec->host_name;
    cr_assert_eq(strlen(first), 63);
    name[198] = 'x';
    snprintf(value, sizeof(value), "{\"imageRef\":\"r/a:1\",\"name\":\"%s\"}", name);
    const char *second = with_config(value).record->spec->host_name;
    cr_assert_str_neq(first, second);
}

struct refusal {
    const char *config; /* the value of "config", or a whole value when it begins with '!' */
    const char *text;   /* must be in the error */
};

static const struct refusal refusals[] = {
    {"!", "JSON line 1"},
    {"!5", "value: a number is given, an object is expected"},
    {"!{}", "imageRef: is required"},
    {"!{\"imageRef\":5}", "imageRef: a number is given, a string is expected"},
    {"!{\"imageRef\":\"\"}", "imageRef: is required"},
    {"!{\"imageRef\":\"hello\"}", "imageRef: 'hello' is incomplete"},
    {"!{\"imageRef\":\"r.example/hello\"}", "imageRef: 'r.example/hello' is incomplete"},
    {"!{\"imageRef\":\"r/a:1\",\"start\":\"yes\"}", "start: a string is given, true or false"},
    {"!{\"imageRef\":\"r/a:1\",\"name\":\"-x\"}", "name: '-x' is no name"},
    {"!{\"imageRef\":\"r/a:1\",\"name\":\"a b\"}", "name: 'a b' is no name"},
    {"5", "config: a number is given, an object is expected"},
    {"{\"env\":\"A=1\"}", "config.env: a string is given, an array is expected"},
    {"{\"env\":[5]}", "config.env[0]: a number is given, a string is expected"},
    {"{\"env\":[\"1A=x\"]}", "config.env[0]: '1A=x' is not of the form"},
    {"{\"env\":[\"A=x\\ny\"]}", "config.env[0]"},
    {"{\"hostName\":\"a b\"}", "config.hostName: 'a b'"},
    {"{\"hostName\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}",
     "config.hostName: 65 bytes are too long, at most 64"},
    {"{\"networkMode\":\"macvlan\"}", "config.networkMode: 'macvlan' is not one of BRIDGE, HOST"},
    {"{\"mountPoints\":[{\"source\":\"/a\"}]}",
     "config.mountPoints[0]: '/a' needs both source and destination"},
    {"{\"mountPoints\":[{\"source\":\"a\",\"destination\":\"/b\"}]}",
     "is no absolute path (source)"},
    {"{\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"/b\",\"propagationMode\":\"x\"}]}",
     "config.mountPoints[0].propagationMode: 'x' is not one of RPRIVATE"},
    {"{\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"b\"}]}",
     "config.mountPoints[0]: 'b' is no absolute path (destination)"},
    {"{\"mountPoints\":[{\"source\":\"/a\",\"destination\":\"/x/..//\"}]}",
     "config.mountPoints[0]: '/x/..//' would hide the whole root file system"},
    {"{\"privileged\":1}", "config.privileged: a number is given, true or false"},
    {"{\"privileged\":true,\"devices\":[{\"pathOnHost\":\"/dev/null\"}]}",
     "config.privileged and config.devices"},
    {"{\"privileged\":true,\"extraCapabilities\":[\"CAP_CHOWN\"]}",
     "config.privileged and config.extraCapabilities"},
    {"{\"devices\":[{\"pathOnHost\":\"/dev/null\",\"cgroupPermissions\":\"rx\"}]}",
     "'rx' are no cgroupPermissions"},
    {"{\"devices\":[{\"pathOnHost\":\"/dev/null\",\"cgroupPermissions\":\"rr\"}]}",
     "config.devices[0]: 'rr' are no cgroupPermissions (letters of r, w, m, each once)"},
    {"{\"devices\":[{\"pathOnHost\":\"/dev/null\",\"cgroupPermissions\":\"rwmr\"}]}",
     "config.devices[0].cgroupPermissions: 4 bytes are too long"},
    {"{\"devices\":[{\"pathOnHost\":\"null\"}]}",
     "config.devices[0]: 'null' is no absolute path (pathOnHost)"},
    {"{\"devices\":[{\"pathOnHost\":\"/dev/null\",\"pathInContainer\":\"null\"}]}",
     "config.devices[0]: 'null' is no absolute path of a device (pathInContainer)"},
    {"{\"devices\":[{\"pathInContainer\":\"/dev/null\"}]}",
     "config.devices[0]: '/dev/null' needs a pathOnHost"},
    {"{\"extraCapabilities\":[\"CAP_FLY\"]}",
     "config.extraCapabilities[0]: 'CAP_FLY' is no capability"},
    {"{\"extraCapabilities\":[\"net_admn\"]}", "did you mean CAP_NET_ADMIN"},
    {"{\"restartPolicy\":{}}", "config.restartPolicy.type: is required"},
    {"{\"restartPolicy\":{\"type\":\"\"}}", "config.restartPolicy.type: '' is not one of"},
    {"{\"restartPolicy\":{\"type\":\"no\",\"maxRetryCount\":2}}",
     "config.restartPolicy.maxRetryCount: 2 has a meaning only"},
    {"{\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":-1}}",
     "maxRetryCount: -1 is not between 0"},
    {"{\"restartPolicy\":{\"type\":\"always\",\"retryTimeout\":-1}}",
     "config.restartPolicy.retryTimeout: -1"},
    {"{\"restartPolicy\":{\"type\":\"on-failure\",\"maxRetryCount\":1.5}}",
     "1.5 is not a whole number"},
    {"{\"portMappings\":[{\"containerPort\":80},{\"containerPort\":80,\"hostPort\":70000}]}",
     "config.portMappings[1].hostPort: 70000 is not a port (1..65535)"},
    {"{\"portMappings\":[{\"containerPort\":80,\"hostPort\":9,\"hostPortEnd\":8}]}",
     "hostPortEnd: 8 is below hostPort 9"},
    {"{\"portMappings\":[{\"hostPort\":9}]}",
     "config.portMappings[0].containerPort: 0 is not a port"},
    {"{\"portMappings\":[{\"containerPort\":80,\"proto\":\"x\"}]}", "'x' is no proto"},
    {"{\"portMappings\":[{\"containerPort\":80,\"hostIP\":\"x\"}]}", "'x' is no hostIP"},
    {"{\"networkMode\":\"host\",\"portMappings\":[{\"containerPort\":80}]}",
     "not possible with networkMode HOST"},
    {"{\"networkMode\":\"host\",\"extraHosts\":[\"a:host_ip\"]}",
     "has no meaning with networkMode HOST"},
    {"{\"extraHosts\":[\"a\"]}", "config.extraHosts[0]: 'a' is not of the form"},
    {"{\"extraHosts\":[\"a:b:c\"]}", "config.extraHosts[0]: 'a:b:c'"},
    {"{\"log\":{\"type\":\"syslog\"}}", "config.log.type: 'syslog' is not one of JSON_FILE, NONE"},
    {"{\"log\":{\"maxFiles\":0}}", "config.log.maxFiles: 0 is not between 1"},
    {"{\"log\":{\"maxSize\":\"1X\"}}", "config.log.maxSize: '1X' is not a size"},
    {"{\"log\":{\"maxSize\":\"0K\"}}", "config.log.maxSize: '0K' is less than one byte"},
    {"{\"log\":{\"mode\":\"sometimes\"}}",
     "config.log.mode: 'sometimes' is not one of BLOCKING, NON_BLOCKING"},
    {"{\"log\":{\"mode\":\"non-blocking\",\"maxBufferSize\":\"lots\"}}",
     "config.log.maxBufferSize: 'lots' is not a size"},
    {"{\"log\":{\"mode\":\"non-blocking\",\"maxBufferSize\":\"0\"}}",
     "config.log.maxBufferSize: '0' is less than one byte"},
    {"{\"log\":{\"rootDir\":\"rel\"}}", "config.log.rootDir: 'rel' is no absolute path"},
    {"{\"resources\":{\"memory\":\"2M\"}}",
     "config.resources.memory: '2M' is below the minimum of 3M"},
    {"{\"resources\":{\"memory\":5}}", "config.resources.memory: a number is given"},
    {"{\"resources\":{\"memory\":\"10M\",\"memoryReservation\":\"11M\"}}",
     "memoryReservation: '11M' is above"},
    {"{\"resources\":{\"memorySwap\":\"11M\"}}", "memorySwap: '11M' needs config.resources.memory"},
    {"{\"resources\":{\"memory\":\"10M\",\"memorySwap\":\"9M\"}}", "memorySwap: '9M' is below"},
    {"{\"env\":[],\"ENV\":[]}", "comes twice"},
};

/* shows: K10, E16, D28, K31, K32, privileged, image-reference, capabilities */
Test(create, every_broken_rule_names_field_value_and_rule)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        char value[1000];
        if (refusals[i].config[0] == '!')
            snprintf(value, sizeof(value), "%s", refusals[i].config + 1);
        else
            snprintf(value, sizeof(value), "{\"imageRef\":\"r/a:1\",\"config\":%s}",
                     refusals[i].config);
        struct dv_create_request request = {0};
        err = DV_ERROR_INIT;
        cr_expect_eq(dv_spec_create_with_config(dv_str_of(value), ID, arena, &request, &err),
                     -DV_ERR_INVALID, "accepted: %s", value);
        cr_expect(strstr(err.text, refusals[i].text), "%s\n gave: %s", value, err.text);
    }
}

/* shows: D9, D27 */
Test(create, equal_reservation_and_bare_sizes_are_accepted)
{
    with_config("{\"imageRef\":\"r/"
                "a:1\",\"config\":{\"resources\":{\"memory\":\"10485760\",\"memoryReservation\":"
                "\"10485760B\"}}}");
}

/* shows: D24, K32 */
Test(create, empty_lists_are_not_given)
{
    const struct dv_container_spec *spec =
        with_config("{\"imageRef\":\"r/a:1\",\"config\":{\"privileged\":true,\"devices\":[],"
                    "\"extraCapabilities\":[],\"env\":[],\"mountPoints\":[]}}")
            .record->spec;
    cr_assert(spec->is_privileged);
    cr_assert_eq(spec->devices.count + spec->extra_capabilities.count, 0);
    spec = with_config("{\"imageRef\":\"r/a:1\",\"config\":{\"networkMode\":\"HOST\","
                       "\"portMappings\":[],\"extraHosts\":[]}}")
               .record->spec;
    cr_assert_eq(spec->port_mappings.count, 0);
}

/* shows: sentinels */
Test(create, documented_sentinels_mean_not_given)
{
    struct dv_create_request request =
        with_config("{\"imageRef\":\"r/"
                    "a:1\",\"config\":{\"restartPolicy\":{\"type\":\"always\",\"maxRetryCount\":"
                    "-2147483648,\"retryTimeout\":-9223372036854775808}}}");
    cr_assert_eq(request.record->spec->restart_policy->max_retry_count, 0);
    cr_assert_eq(request.record->spec->restart_policy->retry_timeout_ns, 0);
}
