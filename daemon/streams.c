/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/streams.h"

#include "base/arena.h"
#include "monitor/client.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#define ARENA_MAX       (2U << 20)
#define EXEC_TIMEOUT_MS 30000 /* until the process runs, not until it ends */
#define OWN_ARGUMENTS   16

static int attach(void *ctx, const struct dv_local_attach *what, int *ret_fd, struct dv_error *err)
{
    const struct daemon_ports *ports = ctx;
    return dv_monitor_attach(ports->monitor_socket, what->container, what->waits, ret_fd, err);
}

/* runtime --root ROOT --log FILE exec --detach --pid-file FILE [--tty --console-socket PATH]
 * [--env NAME=VALUE ...] ID PROGRAM ...: the runtime leaves the process behind. */
static int fill_arguments(const struct daemon_ports *ports,
                          const struct dv_local_exec *what,
                          struct dv_monitor_launch *launch,
                          struct dv_arena *arena)
{
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
                         launch->pid_file};
    size_t most = OWN_ARGUMENTS + 2 * what->env.count + what->args.count;
    struct dv_texts *argv = &launch->argv;
    argv->items = dv_arena_array(arena, most, sizeof(*argv->items));
    if (!root || !argv->items)
        return -DV_ERR_NO_MEMORY;
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
        argv->items[argv->count++] = own[i];
    if (what->tty) {
        argv->items[argv->count++] = (char *)"--tty";
        argv->items[argv->count++] = (char *)"--console-socket";
        argv->items[argv->count++] = launch->console_path;
    }
    for (size_t i = 0; i < what->env.count; i++) {
        argv->items[argv->count++] = (char *)"--env";
        argv->items[argv->count++] = what->env.items[i];
    }
    argv->items[argv->count++] = what->container;
    for (size_t i = 0; i < what->args.count; i++)
        argv->items[argv->count++] = what->args.items[i];
    return 0;
}

static int exec(void *ctx, const struct dv_local_exec *what, int *ret_fd, struct dv_error *err)
{
    static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    static atomic_uint count;
    const struct daemon_ports *ports = ctx;
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_MAX);
    char *env[] = {path};
    struct dv_monitor_launch launch = {
        .env = {env, 1}, .timeout_ms = EXEC_TIMEOUT_MS, .takes_input = what->open_stdin};
    if (strchr(what->container, '/') || what->container[0] == '.' || what->container[0] == '-')
        return dv_error_set(err, DV_ERR_INVALID, "container: '%s' is no id", what->container);
    unsigned number = atomic_fetch_add(&count, 1) + 1;
    const char *run_dir = ports->config->run_dir;
    char *place = arena ? dv_arena_printf(arena, "%s/containers/%s/exec.%d.%u", run_dir,
                                          what->container, (int)getpid(), number)
                        : NULL;
    if (place) {
        launch.pid_file = dv_arena_printf(arena, "%s.pid", place);
        launch.runtime_log = dv_arena_printf(arena, "%s.log", place);
        if (what->tty)
            launch.console_path = dv_arena_printf(arena, "%s/ttx.%x", run_dir, number);
    }
    if (!place || !launch.pid_file || !launch.runtime_log || (what->tty && !launch.console_path) ||
        fill_arguments(ports, what, &launch, arena) < 0)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a process in container '%s'",
                            what->container);
    return dv_monitor_exec(ports->monitor_socket, what->container, &launch, ret_fd, err);
}

void daemon_streams(struct daemon_ports *ports, struct dv_local_streams *ret)
{
    *ret = (struct dv_local_streams){.attach = attach, .exec = exec, .ctx = ports};
}
