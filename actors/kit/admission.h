/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Whether there is room for another host. czmq aborts when descriptors run out and waits for ever
 * when a thread cannot be started, so both are tried before. Any thread; starts and joins one
 * thread. Private to the kit.
 */
#include "base/error.h"

/* LIMIT names what is short. */
__attribute__((warn_unused_result)) int dv_admission_check(struct dv_error *err);
