/* SPDX-License-Identifier: Apache-2.0 */
#include "actors/kit/bus.h"
#include "actors/kit/memory.h"

#include <string.h>

void dv_bus_wait(struct dv_bus_waiter **list, const struct dv_envelope *envelope)
{
    if (!envelope->reply_to)
        return;
    size_t len = strlen(envelope->reply_to) + 1;
    struct dv_bus_waiter *waiter = dv_need(calloc(1, sizeof(*waiter) + len));
    waiter->correlation = envelope->correlation;
    waiter->deadline_ns = envelope->deadline_ns;
    memcpy(waiter->reply_to, envelope->reply_to, len);
    waiter->next = *list;
    *list = waiter;
}

size_t dv_bus_waiters(const struct dv_bus_waiter *list)
{
    size_t count = 0;
    for (; list; list = list->next)
        count++;
    return count;
}

void dv_bus_waiters_answer(struct dv_bus *bus,
                           struct dv_bus_waiter **list,
                           uint16_t kind,
                           const void *body)
{
    struct dv_bus_waiter *waiter;
    while ((waiter = *list)) {
        *list = waiter->next;
        dv_bus_answer(bus, waiter->reply_to, waiter->correlation, waiter->deadline_ns, kind, body);
        free(waiter);
    }
}

void dv_bus_waiters_refuse(struct dv_bus *bus,
                           struct dv_bus_waiter **list,
                           const struct dv_error *error)
{
    struct dv_bus_waiter *waiter;
    while ((waiter = *list)) {
        *list = waiter->next;
        dv_bus_refuse(bus, waiter->reply_to, waiter->correlation, waiter->deadline_ns, error);
        free(waiter);
    }
}
