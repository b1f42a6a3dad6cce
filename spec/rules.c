/* SPDX-License-Identifier: Apache-2.0 */
#include "spec/rules.h"

#include "base/str.h"
#include "spec/capability.h"
#include "spec/names.h"
#include "spec/resources.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

static int bad(struct dv_error *err, const char *field, const char *value, const char *rule)
{
    return dv_error_set(err, DV_ERR_INVALID, "%s: '%.256s' %s", field, value ? value : "", rule);
}

static int
bad_item(struct dv_error *err, const char *list, size_t index, const char *value, const char *rule)
{
    return dv_error_set(err, DV_ERR_INVALID, "%s[%zu]: '%.256s' %s", list, index,
                        value ? value : "", rule);
}

static int check_names(const struct dv_container_record *record, struct dv_error *err)
{
    const struct dv_container_spec *spec = record->spec;
    if (!dv_id_is_valid(record->id))
        return bad(err, "container_id", record->id, "is no id ([A-Za-z0-9][A-Za-z0-9_.-]{0,127})");
    if (!spec->image_ref)
        return dv_error_set(err, DV_ERR_INVALID,
                            "imageRef: is required, as host[:port]/path:tag or @digest");
    if (!dv_image_ref_is_complete(spec->image_ref))
        return bad(err, "imageRef", spec->image_ref,
                   "is incomplete: host[:port]/path with :tag or @digest is required");
    if (!dv_name_is_valid(record->name))
        return bad(err, "name", record->name,
                   "is no name ([A-Za-z0-9_][A-Za-z0-9_.-]*, at most 253 characters)");
    if (!dv_host_name_is_valid(spec->host_name))
        return bad(err, "config.hostName", spec->host_name, "has characters no host name has");
    if (!dv_host_name_is_valid(spec->domain_name))
        return bad(err, "config.domainName", spec->domain_name,
                   "has characters no domain name has");
    return 0;
}

/* Whether the path leads to the root directory, as text: "/", "//", "/a/..", "/./". */
static bool is_root(const char *path)
{
    size_t depth = 0;
    while (*(path += strspn(path, "/"))) {
        size_t part = strcspn(path, "/");
        if (part == 2 && strncmp(path, "..", 2) == 0)
            depth -= depth > 0;
        else if (part != 1 || path[0] != '.')
            depth++;
        path += part;
    }
    return depth == 0;
}

static int check_mounts(const struct dv_container_spec *spec, struct dv_error *err)
{
    for (size_t i = 0; i < spec->mount_points.count; i++) {
        const struct dv_mount_point *mount = &spec->mount_points.items[i];
        if (!mount->source || !mount->destination)
            return bad_item(err, "config.mountPoints", i,
                            mount->source ? mount->source : mount->destination,
                            "needs both source and destination");
        if (mount->source[0] != '/')
            return bad_item(err, "config.mountPoints", i, mount->source,
                            "is no absolute path (source)");
        if (mount->destination[0] != '/')
            return bad_item(err, "config.mountPoints", i, mount->destination,
                            "is no absolute path (destination)");
        if (is_root(mount->destination))
            return bad_item(err, "config.mountPoints", i, mount->destination,
                            "would hide the whole root file system (destination)");
    }
    return 0;
}

/* At least one of r, w, m and none twice. */
static bool are_permissions(const char *text)
{
    size_t len = strlen(text);
    if (len < 1 || len > 3 || strspn(text, "rwm") != len)
        return false;
    for (size_t i = 1; i < len; i++)
        if (memchr(text, text[i], i))
            return false;
    return true;
}

static int check_devices(const struct dv_container_spec *spec, struct dv_error *err)
{
    for (size_t i = 0; i < spec->devices.count; i++) {
        const struct dv_device *device = &spec->devices.items[i];
        if (!device->path_on_host)
            return bad_item(err, "config.devices", i, device->path_in_container,
                            "needs a pathOnHost");
        if (device->path_on_host[0] != '/')
            return bad_item(err, "config.devices", i, device->path_on_host,
                            "is no absolute path (pathOnHost)");
        if (device->path_in_container[0] != '/' || is_root(device->path_in_container))
            return bad_item(err, "config.devices", i, device->path_in_container,
                            "is no absolute path of a device (pathInContainer)");
        if (!are_permissions(device->permissions))
            return bad_item(err, "config.devices", i, device->permissions,
                            "are no cgroupPermissions (letters of r, w, m, each once)");
    }
    return 0;
}

static int check_privileged(const struct dv_container_spec *spec, struct dv_error *err)
{
    if (!spec->is_privileged)
        return 0;
    if (spec->devices.count)
        return dv_error_set(err, DV_ERR_INVALID,
                            "config.privileged and config.devices exclude each other: a privileged "
                            "container has all devices");
    if (spec->extra_capabilities.count)
        return dv_error_set(err, DV_ERR_INVALID,
                            "config.privileged and config.extraCapabilities exclude each other: a "
                            "privileged container has all capabilities");
    return 0;
}

static int check_capabilities(const struct dv_container_spec *spec, struct dv_error *err)
{
    for (size_t i = 0; i < spec->extra_capabilities.count; i++) {
        unsigned number;
        const char *near = NULL;
        if (dv_capability_parse(spec->extra_capabilities.items[i], &number, &near))
            continue;
        return dv_error_set(
            err, DV_ERR_INVALID, "config.extraCapabilities[%zu]: '%.64s' is no capability%s%s", i,
            spec->extra_capabilities.items[i], near ? ", did you mean " : "", near ? near : "");
    }
    return 0;
}

static int check_ports(const struct dv_container_spec *spec, struct dv_error *err)
{
    if (spec->network_mode == DV_NETWORK_HOST && spec->port_mappings.count)
        return dv_error_set(err, DV_ERR_INVALID,
                            "config.portMappings: not possible with networkMode HOST, where the "
                            "container uses the ports of the host");
    for (size_t i = 0; i < spec->port_mappings.count; i++) {
        const struct dv_port_mapping *port = &spec->port_mappings.items[i];
        struct in6_addr address;
        if (strcasecmp(port->proto, "tcp") != 0 && strcasecmp(port->proto, "udp") != 0 &&
            strcasecmp(port->proto, "sctp") != 0)
            return bad_item(err, "config.portMappings", i, port->proto,
                            "is no proto (tcp, udp, sctp)");
        if (port->container_port < 1)
            return dv_error_set(
                err, DV_ERR_INVALID,
                "config.portMappings[%zu].containerPort: 0 is not a port (1..65535)", i);
        if (port->host_port_end < port->host_port)
            return dv_error_set(err, DV_ERR_INVALID,
                                "config.portMappings[%zu].hostPortEnd: %lld is below hostPort %lld",
                                i, (long long)port->host_port_end, (long long)port->host_port);
        if (inet_pton(AF_INET, port->host_ip, &address) != 1 &&
            inet_pton(AF_INET6, port->host_ip, &address) != 1)
            return bad_item(err, "config.portMappings", i, port->host_ip, "is no hostIP");
    }
    return 0;
}

static int check_extra_hosts(const struct dv_container_spec *spec, struct dv_error *err)
{
    for (size_t i = 0; i < spec->extra_hosts.count; i++) {
        const char *item = spec->extra_hosts.items[i];
        const char *colon = strchr(item, ':');
        if (!colon || colon == item || !colon[1] || strchr(colon + 1, ':') ||
            strpbrk(item, " \t\r\n"))
            return bad_item(err, "config.extraHosts", i, item, "is not of the form name:address");
        if (spec->network_mode == DV_NETWORK_HOST && strncmp(colon + 1, "host_ip", 7) == 0)
            return bad_item(err, "config.extraHosts", i, item,
                            "has no meaning with networkMode HOST");
    }
    return 0;
}

static int check_size(const char *field, const char *text, int64_t *ret, struct dv_error *err)
{
    struct dv_error why = DV_ERROR_INIT;
    if (dv_str_to_size(dv_str_of(text), ret, &why) < 0)
        return dv_error_set(err, DV_ERR_INVALID, "%s: %s", field, why.text);
    return 0;
}

static int check_log(const struct dv_log_config *log, struct dv_error *err)
{
    int64_t bytes;
    if (log->root_dir && log->root_dir[0] != '/')
        return bad(err, "config.log.rootDir", log->root_dir, "is no absolute path");
    if (log->max_size) {
        int r = check_size("config.log.maxSize", log->max_size, &bytes, err);
        if (r < 0)
            return r;
        if (bytes < 1)
            return bad(err, "config.log.maxSize", log->max_size, "is less than one byte");
    }
    if (log->max_buffer_size) {
        int r = check_size("config.log.maxBufferSize", log->max_buffer_size, &bytes, err);
        if (r < 0)
            return r;
        if (bytes < 1)
            return bad(err, "config.log.maxBufferSize", log->max_buffer_size,
                       "is less than one byte");
    }
    return 0;
}

int dv_spec_check_restart(const struct dv_restart_policy *policy, struct dv_error *err)
{
    if (policy->type != DV_RESTART_ON_FAILURE && policy->max_retry_count > 0)
        return dv_error_set(err, DV_ERR_INVALID,
                            "config.restartPolicy.maxRetryCount: %lld has a meaning only with type "
                            "ON_FAILURE, not with %s",
                            (long long)policy->max_retry_count,
                            dv_enum_api(&dv_enum_restart_type, (int64_t)policy->type));
    return 0;
}

int dv_spec_check_resources(const struct dv_resources *resources, struct dv_error *err)
{
    struct dv_memory_limits limits;
    int r = dv_resources_bytes(resources, &limits, err);
    if (r < 0)
        return r;
    bool is_limited = limits.memory != DV_UNLIMITED;
    if (is_limited && limits.memory < DV_MEMORY_MIN_BYTES)
        return bad(err, "config.resources.memory", resources->memory, "is below the minimum of 3M");
    if (is_limited && limits.reservation > limits.memory)
        return bad(err, "config.resources.memoryReservation", resources->memory_reservation,
                   "is above config.resources.memory");
    if (limits.swap != DV_UNLIMITED && !is_limited)
        return bad(err, "config.resources.memorySwap", resources->memory_swap,
                   "needs config.resources.memory; take both away with \"\"");
    if (limits.swap != DV_UNLIMITED && limits.swap < limits.memory)
        return bad(err, "config.resources.memorySwap", resources->memory_swap,
                   "is below config.resources.memory; it is the sum of memory and swap, so change "
                   "it too");
    return 0;
}

static int check_env(const struct dv_container_spec *spec, struct dv_error *err)
{
    for (size_t i = 0; i < spec->env.count; i++)
        if (!dv_env_is_valid(spec->env.items[i]))
            return bad_item(err, "config.env", i, spec->env.items[i],
                            "is not of the form NAME=value or NAME, without line breaks");
    return 0;
}

/* What stands behind the file is a secret, so the value is not repeated. */
static int check_decryption(const struct dv_container_spec *spec, struct dv_error *err)
{
    static const char recipient[] = "pkcs7:/";
    const struct dv_decryption *decryption = spec->decryption;
    for (size_t i = 0; decryption && i < decryption->keys.count; i++) {
        const char *key = decryption->keys.items[i];
        if (key[0] != '/' || strpbrk(key, "\r\n"))
            return dv_error_set(
                err, DV_ERR_INVALID,
                "config.decryption.keys[%zu] is not the absolute path of a file, or "
                "that and a colon and its password",
                i);
    }
    for (size_t i = 0; decryption && i < decryption->recipients.count; i++)
        if (strncmp(decryption->recipients.items[i], recipient, sizeof(recipient) - 1) != 0 ||
            strpbrk(decryption->recipients.items[i], "\r\n"))
            return bad_item(err, "config.decryption.recipients", i, decryption->recipients.items[i],
                            "is not pkcs7: and the absolute path of a certificate");
    return 0;
}

int dv_spec_check(const struct dv_container_record *record, struct dv_error *err)
{
    static int (*const checks[])(const struct dv_container_spec *, struct dv_error *) = {
        check_mounts, check_privileged,  check_devices, check_capabilities,
        check_ports,  check_extra_hosts, check_env,     check_decryption,
    };
    const struct dv_container_spec *spec = record->spec;
    int r = check_names(record, err);
    for (size_t i = 0; r == 0 && i < sizeof(checks) / sizeof(checks[0]); i++)
        r = checks[i](spec, err);
    if (r == 0)
        r = check_log(spec->log, err);
    if (r == 0)
        r = dv_spec_check_restart(spec->restart_policy, err);
    return r < 0 ? r : dv_spec_check_resources(spec->resources, err);
}
