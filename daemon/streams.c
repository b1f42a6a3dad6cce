/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/streams.h"

#include "base/arena.h"
#include "base/durable.h"
#include "monitor/client.h"
#include "runtime/oci/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX       (64U << 10)
#define EXEC_TIMEOUT_MS 30000 /* until the process runs, not until it ends */
#define BUNDLE_MAX      (4U << 20)

static int attach(void *ctx, const struct dv_local_attach *what, int *ret_fd, struct dv_error *err)
{
    const struct daemon_ports *ports = ctx;
    const struct dv_monitor_attach request = {.container_id = what->container,
                                              .waits = what->waits,
                                              .rows = what->rows,
                                              .columns = what->columns};
    return dv_monitor_attach(ports->monitor_socket, &request, ret_fd, err);
}

/* runtime --root ROOT --log FILE exec --detach --pid-file FILE --process FILE
 * [--console-socket PATH] ID: the runtime leaves the process behind. What it is, is in a file: a
 * command line can be read by everybody. */
static int fill_arguments(const struct daemon_ports *ports,
                          const struct dv_monitor_exec *exec,
                          struct dv_arena *arena)
{
    struct dv_monitor_launch *launch = exec->launch;
    char *root = dv_arena_printf(arena, "%s/runtime", ports->config->run_dir);
    char *const own[] = {(char *)ports->runtime.path,
                         (char *)"--root",
                         root,
                         (char *)"--log",
                         launch->runtime_log,
                         (char *)"--log-format",
                         (char *)"json",
                         (char *)"exec",
                         (char *)"--detach",
                         (char *)"--pid-file",
                         launch->pid_file,
                         (char *)"--process",
                         exec->process_path};
    struct dv_texts *argv = &launch->argv;
    argv->items = dv_arena_array(arena, sizeof(own) / sizeof(own[0]) + 3, sizeof(*argv->items));
    if (!root || !argv->items)
        return -DV_ERR_NO_MEMORY;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        argv->items[argv->count++] = own[i];
    if (launch->console_path) {
        argv->items[argv->count++] = (char *)"--console-socket";
        argv->items[argv->count++] = launch->console_path;
    }
    argv->items[argv->count++] = exec->container_id;
    return 0;
}

static int fill_paths(const struct daemon_ports *ports,
                      const struct dv_local_exec *what,
                      struct dv_monitor_exec *exec,
                      struct dv_arena *arena)
{
    static atomic_uint count;
    unsigned number = atomic_fetch_add(&count, 1) + 1;
    const char *run_dir = ports->config->run_dir;
    char *place = dv_arena_printf(arena, "%s/containers/%s/exec.%d.%u", run_dir, what->container,
                                  (int)getpid(), number);
    if (!place)
        return -DV_ERR_NO_MEMORY;
    exec->launch->pid_file = dv_arena_printf(arena, "%s.pid", place);
    exec->launch->runtime_log = dv_arena_printf(arena, "%s.log", place);
    exec->process_path = dv_arena_printf(arena, "%s.json", place);
    if (what->tty)
        exec->launch->console_path = dv_arena_printf(arena, "%s/ttx.%x", run_dir, number);
    bool has_all = exec->launch->pid_file && exec->launch->runtime_log && exec->process_path &&
                   (!what->tty || exec->launch->console_path);
    return has_all ? 0 : -DV_ERR_NO_MEMORY;
}

/* Both files are on a tmpfs. */
static int write_process(const struct daemon_ports *ports,
                         const struct dv_local_exec *what,
                         const char *path,
                         struct dv_error *err)
{
    char bundle_path[PATH_MAX];
    DV_AUTO_IN_PLACE(dv_buf) bundle = DV_BUF_INIT(BUNDLE_MAX);
    DV_AUTO_IN_PLACE(dv_buf) process = DV_BUF_INIT(BUNDLE_MAX);
    snprintf(bundle_path, sizeof(bundle_path), "%s/containers/%s/bundle/config.json",
             ports->config->run_dir, what->container);
    int r = dv_file_read(bundle_path, &bundle, err);
    if (r == -DV_ERR_NOT_FOUND) {
        dv_error_clear(err);
        return dv_error_set(err, DV_ERR_STATE, "container '%s' is not running", what->container);
    }
    if (r == 0)
        r = dv_oci_exec_write((struct dv_str){bundle.data, bundle.len}, what, &process, err);
    if (r < 0)
        return r;
    dv_autoclose int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || write(fd, process.data, process.len) != (ssize_t)process.len)
        return dv_error_sys(err, DV_ERR_IO, errno, "write '%s'", path);
    return 0;
}

static int exec(void *ctx, const struct dv_local_exec *what, int *ret_fd, struct dv_error *err)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    const struct daemon_ports *ports = ctx;
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    char *env[] = {path};
    struct dv_monitor_launch launch = {
        .env = {env, 1}, .timeout_ms = EXEC_TIMEOUT_MS, .takes_input = what->open_stdin};
    struct dv_monitor_exec request = {.launch = &launch, .container_id = what->container};
    if (strchr(what->container, '/') || what->container[0] == '.' || what->container[0] == '-')
        return dv_error_set(err, DV_ERR_INVALID, "container: '%s' is no id", what->container);
    if (!arena || fill_paths(ports, what, &request, arena) < 0 ||
        fill_arguments(ports, &request, arena) < 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a process in container '%s'",
                            what->container);
    int r = write_process(ports, what, request.process_path, err);
    if (r == 0)
        r = dv_monitor_exec(ports->monitor_socket, &request, ret_fd, err);
    if (r < 0)
        (void)unlink(request.process_path);
    return r;
}

void daemon_streams(struct daemon_ports *ports, struct dv_local_streams *ret)
{
    *ret = (struct dv_local_streams){.attach = attach, .exec = exec, .ctx = ports};
}
