/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The bus as a czmq actor: it owns the ROUTER and makes and ends the threads of the hosts. Made and
 * ended by the thread that owns the system. Private to the kit.
 */
#include "actors/kit/host.h"

#include <czmq.h>

/* `endpoint` is an inproc name that nobody else in the process uses. Returns when it is bound. */
__attribute__((warn_unused_result)) int dv_bus_thread_new(const struct dv_host_world *world,
                                                          const char *endpoint,
                                                          unsigned shared_hosts_max,
                                                          zactor_t **ret,
                                                          struct dv_error *err);
/* Ends the hosts that are left; none of them may be stuck in a handler. */
void dv_bus_thread_free(zactor_t **thread);
