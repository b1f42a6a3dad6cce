/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"
#include "spec/names.h"
#include "spec/rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_FILES   2
#define DEFAULT_MAX_SIZE    "100M"
#define DEFAULT_BUFFER_SIZE "1M"
#define DEFAULT_RUNTIME     "io.containerd.runc.v2"

static void set_text(char **text, const char *fallback)
{
    if (!*text || !**text)
        *text = (char *)fallback;
}

static void fill_log(struct dv_log_config *log)
{
    if (log->type == DV_LOG_TYPE_NONE) {
        log->max_files = 0;
        log->max_size = NULL;
    } else {
        if (!log->max_files)
            log->max_files = DEFAULT_MAX_FILES;
        set_text(&log->max_size, DEFAULT_MAX_SIZE);
    }
    if (log->mode == DV_LOG_MODE_NON_BLOCKING)
        set_text(&log->max_buffer_size, DEFAULT_BUFFER_SIZE);
    else
        log->max_buffer_size = NULL;
}

/* Drops the documented placeholders: items whose texts are all empty. */
static void drop_empty(struct dv_container_spec *spec)
{
    size_t kept = 0;
    for (size_t i = 0; i < spec->mount_points.count; i++)
        if (spec->mount_points.items[i].source || spec->mount_points.items[i].destination)
            spec->mount_points.items[kept++] = spec->mount_points.items[i];
    spec->mount_points.count = kept;
    kept = 0;
    for (size_t i = 0; i < spec->devices.count; i++)
        if (spec->devices.items[i].path_on_host || spec->devices.items[i].path_in_container)
            spec->devices.items[kept++] = spec->devices.items[i];
    spec->devices.count = kept;
    if (spec->decryption && !spec->decryption->keys.count && !spec->decryption->recipients.count)
        spec->decryption = NULL;
    const struct dv_resources *r = spec->resources;
    if (r && !r->memory && !r->memory_reservation && !r->memory_swap)
        spec->resources = NULL;
}

/* 200M becomes 400M: same unit, at most four decimals, like Kanto writes it. */
static int double_swap(struct dv_resources *resources, struct dv_arena *arena, struct dv_error *err)
{
    if (resources->memory_swap && strcmp(resources->memory_swap, "-1") == 0) {
        resources->memory_swap = NULL; /* unlimited is how a record says it without a text */
        return 0;
    }
    if (resources->memory_swap || !resources->memory)
        return 0;
    int64_t bytes;
    if (dv_str_to_size(dv_str_of(resources->memory), &bytes, NULL) < 0 || bytes == 0)
        return 0; /* the rules name it, or it is no limit */
    const char *text = resources->memory;
    size_t number = strspn(text, "0123456789.");
    char digits[32];
    snprintf(digits, sizeof(digits), "%.*s", (int)number, text);
    double value = 2 * strtod(digits, NULL);
    char shown[48];
    snprintf(shown, sizeof(shown), "%.4f", value);
    size_t end = strlen(shown);
    while (shown[end - 1] == '0')
        end--;
    if (shown[end - 1] == '.')
        end--;
    shown[end] = '\0';
    resources->memory_swap = dv_arena_printf(arena, "%s%s", shown, text + number);
    if (!resources->memory_swap)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a container description");
    return 0;
}

static void fill_lists(struct dv_container_spec *spec)
{
    for (size_t i = 0; i < spec->port_mappings.count; i++) {
        struct dv_port_mapping *port = &spec->port_mappings.items[i];
        set_text(&port->proto, "tcp");
        set_text(&port->host_ip, "0.0.0.0");
        if (!port->host_port_end)
            port->host_port_end = port->host_port;
    }
    for (size_t i = 0; i < spec->devices.count; i++) {
        struct dv_device *device = &spec->devices.items[i];
        set_text(&device->path_in_container, device->path_on_host);
        set_text(&device->permissions, "rwm");
    }
}

int dv_spec_fill_defaults(struct dv_container_record *record,
                          struct dv_arena *arena,
                          bool is_new,
                          struct dv_error *err)
{
    struct dv_container_spec *spec = record->spec;
    set_text(&record->name, record->id);
    if (!spec->host_name)
        spec->host_name = dv_host_name_make(arena, record->name, "-host");
    if (!spec->domain_name)
        spec->domain_name = dv_host_name_make(arena, record->name, "-domain");
    if (!spec->restart_policy)
        spec->restart_policy = dv_arena_alloc(arena, sizeof(*spec->restart_policy));
    if (!spec->log)
        spec->log = dv_arena_alloc(arena, sizeof(*spec->log));
    if (!record->state)
        record->state = dv_arena_alloc(arena, sizeof(*record->state));
    if (!spec->host_name || !spec->domain_name || !spec->restart_policy || !spec->log ||
        !record->state)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a container description");
    set_text(&spec->runtime, DEFAULT_RUNTIME);
    drop_empty(spec);
    fill_log(spec->log);
    fill_lists(spec);
    return is_new && spec->resources ? double_swap(spec->resources, arena, err) : 0;
}
