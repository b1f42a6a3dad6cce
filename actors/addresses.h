/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Addresses of the cells that exist once. Containers are `Container:<id>`, the others that exist
 * several times are named by dv_address_of().
 */
#include "actors/kit/cell.h"

#include <stdio.h>

#define DV_ADDRESS_ROSTER     "roster"
#define DV_ADDRESS_STORE      "store"
#define DV_ADDRESS_WORKERS    "workers"
#define DV_ADDRESS_IMAGE      "image"
#define DV_ADDRESS_DOWNLOADER "downloader"
#define DV_ADDRESS_EXITS      "exits"
#define DV_ADDRESS_NETWORK    "network"
#define DV_ADDRESS_FACTORY    "ContainerFactory"
#define DV_ADDRESS_GATEWAY    "davit"
#define DV_ADDRESS_DEPLOYMENT "deployment"
#define DV_ADDRESS_METRICS    "Metrics"
#define DV_ADDRESS_SAMPLER    "sampler"
#define DV_ADDRESS_SOFTWARE   "SoftwareUpdatable"

/* They end before what they command when the daemon ends: what is cut off then has not failed, and
 * the next daemon goes on with it. */
#define DV_ADDRESSES_THAT_COMMAND                                                                  \
    ((const char *const[]){DV_ADDRESS_SOFTWARE, DV_ADDRESS_DEPLOYMENT, NULL})
#define DV_CONTAINER_PREFIX "Container:"

struct dv_address {
    char text[DV_ADDRESS_MAX + 1];
};

/* "Container:" + id, "worker/" + number and the like. */
static inline struct dv_address dv_address_of(const char *prefix, const char *suffix)
{
    struct dv_address address;
    snprintf(address.text, sizeof(address.text), "%s%s", prefix, suffix);
    return address;
}
