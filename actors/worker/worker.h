/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * `workers` hands jobs to a small pool, `worker/<n>` does them one at a time: the only callers of
 * the container driver and of davit-unpack. A job may block up to its own timeout; none waits for a
 * container to end. Beyond DV_JOBS_MAX waiting jobs a new one is BUSY. Jobs are the messages of
 * messages/schema/worker.def and the *_job messages of image.def.
 */
#include "actors/kit/cell.h"

#define DV_JOBS_MAX 4096

extern const struct dv_cell_type dv_workers_cell; /* start message: none */
extern const struct dv_cell_type dv_worker_cell;  /* start message: worker_start_args */
