/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/actors.h"

#include "actors/addresses.h"
#include "actors/bridge/bridge_cell.h"
#include "actors/container/actor.h"
#include "actors/deployment/deployment.h"
#include "actors/downloader/downloader.h"
#include "actors/exits/exits.h"
#include "actors/factory/factory.h"
#include "actors/gateway/gateway.h"
#include "actors/image/image.h"
#include "actors/metrics/metrics.h"
#include "actors/network/network.h"
#include "actors/roster/roster.h"
#include "actors/sampler/sampler.h"
#include "actors/session/session.h"
#include "actors/software/software.h"
#include "actors/store/store.h"
#include "actors/worker/worker.h"
#include "base/arena.h"
#include "base/log.h"

#define ARENA_BYTES_MAX (256U << 20)
#define RESTORE_MS      600000

const struct dv_cell_type *const daemon_actor_types[] = {
    &dv_bridge_cell,     &dv_container_cell, &dv_deployment_cell,
    &dv_downloader_cell, &dv_exits_cell,     &dv_factory_cell,
    &dv_gateway_cell,    &dv_image_cell,     &dv_metrics_cell,
    &dv_network_cell,    &dv_roster_cell,    &dv_sampler_cell,
    &dv_session_cell,    &dv_software_cell,  &dv_store_cell,
    &dv_worker_cell,     &dv_workers_cell,   NULL,
};

/* Containers are restored before the first bridge opens, so that the twin is true from its start.
 */
static int wait_for_restore(struct dv_system *system, struct dv_error *err)
{
    DV_AUTO(dv_arena) arena = dv_arena_new(ARENA_BYTES_MAX);
    struct dv_container_list_query query = {0};
    uint16_t kind;
    void *body;
    if (!arena)
        return dv_error_set(err, DV_ERR_NO_MEMORY, "no memory");
    int r = dv_system_ask(system, DV_ADDRESS_ROSTER, DV_KIND_container_list_query, &query,
                          RESTORE_MS, arena, &kind, &body, err);
    if (r < 0)
        return r;
    dv_log(DV_LOG_INFO, "%zu containers are known",
           ((const struct dv_container_list *)body)->containers.count);
    /* It takes no command before it knows them too. */
    struct dv_feature_query feature;
    return dv_system_ask(system, DV_ADDRESS_SOFTWARE, DV_KIND_feature_query, &feature, RESTORE_MS,
                         arena, &kind, &body, err);
}

static int spawn_bridge(struct dv_system *system, const char *name, struct dv_error *err)
{
    struct dv_bridge_start_args args = {.name = (char *)name};
    struct dv_address core = dv_address_of("bridge/", name);
    struct dv_address session = dv_address_of("session/", name);
    int r = dv_system_spawn(system, core.text, "bridge", &args, err);
    return r < 0 ? r : dv_system_spawn(system, session.text, "session", &args, err);
}

int daemon_actors_start(struct dv_system *system,
                        const struct dv_actor_env *env,
                        struct dv_error *err)
{
    static const struct {
        const char *address;
        const char *type;
    } services[] = {
        {DV_ADDRESS_STORE, "store"},
        {DV_ADDRESS_NETWORK, "network"},
        {DV_ADDRESS_EXITS, "exits"},
        {DV_ADDRESS_WORKERS, "workers"},
        {DV_ADDRESS_DOWNLOADER, "downloader"},
        {DV_ADDRESS_IMAGE, "image"},
        {DV_ADDRESS_ROSTER, "roster"},
        {DV_ADDRESS_FACTORY, "ContainerFactory"},
        {DV_ADDRESS_SOFTWARE, "SoftwareUpdatable"},
        {DV_ADDRESS_SAMPLER, "sampler"},
        {DV_ADDRESS_METRICS, "Metrics"},
        {DV_ADDRESS_GATEWAY, "gateway"},
    };
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(services) / sizeof(services[0]); i++)
        r = dv_system_spawn(system, services[i].address, services[i].type, NULL, err);
    if (r == 0)
        r = wait_for_restore(system, err);
    for (const struct dv_bridge_setup *setup = env->bridges; r == 0 && setup->name; setup++)
        r = spawn_bridge(system, setup->name, err);
    if (r == 0 && env->deployment)
        r = dv_system_spawn(system, DV_ADDRESS_DEPLOYMENT, "deployment", NULL, err);
    return r;
}
