/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/ports.h"

#include "base/durable.h"
#include "base/log.h"
#include "base/str.h"
#include "daemon/image_files.h"
#include "daemon/settings.h"
#include "monitor/client.h"
#include "runtime/meter/meter.h"
#include "runtime/oci/driver.h"

#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define NS_PER_MS       1000000
#define CHOICE_FILE_MAX 8192
#define KEPT_MAX        16384U /* containers whose descriptors stay open while they are measured */

/* -- the OCI runtime ------------------------------------------------------------------------ */

/* "wanted\nparent of control groups\npath\nmissing limits\ndescription": a probe takes a few
 * hundred milliseconds, a restart must not. */
static bool read_choice(struct daemon_ports *ports, const char *file)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(CHOICE_FILE_MAX);
    struct dv_str wanted;
    struct dv_str parent;
    struct dv_str path;
    struct dv_str missing;
    int64_t bits;
    struct dv_str description;
    struct dv_str rest;
    if (dv_file_read(file, &text, NULL) < 0 || !text.data)
        return false;
    if (!dv_str_cut((struct dv_str){text.data, text.len}, '\n', &wanted, &rest) ||
        !dv_str_eq(wanted, ports->config->runtime) || !dv_str_cut(rest, '\n', &parent, &rest) ||
        !dv_str_eq(parent, ports->config->cgroup_parent) || !dv_str_cut(rest, '\n', &path, &rest) ||
        !dv_str_cut(rest, '\n', &missing, &description) ||
        dv_str_to_i64(missing, 0, UINT_MAX, &bits, NULL) < 0)
        return false;
    ports->runtime.missing = (unsigned)bits;
    snprintf(ports->runtime.path, sizeof(ports->runtime.path), "%.*s", DV_STR_ARG(path));
    snprintf(ports->runtime.description, sizeof(ports->runtime.description), "%.*s",
             DV_STR_ARG(description));
    return access(ports->runtime.path, X_OK) == 0;
}

static int write_choice(const struct daemon_ports *ports, const char *file, struct dv_error *err)
{
    DV_AUTO_IN_PLACE(dv_buf) text = DV_BUF_INIT(CHOICE_FILE_MAX);
    int r = dv_buf_printf(&text, err, "%s\n%s\n%s\n%u\n%s", ports->config->runtime,
                          ports->config->cgroup_parent, ports->runtime.path, ports->runtime.missing,
                          ports->runtime.description);
    return r < 0 ? r : dv_durable_replace(file, text.data, text.len, 0600, err);
}

static int choose_runtime(struct daemon_ports *ports, struct dv_error *err)
{
    char file[PATH_MAX];
    snprintf(file, sizeof(file), "%s/runtime-choice", ports->config->run_dir);
    if (read_choice(ports, file))
        return 0;
    struct dv_launcher *launcher = NULL;
    int r = dv_monitor_launcher_new(ports->monitor_socket, &launcher, err);
    if (r < 0)
        return r;
    r = dv_oci_probe(ports->config->runtime, ports->config->run_dir, ports->config->cgroup_parent,
                     launcher, &ports->runtime, err);
    launcher->free(launcher);
    return r < 0 ? r : write_choice(ports, file, err);
}

/* -- opening -------------------------------------------------------------------------------- */

static int unpack_program(const struct dv_config *config, char path[PATH_MAX], struct dv_error *err)
{
    if (config->unpack_program[0]) {
        snprintf(path, PATH_MAX, "%s", config->unpack_program);
        return 0;
    }
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX - sizeof("/davit-unpack"));
    if (len <= 0)
        return dv_error_set(err, DV_ERR_INTERNAL, "cannot tell where davitd itself is");
    path[len] = '\0';
    snprintf(strrchr(path, '/'), sizeof("/davit-unpack"), "/davit-unpack");
    return 0;
}

static int open_images(struct daemon_ports *ports, struct dv_error *err)
{
    char program[PATH_MAX];
    int r = unpack_program(ports->config, program, err);
    if (r < 0)
        return r;
    struct dv_image_store_options options = {
        .home_dir = ports->config->home_dir,
        .unpack_program = program,
        .takes_absolute_names = ports->config->absolute_names,
    };
    r = dv_image_store_open(&options, &ports->images, err);
    if (r == 0 && dv_image_store_note(ports->images))
        dv_log(DV_LOG_WARN, "images: %s", dv_image_store_note(ports->images));
    return r;
}

int daemon_ports_open(struct daemon_ports *ports,
                      const struct dv_config *config,
                      struct dv_error *err)
{
    ports->config = config;
    snprintf(ports->monitor_socket, sizeof(ports->monitor_socket), "%s/monitor.sock",
             config->run_dir);
    int r = ports->images ? 0 : open_images(ports, err);
    return r < 0 ? r : choose_runtime(ports, err);
}

void daemon_ports_close(struct daemon_ports *ports)
{
    dv_image_store_free(ports->images);
    ports->images = NULL;
}

/* -- for the actors ------------------------------------------------------------------------- */

int daemon_runtime_open(void *ctx, unsigned worker, struct dv_runtime **ret, struct dv_error *err)
{
    (void)worker;
    struct daemon_ports *ports = ctx;
    struct dv_launcher *launcher = NULL;
    int r = dv_monitor_launcher_new(ports->monitor_socket, &launcher, err);
    if (r < 0)
        return r;
    struct dv_oci_options options = {
        .home_dir = ports->config->home_dir,
        .run_dir = ports->config->run_dir,
        .runtime = ports->runtime.path,
        .description = ports->runtime.description,
        .cgroup_parent = ports->config->cgroup_parent,
        .pids_limit = ports->config->pids_max,
        .has_ip6 = ports->config->bridge_enable_ip6,
        .clock = dv_clock_real(),
    };
    r = dv_oci_new(&options, &launcher, ret, err);
    if (launcher)
        launcher->free(launcher);
    return r;
}

int daemon_image_files_open(void *ctx,
                            unsigned worker,
                            struct dv_image_files **ret,
                            struct dv_error *err)
{
    (void)worker;
    struct daemon_ports *ports = ctx;
    struct dv_launcher *launcher = NULL;
    int r = dv_monitor_launcher_new(ports->monitor_socket, &launcher, err);
    if (r == 0)
        r = daemon_image_files_new(ports->images, &launcher, ports->config->unpack_ns / NS_PER_MS,
                                   ports->config->auth_file, ret, err);
    if (launcher)
        launcher->free(launcher);
    return r;
}

int daemon_exits_open(void *ctx, struct dv_exit_source **ret, struct dv_error *err)
{
    struct daemon_ports *ports = ctx;
    struct dv_monitor_exits_options options = {
        .run_dir = ports->config->run_dir,
        .clock = dv_clock_real(),
        .grace_ns = ports->config->monitor_grace_ns,
    };
    return dv_monitor_exits_new(&options, ret, err);
}

int daemon_network_open(void *ctx, struct dv_network **ret, struct dv_error *err)
{
    struct daemon_ports *ports = ctx;
    daemon_network_options(ports->config, &ports->network);
    /* Where runtime/oci keeps what it binds into containers. */
    snprintf(ports->etc_dir, sizeof(ports->etc_dir), "%s/containers", ports->config->run_dir);
    ports->network.etc_dir = ports->etc_dir;
    return dv_network_new(&ports->network, ret, err);
}

/* At most a quarter of the descriptors that davitd may have. */
static unsigned kept_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    rlim_t sets = limit.rlim_cur / 4 / DV_METER_SET_FDS;
    return sets > KEPT_MAX ? KEPT_MAX : (unsigned)sets;
}

int daemon_counters_open(void *ctx, struct dv_counter_source **ret, struct dv_error *err)
{
    struct daemon_ports *ports = ctx;
    struct dv_meter_options options = {
        .cgroup_parent = ports->config->cgroup_parent,
        .kept_max = kept_max(),
    };
    return dv_meter_new(&options, ret, err);
}
