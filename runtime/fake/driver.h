/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The container driver (runtime/runtime.h) of a fake machine. Any number may exist for one machine,
 * at the same time or one after another; each belongs to one thread.
 */
#include "base/error.h"
#include "runtime/fake/machine.h"
#include "runtime/runtime.h"

/* `machine` must outlive the driver, which is freed by its own free(). */
__attribute__((warn_unused_result)) int
dv_fake_driver_new(struct dv_fake_machine *machine, struct dv_runtime **ret, struct dv_error *err);
