/* SPDX-License-Identifier: Apache-2.0 */
#include "software.h"

#include "actors/addresses.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void send(struct world *world, const char *operation, const char *args)
{
    char key[64];
    snprintf(key, sizeof(key), "key-%zu", fake_cloud_commands(world->sim->cloud));
    size_t index =
        fake_cloud_send(world->sim->cloud, DV_ADDRESS_SOFTWARE, operation, args, key, true);
    if (world_random(world, 100) < 15)
        (void)fake_cloud_repeat(world->sim->cloud, index);
}

static void install(struct world *world)
{
    char args[1024];
    unsigned modules = 1 + (unsigned)world_random(world, 2);
    size_t len = (size_t)snprintf(
        args, sizeof(args), "{\"correlationId\":\"o%zu\",\"weight\":%d,\"softwareModules\":[",
        fake_cloud_commands(world->sim->cloud), (int)world_random(world, 3));
    for (unsigned i = 0; i < modules; i++) {
        unsigned which = (unsigned)world_random(world, WORLD_SOFTWARE_NAMES);
        len += (size_t)snprintf(args + len, sizeof(args) - len,
                                "%s{\"softwareModule\":{\"name\":\"m%u\"},\"artifacts\":[{"
                                "\"download\":{\"HTTP\":{\"url\":\"http://sim/s%u/"
                                "reg.sim/app:%u\"}}}]}",
                                i ? "," : "", which, which, world->images++);
    }
    snprintf(args + len, sizeof(args) - len, "]}");
    world->sim->downloads.delay_ms = (int64_t)world_random(world, 3000);
    if (world_random(world, 100) < 10)
        world->sim->downloads.failures = 1;
    send(world, "install", args);
}

static void remove_some(struct world *world)
{
    char args[256];
    unsigned which = (unsigned)world_random(world, WORLD_SOFTWARE_NAMES);
    snprintf(args, sizeof(args),
             "{\"correlationId\":\"r%zu\",\"forced\":%s,\"software\":[{\"name\":\"%s%u\"}]}",
             fake_cloud_commands(world->sim->cloud), world_random(world, 2) ? "true" : "false",
             world_random(world, 2) ? "m" : "s", which);
    world->software[which].may_be_gone = true;
    world->software[which].may_be_down = true;
    send(world, "remove", args);
}

void world_software_act(struct world *world)
{
    if (world_random(world, 100) < 70)
        install(world);
    else
        remove_some(world);
}

static void check_names(struct world *world, const struct dv_container_list *all)
{
    for (size_t i = 0; i < all->containers.count; i++) {
        const struct dv_container_record *record = &all->containers.items[i];
        enum dv_status status = record->state->status;
        if (strstr(record->name, ".new-"))
            world_fail(world, "%s is left of an update", record->name);
        unsigned which = 0;
        bool is_known = record->module_name && sscanf(record->module_name, "m%u", &which) == 1;
        if (is_known && status != DV_STATUS_RUNNING && !world->software[which].may_be_down)
            world_fail(world, "%s (%s) does not run after its update", record->name, record->id);
    }
}

static void check_presence(struct world *world, const struct dv_container_list *all)
{
    for (unsigned which = 0; which < WORLD_SOFTWARE_NAMES; which++) {
        char name[16];
        bool is_there = false;
        snprintf(name, sizeof(name), "s%u", which);
        for (size_t i = 0; i < all->containers.count; i++)
            is_there |= strcmp(all->containers.items[i].name, name) == 0;
        struct world_software *known = &world->software[which];
        if (known->was_there && !known->may_be_gone && !is_there)
            world_fail(world, "%s is gone, and nobody removed it", name);
        known->was_there = is_there;
        known->may_be_gone = false;
    }
}

void world_software_check(struct world *world, const struct dv_container_list *all)
{
    const struct fake_feature *feature = fake_cloud_find(world->sim->cloud, DV_ADDRESS_SOFTWARE);
    const char *last = feature ? feature->last_operation : NULL;
    if (!last && feature)
        last = feature->properties ? strstr(feature->properties, "\"lastOperation\"") : NULL;
    if (last && !strstr(last, "\"status\":\"FINISHED_"))
        world_fail(world, "an operation has no end: %.300s", last);
    check_names(world, all);
    check_presence(world, all);
}
