/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The source of counters (runtime/counters.h) of a fake machine with two processors. A running
 * container uses a tenth of one processor, and other counters grow with its time too, so that what
 * is reported can be foretold. One thread uses a source.
 */
#include "base/error.h"
#include "runtime/counters.h"
#include "runtime/fake/machine.h"

#define DV_FAKE_PROCESSORS     2
#define DV_FAKE_CPU_PERCENT    5.0 /* of the whole machine, each container */
#define DV_FAKE_MEMORY_USED    (16LL << 20)
#define DV_FAKE_MEMORY_TOTAL   (1LL << 30)
#define DV_FAKE_TASKS          3
#define DV_FAKE_BYTES_A_SECOND 4096 /* read, written, received and sent */

/* `machine` must outlive the source, which is freed by its own free(). */
__attribute__((warn_unused_result)) int dv_fake_counters_new(struct dv_fake_machine *machine,
                                                             struct dv_counter_source **ret,
                                                             struct dv_error *err);
