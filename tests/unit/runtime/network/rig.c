/* SPDX-License-Identifier: Apache-2.0 */
#include "rig.h"

#include "base/clock.h"
#include "base/durable.h"
#include "base/spawn.h"
#include "tests/support/needs.h"

#include <criterion/criterion.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define SECOND 1000000000LL

void open_network(struct rig *rig)
{
    rig->err = DV_ERROR_INIT;
    cr_assert_eq(dv_network_new(&rig->options, &rig->network, &rig->err), 0, "%s", rig->err.text);
}

void rig_init(struct rig *rig)
{
    dv_need_root();
    dv_need_program("/usr/bin/unshare");
    cr_assert_eq(unshare(CLONE_NEWNET), 0);
    *rig = (struct rig){
        .dir = "/tmp/davit-network-XXXXXX",
        .options =
            {
                .run_dir = rig->dir,
                .etc_dir = "",
                .name = "davit",
                .alt_name = "kanto-cm0",
                .address = "",
                .range = "",
                .gateway = "",
                .network6 = "",
                .mtu = 1400,
                .has_rules = true,
                .is_forwarding = true,
                .is_masquerading = true,
            },
    };
    cr_assert_not_null(mkdtemp(rig->dir));
    rig->arena = dv_arena_new(1U << 20);
    cr_assert_not_null(rig->arena);
}

void rig_done(struct rig *rig)
{
    if (rig->network)
        rig->network->free(rig->network);
    dv_arena_free(rig->arena);
    cr_assert_eq(dv_tree_remove(rig->dir, NULL), 0);
}

static ino_t namespace_of(pid_t pid)
{
    char path[64];
    struct stat st;
    snprintf(path, sizeof(path), "/proc/%d/ns/net", (int)pid);
    return stat(path, &st) < 0 ? 0 : st.st_ino;
}

/* A process with a network namespace of its own. */
pid_t start_process(void)
{
    static const char *const argv[] = {"unshare", "--net", "/bin/sleep", "100", NULL};
    struct dv_spawn what = {.path = "/usr/bin/unshare", .argv = argv};
    pid_t pid;
    cr_assert_eq(dv_spawn_start(&what, &pid, NULL), 0);
    int64_t deadline = dv_clock_monotonic_ns(dv_clock_real()) + 10 * SECOND;
    while (namespace_of(pid) == namespace_of(getpid())) {
        cr_assert(dv_clock_monotonic_ns(dv_clock_real()) < deadline);
        sched_yield();
    }
    return pid;
}

void end_process(pid_t pid)
{
    kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

void run(const char *command)
{
    const char *const argv[] = {"sh", "-c", command, NULL};
    static const char *const envp[] = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    struct dv_spawn what = {.path = "/bin/sh", .argv = argv, .envp = envp};
    pid_t pid;
    int status;
    cr_assert_eq(dv_spawn_start(&what, &pid, NULL), 0);
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    cr_assert_eq(status, 0, "%s", command);
}

int attach(struct rig *rig, const char *id, pid_t pid, struct dv_network_settings *ret)
{
    struct dv_network_attach_cmd cmd = {
        .id = (char *)id,
        .name = (char *)id,
        .pid = pid,
        .start_ticks = dv_process_start_ticks(pid),
    };
    rig->err = DV_ERROR_INIT;
    return rig->network->attach(rig->network, &cmd, rig->arena, ret, &rig->err);
}

struct dv_network_settings attached(struct rig *rig, const char *id, pid_t pid)
{
    struct dv_network_settings settings = {0};
    cr_assert_eq(attach(rig, id, pid, &settings), 0, "%s", rig->err.text);
    return settings;
}

/* Interfaces of this namespace beside loopback. */
unsigned links(void)
{
    unsigned count = 0;
    struct if_nameindex *all = if_nameindex();
    for (const struct if_nameindex *at = all; at->if_index; at++)
        count += strcmp(at->if_name, "lo") != 0;
    if_freenameindex(all);
    return count;
}

struct dv_port_mapping tcp(int64_t first, int64_t last)
{
    return (struct dv_port_mapping){.proto = (char *)"tcp",
                                    .container_port = 80,
                                    .host_ip = (char *)"0.0.0.0",
                                    .host_port = first,
                                    .host_port_end = last};
}

int attach_ports(struct rig *rig,
                 const char *id,
                 pid_t pid,
                 struct dv_port_mapping *ports,
                 size_t count,
                 struct dv_network_settings *ret)
{
    struct dv_network_attach_cmd cmd = {
        .id = (char *)id,
        .name = (char *)id,
        .pid = pid,
        .start_ticks = dv_process_start_ticks(pid),
        .ports = {ports, count},
    };
    rig->err = DV_ERROR_INIT;
    return rig->network->attach(rig->network, &cmd, rig->arena, ret, &rig->err);
}

int check_ports(struct rig *rig, struct dv_port_mapping *ports, size_t count)
{
    struct dv_network_check_query query = {.id = (char *)"x", .ports = {ports, count}};
    rig->err = DV_ERROR_INIT;
    return rig->network->check(rig->network, &query, &rig->err);
}
