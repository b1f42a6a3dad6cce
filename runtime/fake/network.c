/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/fake/network.h"

#include "runtime/fake/state.h"

#include <stdlib.h>

struct network {
    struct dv_network port; /* first: the port's view of it */
    struct dv_fake_machine *machine;
};

static struct dv_fake_machine *machine_of(struct dv_network *port)
{
    return ((struct network *)port)->machine;
}

static const char *describe(struct dv_network *port)
{
    (void)port;
    return "fake network, no kernel";
}

static int settings_of(const struct dv_fake_container *container,
                       struct dv_arena *arena,
                       struct dv_network_settings *ret,
                       struct dv_error *err)
{
    unsigned number = container->network;
    *ret = (struct dv_network_settings){
        .bridge = dv_arena_printf(arena, "fake%u", number >> 8 & 0xffU),
        .interface = dv_arena_printf(arena, "fake%up%u", number >> 8 & 0xffU, number & 0xffU),
        .address = dv_arena_printf(arena, "10.0.%u.%u", number >> 8 & 0xffU, number & 0xffU),
        .prefix_len = 24,
        .gateway = dv_arena_printf(arena, "10.0.%u.0", number >> 8 & 0xffU),
        .mac = dv_arena_printf(arena, "02:da:0a:00:%02x:%02x", number >> 8 & 0xffU, number & 0xffU),
    };
    if (!ret->bridge || !ret->interface || !ret->address || !ret->gateway || !ret->mac)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory for a fake network");
    return 0;
}

static int attach_locked(struct dv_fake_machine *machine,
                         const struct dv_network_attach_cmd *cmd,
                         struct dv_arena *arena,
                         struct dv_network_settings *ret,
                         struct dv_error *err)
{
    struct dv_fake_container *container = dv_fake_find(machine, cmd->id);
    if (!container || !dv_fake_is_alive(container) || container->pid != cmd->pid)
        return dv_error_set(err, DV_ERR_FAILED, "connect '%s': its process has ended already",
                            cmd->id);
    if (!container->network)
        container->network = ++machine->last_network;
    return settings_of(container, arena, ret, err);
}

static int attach(struct dv_network *port,
                  const struct dv_network_attach_cmd *cmd,
                  struct dv_arena *arena,
                  struct dv_network_settings *ret,
                  struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(port);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_ATTACH, cmd->id, NULL, err);
    if (r == 0)
        r = attach_locked(machine, cmd, arena, ret, err);
    dv_fake_unlock(machine);
    return r;
}

/* It has no ports: those of the machine are all free. */
static int
check(struct dv_network *port, const struct dv_network_check_query *query, struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(port);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_CHECK_PORTS, query->id, NULL, err);
    dv_fake_unlock(machine);
    return r;
}

static int detach(struct dv_network *port, const char *id, struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(port);
    dv_fake_lock(machine);
    int r = dv_fake_enter_call(machine, DV_FAKE_DETACH, id, NULL, err);
    struct dv_fake_container *container = dv_fake_find(machine, id);
    if (r == 0 && container)
        container->network = 0;
    dv_fake_unlock(machine);
    return r;
}

static int find(struct dv_network *port,
                const char *id,
                struct dv_arena *arena,
                struct dv_network_settings *ret,
                struct dv_error *err)
{
    struct dv_fake_machine *machine = machine_of(port);
    dv_fake_lock(machine);
    const struct dv_fake_container *container = dv_fake_find(machine, id);
    int r = container && container->network
                ? settings_of(container, arena, ret, err)
                : dv_error_set(err, DV_ERR_NOT_FOUND, "container '%s' is not connected", id);
    dv_fake_unlock(machine);
    return r;
}

static void free_network(struct dv_network *port)
{
    free(port);
}

int dv_fake_network_new(struct dv_fake_machine *machine,
                        struct dv_network **ret,
                        struct dv_error *err)
{
    struct network *network = calloc(1, sizeof(*network));
    if (!network)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "cannot make a fake network");
    network->port = (struct dv_network){
        .describe = describe,
        .attach = attach,
        .check = check,
        .detach = detach,
        .find = find,
        .free = free_network,
    };
    network->machine = machine;
    struct dv_fake_container *container;
    dv_fake_lock(machine);
    LIST_FOREACH(container, &machine->containers, all)
    {
        if (!dv_fake_is_alive(container))
            container->network = 0;
    }
    dv_fake_unlock(machine);
    *ret = &network->port;
    return 0;
}
