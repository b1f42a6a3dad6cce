/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/bus.h"
#include "actors/kit/memory.h"

#include <string.h>

#define FIRST_SIZE 64U

/* Addresses come from the core itself, not from strangers: FNV-1a is spread enough. */
static size_t hash_of(const char *address)
{
    uint64_t hash = UINT64_C(14695981039346656037);
    for (const char *c = address; *c; c++)
        hash = (hash ^ (unsigned char)*c) * UINT64_C(1099511628211);
    return (size_t)(hash ^ hash >> 32);
}

static struct dv_bus_entry **bucket_of(const struct dv_bus *bus, const char *address)
{
    return &bus->table[hash_of(address) & (bus->table_size - 1)];
}

struct dv_bus_entry *dv_bus_find(const struct dv_bus *bus, const char *address)
{
    for (struct dv_bus_entry *entry = *bucket_of(bus, address); entry; entry = entry->next_hash)
        if (strcmp(entry->address, address) == 0)
            return entry;
    return NULL;
}

static void grow(struct dv_bus *bus)
{
    size_t size = bus->table_size ? bus->table_size * 2 : FIRST_SIZE;
    free(bus->table);
    bus->table = dv_need(calloc(size, sizeof(struct dv_bus_entry *)));
    bus->table_size = size;
    for (struct dv_bus_entry *entry = bus->newest; entry; entry = entry->older) {
        struct dv_bus_entry **bucket = bucket_of(bus, entry->address);
        entry->next_hash = *bucket;
        *bucket = entry;
    }
}

struct dv_bus_entry *dv_bus_add(struct dv_bus *bus, const char *address, struct dv_bus_host *host)
{
    if (bus->entry_count >= bus->table_size)
        grow(bus);
    size_t len = strlen(address) + 1;
    struct dv_bus_entry *entry = dv_need(calloc(1, sizeof(*entry) + len));
    memcpy(entry->address, address, len);
    entry->host = host;
    entry->older = bus->newest;
    if (bus->newest)
        bus->newest->newer = entry;
    bus->newest = entry;
    struct dv_bus_entry **bucket = bucket_of(bus, address);
    entry->next_hash = *bucket;
    *bucket = entry;
    bus->entry_count++;
    return entry;
}

void dv_bus_remove(struct dv_bus *bus, struct dv_bus_entry *entry)
{
    struct dv_bus_entry **at = bucket_of(bus, entry->address);
    while (*at != entry)
        at = &(*at)->next_hash;
    *at = entry->next_hash;
    if (entry->newer)
        entry->newer->older = entry->older;
    else
        bus->newest = entry->older;
    if (entry->older)
        entry->older->newer = entry->newer;
    bus->entry_count--;
    for (struct dv_bus_waiter *next, *waiter = entry->stoppers; waiter; waiter = next) {
        next = waiter->next;
        free(waiter);
    }
    free(entry->spawner);
    free(entry->start_error);
    free(entry);
}
