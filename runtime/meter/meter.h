/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The real source of counters (runtime/counters.h): control groups of containers, files below /proc
 * for the machine, one dump of rtnetlink for all interfaces of the machine, containers' cables
 * among them. The network of a container whose cable is not known is read through /proc.
 * Descriptors of containers stay open up to a limit; those of containers beyond it are opened for
 * each pass.
 *
 * Reading through /proc keeps the network namespace alive until the set is closed.
 */
#include "base/error.h"
#include "runtime/counters.h"

/* Descriptors of one container. */
#define DV_METER_SET_FDS 7U

struct dv_meter_options {
    const char *cgroup_parent;  /* "/davit" */
    unsigned kept_max;          /* containers whose descriptors stay open */
    const char *mountinfo_path; /* NULL: the machine's */
};

/* What is in `options` is copied. */
__attribute__((warn_unused_result)) int dv_meter_new(const struct dv_meter_options *options,
                                                     struct dv_counter_source **ret,
                                                     struct dv_error *err);
