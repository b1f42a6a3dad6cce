/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/*
 * Small allocations of the kit itself. libzmq and czmq can only assert when memory is short, so the
 * kit ends the process as well: a dead daemon touches no container. Private to the kit.
 */
#include "base/log.h"

#include <stdlib.h>

/* Passes a fresh allocation on; aborts for NULL. */
static inline void *dv_need(void *pointer)
{
    if (!pointer) {
        dv_log(DV_LOG_ERROR, "kit: out of memory, ending the process");
        abort();
    }
    return pointer;
}
