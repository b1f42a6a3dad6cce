/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * The exit source (runtime/exits.h) of a fake machine. A new one reports again what was never
 * acknowledged, as the real one does after a restart of the daemon. Its descriptor becomes readable
 * for an exit and also when deadline_ns() moved closer, so that a caller who waits for both misses
 * nothing; next() answers 0 then.
 */
#include "base/error.h"
#include "runtime/exits.h"
#include "runtime/fake/machine.h"

/* `machine` must outlive the source, which is freed by its own free(). */
__attribute__((warn_unused_result)) int dv_fake_exits_new(struct dv_fake_machine *machine,
                                                          struct dv_exit_source **ret,
                                                          struct dv_error *err);
