/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The system in one thread. Every host has a queue towards the bus and a mailbox, as with threads;
 * the seed decides which of the things that could happen next does: the bus takes the next message
 * of some host, a host takes the next of its mailbox, runs a due timer or a ready descriptor, the
 * bus sends what it held. So the order of messages between two hosts is kept and everything else is
 * open, exactly as with threads. Private to the kit.
 */
#include "actors/kit/bus.h"
#include "actors/kit/host.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct dv_sim;

struct dv_sim *dv_sim_new(const struct dv_host_world *world,
                          struct dv_clock_fake *clock,
                          unsigned shared_hosts_max,
                          uint64_t seed);
/* Cells that are left are ended where they stand. */
void dv_sim_free(struct dv_sim *sim);

/* From outside to the bus; takes the parcel. */
void dv_sim_send(struct dv_sim *sim, struct dv_parcel *parcel);
/* The next message to the outside; false if there is none. */
bool dv_sim_receive(struct dv_sim *sim, struct dv_parcel *ret);

bool dv_sim_run_step(struct dv_sim *sim);
int64_t dv_sim_wake_ns(const struct dv_sim *sim);
/* Turns the clock, never back. */
void dv_sim_turn_to(struct dv_sim *sim, int64_t monotonic_ns);
void dv_sim_hold_back(struct dv_sim *sim, const char *address, int64_t monotonic_ns);
