/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * A host as a czmq actor: one thread, one mailbox, one poll. Made and ended by the thread of the
 * bus. Private to the kit.
 */
#include "actors/kit/host.h"

#include <czmq.h>

/* LIMIT if there is no room (see admission.h). Returns when the host has its mailbox. */
__attribute__((warn_unused_result)) int dv_host_thread_new(const struct dv_host_world *world,
                                                           const char *endpoint,
                                                           uint32_t id,
                                                           int receive_mark,
                                                           zactor_t **ret,
                                                           struct dv_error *err);
/* The host must have no cell that runs: the call waits for the thread. */
void dv_host_thread_free(zactor_t **thread);
