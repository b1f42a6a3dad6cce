/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/map.h"

#include "messages/messages.h"

#include <assert.h>
#include <string.h>

static const struct spec_row mount_rows[] = {
    {"source", "source", "source", SPEC_PLAIN},
    {"destination", "destination", "destination", SPEC_PLAIN},
    {"propagation", "propagationMode", "propagation_mode", SPEC_PLAIN},
};

static const struct spec_row device_rows[] = {
    {"path_on_host", "pathOnHost", "path_on_host", SPEC_PLAIN},
    {"path_in_container", "pathInContainer", "path_in_container", SPEC_PLAIN},
    {"permissions", "cgroupPermissions", "cgroup_permissions", SPEC_PLAIN},
};

static const struct spec_row port_rows[] = {
    {"proto", "proto", "proto", SPEC_PLAIN},
    {"host_port", "hostPort", "host_port", SPEC_PORT},
    {"host_port_end", "hostPortEnd", "host_port_end", SPEC_PORT},
    {"container_port", "containerPort", "container_port", SPEC_PORT},
    {"host_ip", "hostIP", "host_ip", SPEC_PLAIN},
    {"chosen_port", NULL, "davit_chosen_port", SPEC_PORT},
};

static const struct spec_row restart_rows[] = {
    {"max_retry_count", "maxRetryCount", "maximum_retry_count", SPEC_PLAIN},
    {"retry_timeout_ns", "retryTimeout", "retry_timeout", SPEC_SECONDS},
    {"type", "type", "type", SPEC_NO_EMPTY},
};

static const struct spec_row log_rows[] = {
    {"type", "type", "driver_config.type", SPEC_PLAIN},
    {"max_files", "maxFiles", "driver_config.max_files", SPEC_AT_LEAST_ONE},
    {"max_size", "maxSize", "driver_config.max_size", SPEC_PLAIN},
    {"root_dir", "rootDir", "driver_config.root_dir", SPEC_PLAIN},
    {"mode", "mode", "mode_config.mode", SPEC_PLAIN},
    {"max_buffer_size", "maxBufferSize", "mode_config.max_buffer_size", SPEC_PLAIN},
};

static const struct spec_row resource_rows[] = {
    {"memory", "memory", "memory", SPEC_PLAIN},
    {"memory_reservation", "memoryReservation", "memory_reservation", SPEC_PLAIN},
    {"memory_swap", "memorySwap", "memory_swap", SPEC_PLAIN},
};

static const struct spec_row decryption_rows[] = {
    {"keys", "keys", "keys", SPEC_FILE_SECRETS},
    {"recipients", "recipients", "recipients", SPEC_PLAIN},
};

static const struct spec_row hook_rows[] = {
    {"path", NULL, "path", SPEC_PLAIN}, {"args", NULL, "args", SPEC_PLAIN},
    {"env", NULL, "env", SPEC_PLAIN},   {"timeout_s", NULL, "timeout", SPEC_PLAIN},
    {"type", NULL, "type", SPEC_PLAIN},
};

static const struct spec_row spec_rows[] = {
    {"image_ref", NULL, "image.name", SPEC_PLAIN},
    {"decryption", "decryption", "image.decrypt_config", SPEC_PLAIN},
    {"domain_name", "domainName", "domain_name", SPEC_PLAIN},
    {"mount_points", "mountPoints", "mount_points", SPEC_PLAIN},
    {"host_name", "hostName", "host_name", SPEC_PLAIN},
    {"hooks", NULL, "hooks", SPEC_PLAIN},
    {"env", "env", "config.env", SPEC_PLAIN},
    {"cmd", "cmd", "config.cmd", SPEC_PLAIN},
    {"is_privileged", "privileged", "host_config.privileged", SPEC_PLAIN},
    {"devices", "devices", "host_config.devices", SPEC_PLAIN},
    {"restart_policy", "restartPolicy", "host_config.restart_policy", SPEC_PLAIN},
    {"runtime", NULL, "host_config.runtime", SPEC_PLAIN},
    {"extra_hosts", "extraHosts", "host_config.extra_hosts", SPEC_PLAIN},
    {"extra_capabilities", "extraCapabilities", "host_config.extra_capabilities", SPEC_PLAIN},
    {"port_mappings", "portMappings", "host_config.port_mappings", SPEC_PLAIN},
    {"network_mode", "networkMode", "host_config.network_mode", SPEC_PLAIN},
    {"open_stdin", "openStdin", "io_config.open_stdin", SPEC_PLAIN},
    {"tty", "tty", "io_config.tty", SPEC_PLAIN},
    {"log", "log", "host_config.log_config", SPEC_PLAIN},
    {"resources", "resources", "host_config.resources", SPEC_PLAIN},
};

static const struct spec_row state_rows[] = {
    {"pid", "pid", "state.pid", SPEC_PLAIN},
    {"error", "error", "state.error", SPEC_PLAIN},
    {"exit_code", "exitCode", "state.exit_code", SPEC_PLAIN},
    {"started_ns", "startedAt", "state.started_at", SPEC_TIME},
    {"finished_ns", "finishedAt", "state.finished_at", SPEC_TIME},
    {"is_oom_killed", "oomKilled", "state.oomKilled", SPEC_PLAIN},
    {"status", "status", "state.status", SPEC_NUMBER},
};

static const struct spec_row record_rows[] = {
    {"id", NULL, "container_id", SPEC_PLAIN},
    {"name", NULL, "container_name", SPEC_PLAIN},
    {"created_ns", NULL, "created", SPEC_TIME},
    {"restart_count", NULL, "restart_count", SPEC_PLAIN},
    {"manually_stopped", NULL, "manually_stopped", SPEC_PLAIN},
    {"started_before", NULL, "started_successfully_before", SPEC_PLAIN},
    {"layers", NULL, "davit.layers", SPEC_PLAIN},
    {"image_id", NULL, "davit.image_id", SPEC_PLAIN},
    {"is_image_encrypted", NULL, "davit.image_encrypted", SPEC_PLAIN},
    {"start_pending", NULL, "davit.start_pending", SPEC_PLAIN},
    {"restart_wait_ms", NULL, "davit.restart_wait_ms", SPEC_PLAIN},
    {"restart_due_ns", NULL, "davit.restart_due_ns", SPEC_PLAIN},
    {"run_started_ns", NULL, "davit.run_started_ns", SPEC_PLAIN},
    {"run_ended_ns", NULL, "davit.run_ended_ns", SPEC_PLAIN},
    {"module_name", NULL, "davit.module_name", SPEC_PLAIN},
    {"module_version", NULL, "davit.module_version", SPEC_PLAIN},
    {"artifact_digest", NULL, "davit.artifact_digest", SPEC_PLAIN},
};

#define MAP(schema, rows)                                                                          \
    {                                                                                              \
        &dv_schema_##schema, (rows), sizeof(rows) / sizeof((rows)[0])                              \
    }

static const struct spec_map maps[] = {
    MAP(mount_point, mount_rows),       MAP(device, device_rows),
    MAP(port_mapping, port_rows),       MAP(restart_policy, restart_rows),
    MAP(log_config, log_rows),          MAP(resources, resource_rows),
    MAP(decryption, decryption_rows),   MAP(hook, hook_rows),
    MAP(container_spec, spec_rows),     MAP(container_state, state_rows),
    MAP(container_record, record_rows),
};

const struct spec_map *spec_map_of(const struct dv_schema *schema)
{
    for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
        if (maps[i].schema == schema)
            return &maps[i];
    assert(false && "a type of the container description without rows");
    return NULL;
}

const struct dv_field *spec_field_of(const struct dv_schema *schema, const char *name)
{
    for (size_t i = 0; i < schema->count; i++)
        if (strcmp(schema->fields[i].name, name) == 0)
            return &schema->fields[i];
    assert(false && "a row that names no field");
    return NULL;
}
